import { openaiEmbeddingsRequest } from '../../schemas/requests/openai-embeddings.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { IModelError, printValue } from '../errors.ts';
import { record } from '../http/vendor-error.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';
import { chatUsage, nameOf } from './chat-answer.ts';
import type { AnswerContext, Shape } from './dialect.ts';
import { type FieldRules, fitFields } from './fit-fields.ts';
import { openaiDialect } from './openai-dialect.ts';

const rules: FieldRules = {
  family: 'embeddings',
  verb: 'embed',
  schema: openaiEmbeddingsRequest,
  seenTo: new Set(['encoding_format']),
};

/**
 * `POST /v1/embeddings`: OpenAI's embeddings protocol for every iModel that embeds.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/embeddings} (read 2026-11)
 */
export const embeddings: Shape = {
  dialect: openaiDialect,
  read(body, target) {
    const base64 = readEncoding(body) === 'base64';
    return { ...fitFields(body, target, rules), streaming: false, includeUsage: false, base64 };
  },
  write: writeEmbeddings,
  openStream: null,
};

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
