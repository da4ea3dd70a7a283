import type { HttpHeaders } from './exchange.ts';
import { parseDuration, parseRetryAfter, single } from './retry-after.ts';

/** One counter of a vendor's limit, as far as its headers say. */
export interface RateLimitCounter {
  readonly limit: number | null;
  readonly remaining: number | null;
  /** When the counter is full again, in epoch milliseconds. */
  readonly resetAt: number | null;
}

/** What a reply's headers say about the vendor's limits. Null where nothing is said. */
export interface RateLimitInfo {
  readonly requests: RateLimitCounter | null;
  /** Of both directions; where only single directions are counted, the one of which less is left. */
  readonly tokens: RateLimitCounter | null;
  readonly inputTokens: RateLimitCounter | null;
  readonly outputTokens: RateLimitCounter | null;
  readonly retryAfterMs: number | null;
}

/**
 * Reads the limits out of a reply's headers, in the spellings of OpenAI and Groq (`x-ratelimit-remaining-tokens`), Anthropic
 * (`anthropic-ratelimit-tokens-remaining`) and OpenRouter (`x-ratelimit-remaining`). Never throws; what does not parse is null.
 *
 * @param now - Epoch milliseconds, from which relative resets count.
 * @returns Null when the headers say nothing about limits.
 * @see {@link https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers}
 * @see {@link https://docs.claude.com/en/api/rate-limits#response-headers} (both read 2026-11)
 */
export function parseRateLimitHeaders(headers: HttpHeaders, now: number): RateLimitInfo | null {
  if (!speaksOfLimits(headers)) return null;
  const inputTokens = anthropicStyle(headers, 'input-tokens', now);
  const outputTokens = anthropicStyle(headers, 'output-tokens', now);
  const info: RateLimitInfo = {
    requests:
      openaiStyle(headers, '-requests', now) ??
      anthropicStyle(headers, 'requests', now) ??
      openaiStyle(headers, '', now),
    tokens:
      openaiStyle(headers, '-tokens', now) ??
      openaiStyle(headers, '-project-tokens', now) ??
      anthropicStyle(headers, 'tokens', now) ??
      stricter(inputTokens, outputTokens),
    inputTokens,
    outputTokens,
    retryAfterMs: parseRetryAfter(headers, now),
  };
  const says = info.requests ?? info.tokens ?? info.inputTokens ?? info.outputTokens ?? info.retryAfterMs;
  return says === null ? null : info;
}

/** Most replies say nothing: they are not searched for every spelling. */
function speaksOfLimits(headers: HttpHeaders): boolean {
  for (const name in headers) if (name.includes('ratelimit') || name.includes('retry-after')) return true;
  return false;
}

/**
 * How long to wait for a counter that stands at 0; null when none does or its reset is unknown. The longest wait wins.
 *
 * @param now - Epoch milliseconds.
 */
export function waitForReset(info: RateLimitInfo, now: number): number | null {
  let longest: number | null = null;
  for (const counter of [info.requests, info.tokens, info.inputTokens, info.outputTokens]) {
    if (counter === null || counter.remaining !== 0 || counter.resetAt === null) continue;
    longest = Math.max(longest ?? 0, counter.resetAt - now);
  }
  return longest;
}

/** The counter of which less is left. */
function stricter(one: RateLimitCounter | null, other: RateLimitCounter | null): RateLimitCounter | null {
  if (one?.remaining == null) return other;
  return other?.remaining != null && other.remaining < one.remaining ? other : one;
}

function openaiStyle(headers: HttpHeaders, suffix: string, now: number): RateLimitCounter | null {
  return counterOf(
    headers[`x-ratelimit-limit${suffix}`],
    headers[`x-ratelimit-remaining${suffix}`],
    headers[`x-ratelimit-reset${suffix}`],
    now,
  );
}

function anthropicStyle(headers: HttpHeaders, what: string, now: number): RateLimitCounter | null {
  const name = `anthropic-ratelimit-${what}`;
  return counterOf(headers[`${name}-limit`], headers[`${name}-remaining`], headers[`${name}-reset`], now);
}

type Value = string | string[] | undefined;

function counterOf(limit: Value, remaining: Value, reset: Value, now: number): RateLimitCounter | null {
  if (limit === undefined && remaining === undefined && reset === undefined) return null;
  const counter = { limit: count(limit), remaining: count(remaining), resetAt: parseReset(single(reset), now) };
  return counter.limit === null && counter.remaining === null && counter.resetAt === null ? null : counter;
}

function count(value: Value): number | null {
  const text = single(value)?.trim() ?? '';
  return /^\d+$/.test(text) ? Number(text) : null;
}

/**
 * Reads when a limit resets: a duration (`6m0s`), an RFC 3339 time, epoch seconds or milliseconds, or plain seconds.
 *
 * @param now - Epoch milliseconds, from which durations count.
 * @returns Epoch milliseconds, or null.
 */
export function parseReset(text: string | null, now: number): number | null {
  if (text === null) return null;
  const trimmed = text.trim();
  if (/^\d+(\.\d+)?$/.test(trimmed)) {
    const number = Number(trimmed);
    // Below 10^9 it cannot be an instant of this century; from 10^12 on it can only be milliseconds.
    if (number < 1e9) return now + number * 1_000;
    return number < 1e12 ? number * 1_000 : number;
  }
  const duration = parseDuration(trimmed);
  if (duration !== null) return now + duration;
  if (!/^\d{4}-\d{2}-\d{2}T/.test(trimmed)) return null;
  const at = Date.parse(trimmed);
  return Number.isNaN(at) ? null : at;
}
