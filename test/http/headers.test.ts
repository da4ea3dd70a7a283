import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRateLimitHeaders, parseReset, waitForReset } from '../../src/http/rate-limit-headers.ts';
import { parseDuration, parseRetryAfter, retryAfterInBody } from '../../src/http/retry-after.ts';

const now = Date.UTC(2015, 9, 21, 7, 27, 30);

describe('parseDuration', () => {
  it.each([
    ['1s', 1_000],
    ['6m0s', 360_000],
    ['8.64s', 8_640],
    ['20ms', 20],
    ['2m59.56s', 179_560],
    ['1h2m3s', 3_723_000],
    ['36s', 36_000],
    ['1d', 86_400_000],
    ['850µs', 0.85],
    ['1m 30s', 90_000],
    ['2 s', 2_000],
    ['', null],
    ['garbage', null],
    ['5', null],
    ['-1s', null],
    ['1s later', null],
  ])('%j is %j ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });
});

describe('parseRetryAfter', () => {
  it.each([
    [{ 'retry-after': '2' }, 2_000],
    [{ 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' }, 30_000],
    [{ 'retry-after': 'Wed, 21 Oct 2015 07:00:00 GMT' }, 0],
    [{ 'retry-after-ms': '1500.5' }, 1_500.5],
    [{ 'x-ms-retry-after-ms': '30', 'retry-after': '9' }, 30],
    [{ 'retry-after-ms': 'soon', 'retry-after': '1.5' }, 1_500],
    [{ 'retry-after': '6m0s' }, 360_000],
    [{ 'retry-after': ['3', '4'] }, 3_000],
    [{ 'retry-after': 'whenever' }, null],
    [{ 'retry-after': '-5' }, null],
    [{}, null],
  ])('%j says %j ms', (headers, ms) => {
    expect(parseRetryAfter(headers, now)).toBe(ms);
  });
});

describe('retryAfterInBody', () => {
  it('finds Google’s and Groq’s hints', () => {
    expect(retryAfterInBody('{"details":[{"@type":"RetryInfo","retryDelay":"36s"}]}')).toBe(36_000);
    expect(retryAfterInBody('Rate limit reached … Please try again in 5.289s. Visit')).toBe(5_289);
    expect(retryAfterInBody('Please try again in 1m2.5s.')).toBe(62_500);
    expect(retryAfterInBody('Quota exceeded. Please retry in 36.5s.')).toBe(36_500);
    expect(retryAfterInBody('Please retry after 6 seconds.')).toBe(6_000);
    expect(retryAfterInBody('Please try again in 2 minutes, or later')).toBe(120_000);
    expect(retryAfterInBody('Please try again later')).toBe(null);
  });
});

describe('parseReset', () => {
  it.each([
    ['1s', now + 1_000],
    ['2015-10-21T07:28:00Z', now + 30_000],
    ['1445412480', now + 30_000],
    ['1445412480000', now + 30_000],
    ['30', now + 30_000],
    ['garbage', null],
    [null, null],
  ])('%j is %j', (text, at) => {
    expect(parseReset(text, now)).toBe(at);
  });
});

describe('parseRateLimitHeaders', () => {
  it('reads OpenAI’s', () => {
    const headers = {
      'x-ratelimit-limit-requests': '60',
      'x-ratelimit-remaining-requests': '0',
      'x-ratelimit-reset-requests': '1s',
      'x-ratelimit-limit-tokens': '150000',
      'x-ratelimit-remaining-tokens': '149984',
      'x-ratelimit-reset-tokens': '6m0s',
    };
    const info = parseRateLimitHeaders(headers, now);
    expect(info).toEqual({
      requests: { limit: 60, remaining: 0, resetAt: now + 1_000 },
      tokens: { limit: 150_000, remaining: 149_984, resetAt: now + 360_000 },
      inputTokens: null,
      outputTokens: null,
      retryAfterMs: null,
    });
    expect(info && waitForReset(info, now)).toBe(1_000);
  });

  it('reads Anthropic’s', () => {
    const headers = {
      'anthropic-ratelimit-requests-limit': '50',
      'anthropic-ratelimit-requests-remaining': '49',
      'anthropic-ratelimit-requests-reset': '2015-10-21T07:28:00Z',
      'anthropic-ratelimit-input-tokens-limit': '40000',
      'anthropic-ratelimit-input-tokens-remaining': '0',
      'anthropic-ratelimit-input-tokens-reset': '2015-10-21T07:28:30Z',
      'retry-after': '60',
    };
    const info = parseRateLimitHeaders(headers, now);
    expect(info?.requests).toEqual({ limit: 50, remaining: 49, resetAt: now + 30_000 });
    expect(info?.inputTokens).toEqual({ limit: 40_000, remaining: 0, resetAt: now + 60_000 });
    expect(info?.retryAfterMs).toBe(60_000);
    expect(info && waitForReset(info, now)).toBe(60_000);
  });

  it('reads OpenRouter’s plain names, with a reset in epoch milliseconds', () => {
    const headers = {
      'x-ratelimit-limit': '20',
      'x-ratelimit-remaining': '0',
      'x-ratelimit-reset': String(now + 5_000),
    };
    expect(parseRateLimitHeaders(headers, now)?.requests).toEqual({ limit: 20, remaining: 0, resetAt: now + 5_000 });
  });

  it('says null where nothing is said', () => {
    expect(parseRateLimitHeaders({ 'content-type': 'application/json' }, now)).toBe(null);
    expect(parseRateLimitHeaders({ 'x-ratelimit-remaining-requests': 'many' }, now)).toBe(null);
  });

  it('never throws, whatever stands there', () => {
    const names = ['retry-after', 'x-ratelimit-reset-tokens', 'x-ratelimit-limit', 'anthropic-ratelimit-tokens-reset'];
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...names), fc.oneof(fc.string(), fc.array(fc.string()))), (headers) => {
        const info = parseRateLimitHeaders(headers, now);
        for (const counter of [info?.requests, info?.tokens]) {
          expect(counter?.resetAt ?? 0).not.toBeNaN();
        }
      }),
    );
  });
});
