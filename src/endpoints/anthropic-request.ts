import type { ChatMessage } from '../../schemas/requests/openai-chat.ts';
import { IModelError, printValue } from '../errors.ts';
import { record } from '../http/vendor-error.ts';
import { parseToolArguments } from './answer.ts';
import { toolCallsOf } from './chat-tool-calls.ts';
import type { Fields } from './endpoint.ts';

/** A message as Anthropic reads it. */
interface AnthropicMessage extends Fields {
  readonly role: 'user' | 'assistant';
  readonly content: readonly unknown[] | string;
}

/**
 * The longest answers of the models, by the beginning of their names; the first match counts.
 *
 * @see {@link https://docs.claude.com/en/docs/about-claude/models/overview} (read 2026-11)
 */
const longestAnswers: readonly (readonly [RegExp, number])[] = [
  [/^claude-(opus|sonnet|haiku|fable)-5/, 128_000],
  [/^claude-opus-4-[678]/, 128_000],
  [/^claude-sonnet-4-6/, 128_000],
  [/^claude-(sonnet|opus|haiku)-4-5/, 64_000],
  [/^claude-opus-4/, 32_000],
  [/^claude-sonnet-4/, 64_000],
  [/^claude-3-(5|7)-/, 8_192],
  [/^claude-3-/, 4_096],
];

/** The vendor refuses one-shot requests that may run for more than ten minutes, which it reckons at 128,000 tokens an hour. */
const longestOneShot = 21_333;

/**
 * Writes a request as Anthropic reads it: leading system and developer turns go into `system`, turns of one role are joined, tool calls
 * and results become blocks, and OpenAI's names of tools, choices, stops and limits are translated. What is in Anthropic's form already
 * stays as it is, thinking blocks and signatures included.
 *
 * @param request - A checked request; not changed.
 * @throws IModelError `invalid_request` for an image or a file it cannot translate.
 */
export function toAnthropicWire(request: Fields): Fields {
  const {
    messages,
    system,
    stop,
    max_completion_tokens: maxCompletionTokens,
    max_tokens: maxTokens,
    tools,
    tool_choice: choice,
    parallel_tool_calls: parallel,
    cache_control: cacheControl,
    ...rest
  } = request;
  const turns = (messages ?? []) as readonly ChatMessage[];
  const first = turns.findIndex(({ role }) => !isSystem(role));
  const leading = turns.slice(0, first === -1 ? turns.length : first);
  const systemBlocks = [...blocksOf(system), ...leading.flatMap(({ content }) => blocksOf(content))];
  const toolChoice = choiceOf(choice, Array.isArray(tools) && tools.length > 0 ? parallel : undefined);
  const stopSequences = rest.stop_sequences ?? (typeof stop === 'string' ? [stop] : stop);
  return {
    ...rest,
    messages: joinTurns(turns.slice(leading.length)),
    max_tokens: maxTokens ?? maxCompletionTokens ?? defaultMaxTokens(String(rest.model), request.stream === true),
    ...(systemBlocks.length === 0 ? {} : { system: systemBlocks }),
    ...(stopSequences === undefined || stopSequences === null ? {} : { stop_sequences: stopSequences }),
    ...(Array.isArray(tools) ? { tools: tools.map(toolOf) } : {}),
    ...(toolChoice === null ? {} : { tool_choice: toolChoice }),
    ...(cacheControl === true ? { cache_control: { type: 'ephemeral' } } : {}),
    ...(record(cacheControl) === undefined ? {} : { cache_control: cacheControl }),
  };
}

/** The limit an answer gets when the caller sets none. */
function defaultMaxTokens(model: string, streaming: boolean): number {
  const known = longestAnswers.find(([pattern]) => pattern.test(model))?.[1] ?? 4_096;
  return streaming ? known : Math.min(known, longestOneShot);
}

function isSystem(role: string): boolean {
  return role === 'system' || role === 'developer';
}

function joinTurns(turns: readonly ChatMessage[]): AnthropicMessage[] {
  const joined: AnthropicMessage[] = [];
  for (const turn of turns) {
    const next = turnOf(turn);
    // The vendor refuses turns without content. An empty question at the end is its to refuse: without it the answer before would be gone on with.
    if (isEmpty(next) && (turn !== turns.at(-1) || next.role === 'assistant')) continue;
    const last = joined.at(-1);
    if (last?.role === next.role) {
      joined[joined.length - 1] = { ...last, content: [...blocksOf(last.content), ...blocksOf(next.content)] };
    } else {
      joined.push(next);
    }
  }
  const last = joined.at(-1);
  if (last?.role === 'assistant') joined[joined.length - 1] = { ...last, content: withoutTrailingSpace(last.content) };
  return joined;
}

function isEmpty({ content }: AnthropicMessage): boolean {
  return typeof content === 'string' ? isBlank(content) : content.length === 0;
}

/** An answer that the model is to go on with must not end in white space. */
function withoutTrailingSpace(content: AnthropicMessage['content']): AnthropicMessage['content'] {
  if (typeof content === 'string') return content.trimEnd();
  const last = record(content.at(-1));
  if (last?.type !== 'text') return content;
  return [...content.slice(0, -1), { ...last, text: String(last.text ?? '').trimEnd() }];
}

function turnOf(turn: ChatMessage): AnthropicMessage {
  const { role, content } = turn;
  if (role === 'tool' || role === 'function') {
    const result = typeof content === 'string' ? content : blocksOf(content);
    const id = toolId(turn.tool_call_id ?? turn.name ?? '');
    return { role: 'user', content: [{ type: 'tool_result', tool_use_id: id, content: result }] };
  }
  if (role !== 'assistant') return { role: 'user', content: typeof content === 'string' ? content : blocksOf(content) };
  const calls = toolCallsOf(turn).map(({ id, function: called }) => ({
    type: 'tool_use',
    id: toolId(id ?? ''),
    name: called?.name ?? '',
    input: parseToolArguments(called?.arguments ?? '').input,
  }));
  if (calls.length === 0 && typeof content === 'string') return { role: 'assistant', content };
  return { role: 'assistant', content: [...blocksOf(content), ...calls] };
}

/** The vendor takes letters, digits, `_` and `-` alone; the ids of others hold dots and colons. The same id always becomes the same. */
function toolId(id: string): string {
  return id.replace(/[^a-zA-Z0-9_-]/g, (letter) => `_${letter.charCodeAt(0).toString(16)}`);
}

/** Content in any form as a list of Anthropic's blocks. Blank texts are left out, since the vendor refuses them. */
function blocksOf(content: unknown): unknown[] {
  if (content === undefined || content === null) return [];
  if (typeof content === 'string') return isBlank(content) ? [] : [{ type: 'text', text: content }];
  const parts: readonly unknown[] = Array.isArray(content) ? content : [content];
  return parts.flatMap((part) => {
    if (typeof part === 'string') return blocksOf(part);
    const block = record(part);
    if (block === undefined || (typeof block.text === 'string' && isBlank(block.text))) return [];
    return [blockOf(block)];
  });
}

function isBlank(text: string): boolean {
  return text.trim() === '';
}

function blockOf(part: Fields): Fields {
  switch (part.type) {
    case 'image_url':
      return { type: 'image', source: sourceOf(part) };
    case 'input_text':
    case 'output_text':
      return { ...part, type: 'text' };
    case 'refusal':
      return { type: 'text', text: String(part.refusal ?? '') };
    case 'file':
      return { type: 'document', source: fileSourceOf(part) };
    case 'input_audio':
      throw IModelError.of('invalid_request', 'Anthropic takes no audio (`input_audio`)', { path: 'messages' });
    case undefined:
      return typeof part.text === 'string' ? { type: 'text', ...part } : part;
    default:
      return part;
  }
}

function sourceOf(part: Fields): Fields {
  const { image_url: image } = part;
  const url = typeof image === 'string' ? image : record(image)?.url;
  if (typeof url !== 'string') {
    const message = `Expected \`image_url\` to hold a URL, got ${printValue(image)}`;
    throw IModelError.of('invalid_request', message, { path: 'messages', value: printValue(image) });
  }
  const source = dataUrlSource(url);
  if (source === null && url.startsWith('data:')) {
    const message = 'Expected `image_url` to hold a web address or a base64 data URL, got a data URL of another kind';
    throw IModelError.of('invalid_request', message, { path: 'messages', value: printValue(url.slice(0, 40)) });
  }
  return source ?? { type: 'url', url };
}

function fileSourceOf(part: Fields): Fields {
  const file = record(part.file);
  const source = typeof file?.file_data === 'string' ? dataUrlSource(file.file_data) : null;
  if (source?.media_type === 'text/plain') {
    return {
      type: 'text',
      media_type: 'text/plain',
      data: Buffer.from(String(source.data), 'base64').toString('utf8'),
    };
  }
  if (source !== null) return source;
  if (typeof file?.file_id === 'string') return { type: 'file', file_id: file.file_id };
  throw IModelError.of('invalid_request', 'Expected `file` to hold a data URL in `file_data` or a `file_id`', {
    path: 'messages',
    value: printValue(part.file),
  });
}

function dataUrlSource(url: string): Fields | null {
  const match = /^data:([^;,]+)(?:;[^;,]+)*;base64,/.exec(url);
  if (match === null) return null;
  return { type: 'base64', media_type: match[1], data: url.slice(match[0].length) };
}

function toolOf(tool: unknown): unknown {
  const called = record(record(tool)?.function);
  if (called === undefined) return tool;
  const { cache_control: cacheControl } = tool as Fields;
  return {
    name: called.name,
    ...(called.description == null ? {} : { description: called.description }),
    input_schema: called.parameters ?? { type: 'object', properties: {} },
    ...(called.strict == null ? {} : { strict: called.strict }),
    ...(cacheControl === undefined ? {} : { cache_control: cacheControl }),
  };
}

function choiceOf(choice: unknown, parallel: unknown): Fields | null {
  const base = choiceBase(choice);
  if (parallel !== false || base?.type === 'none') return base;
  return { ...(base ?? { type: 'auto' }), disable_parallel_tool_use: true };
}

function choiceBase(choice: unknown): Fields | null {
  if (choice === undefined || choice === null) return null;
  if (typeof choice === 'string') return { type: choice === 'required' ? 'any' : choice };
  const named = record(record(choice)?.function)?.name;
  return named === undefined ? (choice as Fields) : { type: 'tool', name: named };
}
