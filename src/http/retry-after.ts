import type { HttpHeaders } from './exchange.ts';

const unitMs: Readonly<Record<string, number>> = {
  ns: 0.000001,
  us: 0.001,
  µs: 0.001,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const pieces = /(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|s|m|h|d)\s*/g;

/**
 * Reads a duration as Go writes it, and so OpenAI, Groq and Google: `1s`, `6m0s`, `8.64s`, `20ms`, `1h2m3s`, `850µs`.
 *
 * @returns Milliseconds, or null for anything else.
 * @see {@link https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers} (read 2026-11)
 */
export function parseDuration(text: string): number | null {
  const trimmed = text.trim().replace('μ', 'µ');
  if (trimmed === '' || trimmed.replace(pieces, '') !== '') return null;
  let total = 0;
  for (const [, number, unit] of trimmed.matchAll(pieces)) total += Number(number) * (unitMs[unit ?? ''] ?? 0);
  return Math.round(total * 1_000) / 1_000;
}

/**
 * How long a reply's headers say to wait: `retry-after-ms`, `x-ms-retry-after-ms`, then `retry-after` in seconds, as a duration or as a date.
 *
 * @param now - Epoch milliseconds that a date is compared with.
 * @returns Milliseconds of at least 0, or null when nothing usable is said.
 * @see {@link https://datatracker.ietf.org/doc/html/rfc9110#name-retry-after}
 */
export function parseRetryAfter(headers: HttpHeaders, now: number): number | null {
  for (const name of ['retry-after-ms', 'x-ms-retry-after-ms']) {
    const ms = numberIn(single(headers[name]));
    if (ms !== null) return ms;
  }
  const text = single(headers['retry-after']);
  if (text === null) return null;
  const seconds = numberIn(text);
  if (seconds !== null) return seconds * 1_000;
  const duration = parseDuration(text);
  if (duration !== null) return duration;
  // The date parser would take any number, a negative one too, for a year.
  const at = /[a-z]/i.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}

/**
 * How long an error body says to wait: Google's `RetryInfo.retryDelay`, or a sentence such as "try again in 5.289s" (Groq), "retry in 36.5s"
 * (Google), "retry after 6 seconds" (Azure).
 *
 * @param text - The body, as text.
 */
export function retryAfterInBody(text: string): number | null {
  const stated =
    /"retryDelay"\s*:\s*"([^"]+)"/.exec(text)?.[1] ??
    /(?:try again|retry) (?:in|after) ((?:\d+(?:\.\d+)?\s?(?:ms|seconds?|secs?|s|minutes?|mins?|m|h|d)(?![a-z])\s?)+)/i.exec(
      text,
    )?.[1];
  return stated === undefined ? null : parseDuration(stated.replace(/\s?(s|m)(?:ec|in)[a-z]*/gi, '$1'));
}

/** The value of a header that may have come more than once: the first; null when absent. */
export function single(value: string | string[] | undefined): string | null {
  if (value === undefined) return null;
  return typeof value === 'string' ? value : (value[0] ?? null);
}

function numberIn(text: string | null): number | null {
  if (text === null || !/^\s*\d+(\.\d+)?\s*$/.test(text)) return null;
  return Number(text);
}
