import { describe, expect, it } from 'vitest';
import { failure } from '../../schemas/failure.ts';
import type { HttpHeaders } from '../../src/http/exchange.ts';
import { readVendorError } from '../../src/http/vendor-error.ts';
import { vendorFailure } from '../../src/http/vendor-failure.ts';

const now = Date.UTC(2026, 10, 1);

function map(status: number | undefined, body: unknown, headers: HttpHeaders = {}, secret: string | null = null) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const error = readVendorError(typeof body === 'string' ? undefined : body, text, status, headers);
  const mapped = vendorFailure(error, { provider: 'acme', secret, now });
  expect(failure.parse(mapped)).toEqual(mapped);
  return mapped;
}

const openaiError = (message: string, more: object = {}) => ({
  error: { message, type: null, param: null, code: null, ...more },
});

describe('by status', () => {
  it.each([
    [400, 'rejected', false],
    [401, 'unauthorized', false],
    [402, 'rejected', false],
    [403, 'unauthorized', false],
    [404, 'rejected', false],
    [408, 'unavailable', true],
    [409, 'rejected', false],
    [413, 'rejected', false],
    [422, 'rejected', false],
    [429, 'rate_limited', true],
    [432, 'rejected', false],
    [433, 'rejected', false],
    [498, 'overloaded', true],
    [500, 'unavailable', true],
    [502, 'unavailable', true],
    [503, 'overloaded', true],
    [504, 'unavailable', true],
    [520, 'unavailable', true],
    [529, 'overloaded', true],
    [302, 'rejected', false],
  ])('%i is %s, retryable %s', (status, code, retryable) => {
    expect(map(status, openaiError('No.'))).toMatchObject({ code, retryable, status, source: 'provider' });
  });
});

describe('by the vendor’s words', () => {
  it('tells an empty account from a rate limit', () => {
    const body = openaiError('You exceeded your current quota', {
      type: 'insufficient_quota',
      code: 'insufficient_quota',
    });
    expect(map(429, body)).toMatchObject({ code: 'rejected', retryable: false, reason: 'insufficient_quota' });
  });

  it("tells Google's rate limit from an empty account, though it speaks of billing", () => {
    const message =
      'You exceeded your current quota, please check your plan and billing details. Please retry in 36.5s.';
    const error = { code: 429, message, status: 'RESOURCE_EXHAUSTED' };
    expect(map(429, [{ error }])).toMatchObject({ code: 'rate_limited', retryable: true, retryAfterMs: 36_500 });
    expect(map(402, [{ error: { ...error, code: 402 } }])).toMatchObject({ code: 'rejected', retryable: false });
  });

  it('knows a request that is larger than its limit of a minute, as Groq has it', () => {
    const body = openaiError('Request too large for model … (TPM): Limit 6000, Requested 9000', {
      type: 'tokens',
      code: 'rate_limit_exceeded',
    });
    expect(map(413, body)).toMatchObject({ code: 'rejected', retryable: false });
  });

  it.each([
    [
      'context_length_exceeded',
      "This model's maximum context length is 8192 tokens. However, your messages resulted in 10000 tokens.",
      10_000,
      8_192,
    ],
    ['invalid_request_error', 'prompt is too long: 210000 tokens > 200000 maximum', 210_000, 200_000],
    [
      undefined,
      'The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).',
      1_200_000,
      1_048_576,
    ],
  ])('finds both counts of an overflow (%s)', (code, message, tokens, limit) => {
    expect(map(400, openaiError(message, { code }))).toMatchObject({
      code: 'context_overflow',
      tokens,
      limit,
      retryable: false,
    });
  });

  it('knows an overflow without counts', () => {
    const mapped = map(400, openaiError('Please reduce the length', { code: 'context_length_exceeded' }));
    expect(mapped).toMatchObject({ code: 'context_overflow' });
    expect(mapped).not.toHaveProperty('tokens');
  });

  it('knows a content filter and a moderation', () => {
    expect(map(400, openaiError('Blocked', { code: 'content_filter' })).code).toBe('filtered');
    expect(map(403, openaiError('Input was flagged by moderation')).code).toBe('filtered');
  });

  it('knows a bad key behind a 400', () => {
    const body = [
      { error: { code: 400, message: 'API key not valid. Please pass a valid API key.', status: 'INVALID_ARGUMENT' } },
    ];
    expect(map(400, body)).toMatchObject({ code: 'unauthorized', reason: '400' });
  });

  it('reads Google’s list of one, with its hint', () => {
    const body = [
      { error: { code: 429, message: 'Quota', status: 'RESOURCE_EXHAUSTED', details: [{ retryDelay: '36s' }] } },
    ];
    expect(map(429, body)).toMatchObject({ code: 'rate_limited', retryAfterMs: 36_000 });
  });

  it('maps Anthropic’s types inside a stream, where there is no status', () => {
    const of = (type: string) => map(undefined, { type: 'error', error: { type, message: 'm' } }).code;
    expect(of('overloaded_error')).toBe('overloaded');
    expect(of('rate_limit_error')).toBe('rate_limited');
    expect(of('api_error')).toBe('unavailable');
    expect(of('invalid_request_error')).toBe('rejected');
    expect(of('authentication_error')).toBe('unauthorized');
    expect(of('billing_error')).toBe('rejected');
  });

  it('takes a status out of a code inside a stream', () => {
    expect(map(undefined, { error: { code: 502, message: 'Provider disconnected' } }).code).toBe('unavailable');
    expect(map(undefined, { error: { code: 429, message: 'Slow down' } }).code).toBe('rate_limited');
  });

  it('lets x-should-retry decide', () => {
    expect(map(500, openaiError('x'), { 'x-should-retry': 'false' }).retryable).toBe(false);
    expect(map(400, openaiError('x'), { 'x-should-retry': 'true' }).retryable).toBe(true);
  });
});

describe('the message', () => {
  it.each([
    [openaiError('told so'), 'told so'],
    [{ error: 'plain text' }, 'plain text'],
    [{ message: 'outer' }, 'outer'],
    [{ detail: 'a detail' }, 'a detail'],
    [{ detail: [{ msg: 'field required' }, { msg: 'too long' }] }, 'field required; too long'],
    [{ detail: { error: 'Tavily says' } }, 'Tavily says'],
    [{ title: 'Unauthorized', status: 401 }, 'Unauthorized'],
    ['<html><head><title>502 Bad Gateway</title></head></html>', 'an HTML page titled "502 Bad Gateway"'],
    ['upstream connect error', 'upstream connect error'],
    ['', 'no explanation'],
  ])('of %j is %j', (body, expected) => {
    expect(map(500, body).message).toBe(`acme answered with 500: ${expected}`);
  });
});

describe('what it carries', () => {
  it('names the request, shortens the body, and gives the wait', () => {
    const body = { error: { message: 'x', code: 'rate_limit_exceeded' }, filler: 'y'.repeat(5_000) };
    const mapped = map(429, body, { 'x-request-id': 'req_1', 'retry-after': '2' });
    expect(mapped).toMatchObject({ requestId: 'req_1', retryAfterMs: 2_000, reason: 'rate_limit_exceeded' });
    expect((mapped as { body?: string }).body).toHaveLength(2_000);
  });

  it('waits for the reset of a counter at 0 when nothing else is said', () => {
    const headers = { 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '8.64s' };
    expect(map(429, openaiError('x'), headers).retryAfterMs).toBe(8_640);
  });

  it('blots out the key wherever the vendor echoes it', () => {
    const secret = 'sk-very-secret-key';
    const mapped = map(401, openaiError(`Incorrect API key provided: ${secret}`, { code: secret }), {}, secret);
    expect(JSON.stringify(mapped)).not.toContain(secret);
    expect(mapped.message).toContain('[key]');
  });
});
