import type { Usage } from '../../schemas/chunk.ts';
import { record } from '../http/vendor-error.ts';

/**
 * Reads a usage report in chat style (`prompt_tokens`) or Responses style (`input_tokens`), with the places where DeepSeek and Perplexity
 * put their counts.
 *
 * @returns Null when there is no report with at least one count.
 */
export function readUsage(value: unknown): Usage | null {
  const raw = record(value);
  if (raw === undefined) return null;
  const input = count(raw.prompt_tokens) ?? count(raw.input_tokens);
  const output = count(raw.completion_tokens) ?? count(raw.output_tokens);
  const total = count(raw.total_tokens);
  if (input === undefined && output === undefined && total === undefined) return null;
  const given = record(raw.prompt_tokens_details) ?? record(raw.input_tokens_details);
  const made = record(raw.completion_tokens_details) ?? record(raw.output_tokens_details);
  const cached = count(given?.cached_tokens) ?? count(raw.prompt_cache_hit_tokens);
  const written = count(given?.cache_write_tokens);
  const reasoning =
    count(made?.reasoning_tokens) ??
    count(made?.thinking_tokens) ??
    count(raw.reasoning_tokens) ??
    count(raw.thinking_tokens);
  return {
    inputTokens: input ?? 0,
    outputTokens: output ?? 0,
    totalTokens: total ?? (input ?? 0) + (output ?? 0),
    ...(cached === undefined ? {} : { cachedInputTokens: cached }),
    ...(written === undefined ? {} : { cacheWriteTokens: written }),
    ...(reasoning === undefined ? {} : { reasoningTokens: reasoning }),
    raw: value,
  };
}

/** A count as vendors give it, or undefined. */
export function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;
}
