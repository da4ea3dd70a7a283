import { encodingOf } from './encoding.ts';

type Fields = Readonly<Record<string, unknown>>;

/** What an image counts; vendors count by size and detail, so this is a middle. */
const imageTokens = 500;
/** What each message costs beside its content. */
const messageOverhead = 4;

type Counter = (text: string) => number;

/**
 * Estimates what a request will cost its token limit: the prompt and, if the caller set it, the longest answer.
 *
 * Counted are messages (4 each, and their content, names, tool calls and tool results), `input`, `prompt`, `instructions`, `system` and
 * tool schemas, as text; an image counts 500, a part of an unknown kind the length of its JSON without long binary texts. Embedding inputs
 * have no overhead. Texts are counted by the model's tokenizer once {@link loadTokenizer} has loaded it, and as a quarter of their
 * characters until then. Models whose vendors publish no tokenizer are counted with OpenAI's `o200k_base`.
 *
 * @param payload - A request or payload in any of the protocols' shapes. Anything may be missing.
 * @returns Tokens, a whole number of at least 0. Never throws.
 */
export function estimateTokens(payload: Fields): number {
  try {
    return promptTokens(payload) + answerTokens(payload);
  } catch {
    return Math.ceil(safeLength(payload) / 4);
  }
}

function promptTokens(payload: Fields): number {
  const count = encodingOf(typeof payload.model === 'string' ? payload.model : '');
  let tokens = 0;
  if (Array.isArray(payload.messages)) {
    for (const message of payload.messages) tokens += messageTokens(message, count);
  }
  tokens += inputTokens(payload.input, count);
  for (const name of ['instructions', 'system', 'prompt', 'suffix', 'template'] as const) {
    tokens += contentTokens(payload[name], count);
  }
  for (const name of ['tools', 'functions', 'response_format'] as const) {
    if (payload[name] !== undefined && payload[name] !== null) tokens += jsonTokens(payload[name], count);
  }
  return tokens;
}

/** The longest answer the caller allows; 0 when it set no limit. */
function answerTokens(payload: Fields): number {
  const { options } = payload;
  const predicted = isObject(options) ? options.num_predict : undefined;
  for (const limit of [payload.max_completion_tokens, payload.max_tokens, payload.max_output_tokens, predicted]) {
    if (typeof limit === 'number' && Number.isFinite(limit) && limit > 0) return Math.ceil(limit);
  }
  return 0;
}

function messageTokens(message: unknown, count: Counter): number {
  if (typeof message === 'string') return messageOverhead + count(message);
  if (!isObject(message)) return messageOverhead;
  let tokens = messageOverhead + contentTokens(message.content ?? message.output, count);
  if (typeof message.name === 'string') tokens += count(message.name);
  if (Array.isArray(message.tool_calls)) {
    for (const call of message.tool_calls) tokens += isObject(call) ? functionTokens(call.function ?? call, count) : 0;
  }
  if (message.function_call !== undefined) tokens += functionTokens(message.function_call, count);
  if (typeof message.arguments === 'string') tokens += functionTokens(message, count);
  return tokens;
}

function functionTokens(value: unknown, count: Counter): number {
  if (!isObject(value)) return 0;
  const name = typeof value.name === 'string' ? count(value.name) : 0;
  const { arguments: given } = value;
  if (given === undefined || given === null) return name;
  return name + (typeof given === 'string' ? count(given) : jsonTokens(given, count));
}

/** `input` of the Responses API (messages and items) or of embeddings (texts, token ids). */
function inputTokens(input: unknown, count: Counter): number {
  if (input === undefined || input === null) return 0;
  if (typeof input === 'string') return count(input);
  if (!Array.isArray(input)) return jsonTokens(input, count);
  let tokens = 0;
  for (const item of input) {
    if (typeof item === 'number') tokens += 1;
    else if (typeof item === 'string') tokens += count(item);
    else if (Array.isArray(item)) tokens += item.length;
    else tokens += messageTokens(item, count);
  }
  return tokens;
}

function contentTokens(content: unknown, count: Counter): number {
  if (content === undefined || content === null) return 0;
  if (typeof content === 'string') return count(content);
  if (!Array.isArray(content)) return partTokens(content, count);
  let tokens = 0;
  for (const part of content) tokens += partTokens(part, count);
  return tokens;
}

function partTokens(part: unknown, count: Counter): number {
  if (typeof part === 'string') return count(part);
  if (!isObject(part)) return jsonTokens(part, count);
  if (typeof part.text === 'string') return count(part.text);
  const { type } = part;
  if (type === 'image' || type === 'image_url' || type === 'input_image' || part.image_url !== undefined)
    return imageTokens;
  if (type === 'tool_result') return contentTokens(part.content, count);
  return jsonTokens(part, count);
}

function jsonTokens(value: unknown, count: Counter): number {
  // Binary data as base64 is no text to a model; its letters would count a hundred times too much.
  const json = JSON.stringify(value, (_name, inner) =>
    typeof inner === 'string' && inner.length > 20_000 ? '' : inner,
  );
  return json === undefined ? 0 : count(json);
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function safeLength(value: unknown): number {
  try {
    return JSON.stringify(value)?.length ?? 0;
  } catch {
    return 0;
  }
}
