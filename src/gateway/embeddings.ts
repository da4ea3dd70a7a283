import { openaiEmbeddingsRequest } from '../../schemas/requests/openai-embeddings.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { IModelError, printValue } from '../errors.ts';
import { record } from '../http/vendor-error.ts';
import type { ApiCalling } from '../runtime/api-calling.ts';
import { chatUsage, nameOf } from './chat-answer.ts';
import type { AnswerContext, Shape } from './dialect.ts';
import { type Fitted, notAbleTo } from './fit.ts';
import { openaiDialect } from './openai-dialect.ts';
import type { Target } from './target.ts';

const ownNames: ReadonlySet<string> = new Set(Object.keys(openaiEmbeddingsRequest.shape));

/** Hints that may be left out; `encoding_format` is seen to here. */
const hints: ReadonlySet<string> = new Set(['user', 'encoding_format']);

/**
 * `POST /v1/embeddings`: OpenAI's embeddings protocol for every iModel that embeds.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/embeddings} (read 2026-11)
 */
export const embeddings: Shape = {
  dialect: openaiDialect,
  read(body, target) {
    const base64 = readEncoding(body) === 'base64';
    return { ...fitEmbeddings(body, target), streaming: false, includeUsage: false, base64 };
  },
  write: writeEmbeddings,
  openStream() {
    throw IModelError.of('internal', 'Embeddings are not streamed', {});
  },
};

function fitEmbeddings(body: Fields, target: Target): Fitted {
  if (target.family !== 'embeddings') throw notAbleTo(target, 'embed');
  const request: Record<string, unknown> = {};
  const dropped: string[] = [];
  for (const [name, value] of Object.entries(body)) {
    if (name === 'model' || value === null || value === undefined) continue;
    if (target.fields === null || target.fields.has(name)) request[name] = value;
    else if (name === 'user') dropped.push(name);
    else if (!hints.has(name)) throw refused(name, value, target);
  }
  return { request, dropped };
}

function refused(name: string, value: unknown, { model }: Target): IModelError {
  const why = ownNames.has(name) ? 'cannot be done' : 'unknown field';
  const message = `\`${name}\` of ${printValue(value)}: ${why} with the iModel \`${model.id}\``;
  return IModelError.of('invalid_request', message, { path: name, value: printValue(value) });
}

function readEncoding({ encoding_format: format }: Fields): 'float' | 'base64' {
  if (format === undefined || format === null || format === 'float') return 'float';
  if (format === 'base64') return 'base64';
  const message = `Expected \`encoding_format\` to be float or base64, got ${printValue(format)}`;
  throw IModelError.of('invalid_request', message, { path: 'encoding_format', value: printValue(format) });
}

/** What a vendor of the same protocol answered is handed on; Ollama's vectors are put into its form. */
function writeEmbeddings(call: ApiCalling, { target, base64 }: AnswerContext): unknown {
  const vendor = record(call.response);
  if (Array.isArray(vendor?.data)) return { object: 'list', ...vendor };
  const vectors: readonly unknown[] = Array.isArray(vendor?.embeddings) ? vendor.embeddings : [];
  const usage = call.usage === null ? { prompt_tokens: 0, total_tokens: 0 } : chatUsage(call.usage);
  return {
    object: 'list',
    data: vectors.map((vector, index) => ({
      object: 'embedding',
      index,
      embedding: base64 ? toBase64(vector) : vector,
    })),
    model: typeof vendor?.model === 'string' ? vendor.model : nameOf(target.model),
    usage: { prompt_tokens: usage.prompt_tokens, total_tokens: usage.total_tokens },
  };
}

/** Little-endian 32-bit floats, as the clients decode them. */
function toBase64(vector: unknown): unknown {
  if (!Array.isArray(vector)) return vector;
  const bytes = Buffer.alloc(vector.length * 4);
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(Number(value), index * 4);
  return bytes.toString('base64');
}
