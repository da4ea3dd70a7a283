import { readFile } from 'node:fs/promises';
import type { Fields } from '../endpoints/endpoint.ts';
import { printValue } from '../errors.ts';
import { UsageError } from './report-error.ts';

/** Where a request comes from. */
export interface PromptSource {
  /** The words after the model. `-` stands for what is on stdin. */
  readonly words: readonly string[];
  /** The value of `--request`: JSON, or `@` and the path of a file that holds it. */
  readonly request: string | undefined;
  readonly stdin: NodeJS.ReadStream;
}

/**
 * Builds a request: the fields of `--request`, and the prompt as one more user message. Without words and without messages the prompt is
 * read from stdin.
 *
 * @throws UsageError when there is no prompt, or `--request` is no JSON object.
 */
export async function readRequest({ words, request, stdin }: PromptSource): Promise<Fields> {
  const fields = request === undefined ? {} : await parseFields('--request', request);
  const prompt = await promptText(words, 'messages' in fields || 'prompt' in fields || 'input' in fields, stdin);
  if (prompt === null) return fields;
  const { messages = [] } = fields;
  if (!Array.isArray(messages)) {
    throw new UsageError(`Expected \`messages\` of --request to be a list, got ${printValue(messages)}`);
  }
  return { ...fields, messages: [...messages, { role: 'user', content: prompt }] };
}

/**
 * The fields that a flag holds: JSON, or `@` and the path of a file with JSON.
 *
 * @throws UsageError naming the flag.
 */
export async function parseFields(flag: string, value: string): Promise<Fields> {
  const text = value.startsWith('@') ? await fileText(flag, value.slice(1)) : value;
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`Expected ${flag} to be JSON: ${(error as Error).message}`);
  }
  if (typeof fields === 'object' && fields !== null && !Array.isArray(fields)) return fields as Fields;
  throw new UsageError(`Expected ${flag} to be a JSON object, got ${printValue(fields)}`);
}

async function fileText(flag: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new UsageError(`Cannot read the file of ${flag}: ${(error as Error).message}`);
  }
}

async function promptText(
  words: readonly string[],
  isOptional: boolean,
  stdin: NodeJS.ReadStream,
): Promise<string | null> {
  if (words.length === 0 && isOptional) return null;
  if (words.length === 0 && stdin.isTTY) throw new UsageError('Expected a prompt after the model, or on stdin');
  const fromStdin = words.length === 0 || words.includes('-') ? (await readAll(stdin)).trimEnd() : '';
  const prompt = words.length === 0 ? fromStdin : words.map((word) => (word === '-' ? fromStdin : word)).join(' ');
  if (prompt.trim() === '') throw new UsageError('Expected a prompt, got an empty one');
  return prompt;
}

async function readAll(stdin: NodeJS.ReadStream): Promise<string> {
  stdin.setEncoding('utf8');
  let text = '';
  for await (const piece of stdin) text += piece;
  return text;
}
