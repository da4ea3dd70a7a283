import type { Fields } from '../endpoints/endpoint.ts';
import type { WireContext } from '../endpoints/protocol.ts';
import { record } from '../http/vendor-error.ts';

const samplingFields = ['temperature', 'top_p', 'logprobs'];
const reasoningOnlyRefuses = ['presence_penalty', 'frequency_penalty', 'logit_bias', 'top_logprobs'];

/**
 * Whether a model of OpenAI's reasons before it answers, by its name: the o-series, and from GPT-5 on all but the chat variants.
 *
 * @see {@link https://platform.openai.com/docs/guides/reasoning} (read 2026-11)
 */
function isReasoningModel(model: string): boolean {
  if (/^o\d+(-|$)/.test(model)) return true;
  const match = /^gpt-(\d+)(?:\.\d+)?(?:-(.*))?$/.exec(model);
  return match !== null && Number(match[1]) >= 5 && match[2]?.startsWith('chat') !== true;
}

/**
 * Fits a chat request to what the named model takes: reasoning models get `developer` for `system`, `max_completion_tokens` for
 * `max_tokens`, and no sampling fields; search previews no temperature. Models it does not know are left alone. Each field left out is
 * told to `warn`.
 */
export function adjustForOpenaiModel(payload: Fields, { warn, fitsToModel }: WireContext): Fields {
  if (!fitsToModel) return payload;
  const model = String(payload.model);
  if (/^gpt-4o(-mini)?-search-preview/.test(model)) return leaveOut(payload, ['temperature'], model, warn);
  if (!isReasoningModel(model)) return payload;
  const adjusted: Record<string, unknown> = { ...payload };
  if (Array.isArray(payload.messages)) {
    adjusted.messages = (payload.messages as Fields[]).map((message) =>
      message.role === 'system' ? { ...message, role: 'developer' } : message,
    );
  }
  if (payload.max_tokens !== undefined) {
    adjusted.max_completion_tokens ??= payload.max_tokens;
    delete adjusted.max_tokens;
  }
  const refused = takesSampling(model, payload.reasoning_effort)
    ? reasoningOnlyRefuses
    : [...reasoningOnlyRefuses, ...samplingFields];
  return leaveOut(adjusted, refused, model, warn);
}

/**
 * Fits a request of the Responses API to what the named model takes: reasoning models get no sampling fields unless reasoning is off.
 */
export function adjustResponseForModel(payload: Fields, { warn, fitsToModel }: WireContext): Fields {
  if (!fitsToModel) return payload;
  const model = String(payload.model ?? '');
  const effort = record(payload.reasoning)?.effort;
  if (!isReasoningModel(model) || takesSampling(model, effort)) return payload;
  return leaveOut(payload, ['temperature', 'top_p', 'top_logprobs'], model, warn);
}

/** From GPT-5.1 on, sampling fields are taken when reasoning is switched off. */
function takesSampling(model: string, effort: unknown): boolean {
  const match = /^gpt-(\d+)\.(\d+)/.exec(model);
  return effort === 'none' && match !== null && (Number(match[1]) > 5 || Number(match[2]) >= 1);
}

function leaveOut(payload: Fields, names: readonly string[], model: string, warn: (message: string) => void): Fields {
  const present = names.filter((name) => payload[name] !== undefined && payload[name] !== null);
  if (present.length === 0) return payload;
  for (const name of present) warn(`${model} takes no \`${name}\`: it was left out`);
  return Object.fromEntries(Object.entries(payload).filter(([name]) => !present.includes(name)));
}
