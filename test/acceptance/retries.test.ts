import { describe, expect, it } from 'vitest';
import { failureOf } from '../../schemas/failure.ts';
import type { UpstreamHandler } from '../../src/testing/upstream.ts';
import { answer, loopback, messages } from './loopback.ts';
import { readAll, timedModel } from './timed-endpoint.ts';

const down = failureOf('unavailable', 'no connection', {});

const refuse = (status: number, headers: Readonly<Record<string, string>> = {}): UpstreamHandler => {
  return (_request, reply) => reply.json({ error: { message: `The upstream says ${status}` } }, status, headers);
};

describe('retries', () => {
  it('102. given 429 with Retry-After 2 then 200, then the second attempt is at >= 2 s and other calls were not admitted meanwhile', async () => {
    const served: UpstreamHandler = (_request, reply) => reply.json(answer);
    await using bench = await loopback([refuse(429, { 'retry-after': '2' }), served], {
      retry: { baseDelay: 0.1, maxDelay: 0.1 },
    });
    const { model, clock, upstream, startedAt } = bench;
    const retrying = new Promise<unknown>((resolve) => {
      model.observe((event) => event.type === 'retrying' && resolve(event));
    });
    const first = model.invoke({ messages });
    expect(await retrying).toMatchObject({ delay_ms: 2_000, attempts: 1, failure: { code: 'rate_limited' } });
    const other = model.invoke({ messages });
    await clock.advance(1_999);
    expect(model.state).toMatchObject({ mode: 'cooling', blocked: 'cooling', running: 1, queue: { waiting: 1 } });
    expect(upstream.requests).toHaveLength(1);
    await clock.advance(1);
    expect(await bench.until(first)).toMatchObject({ status: 'completed', attempts: 2, text: 'hi' });
    expect(await bench.until(other)).toMatchObject({ status: 'completed', attempts: 1 });
    expect(startedAt[0]).toBe(0);
    expect(startedAt.slice(1).every((at) => at >= 2)).toBe(true);
  });

  it.each([
    ['429', refuse(429), 4],
    ['500', refuse(500), 4],
    ['400', refuse(400), 1],
  ])(
    '103. given a RetryConfig with defaults, then %s is sent so often: 429 and 500 four times, 400 once',
    async (_name, handler, attempts) => {
      await using bench = await loopback([handler], { retry: {} });
      const call = await bench.until(bench.model.invoke({ messages }));
      expect(call).toMatchObject({ status: 'failed', attempts });
      expect(bench.upstream.requests).toHaveLength(attempts);
    },
  );

  it('103. given a RetryConfig with defaults, then a refused connection is retried', async () => {
    await using bench = await loopback([], { retry: {} });
    await bench.upstream.close();
    const call = await bench.until(bench.model.invoke({ messages }));
    expect(call).toMatchObject({ attempts: 4, failure: { code: 'unavailable', reason: 'ECONNREFUSED' } });
  });

  it.each([
    ['without RetryConfig', {}],
    ['with RetryConfig', { retry: { maxRetries: 3 } }],
  ])('104. given max_retries=3 and permanent 500, then 4 requests %s; attempts = 4', async (_name, options) => {
    await using bench = await loopback([refuse(500)], options);
    const { model, upstream } = bench;
    expect(await bench.until(model.invoke({ messages }))).toMatchObject({ attempts: 4, failure: { status: 500 } });
    expect(upstream.requests).toHaveLength(4);
    const stream = model.stream({ messages });
    expect((await bench.until(readAll(stream))).error).toMatchObject({ code: 'unavailable' });
    expect(stream.call.attempts).toBe(4);
    expect(upstream.requests).toHaveLength(8);
  });

  it('105. given 201 with JSON, then completed, one request; given a 200 non-JSON body, then failed, one request', async () => {
    const created: UpstreamHandler = (_request, reply) => reply.json(answer, 201);
    const text: UpstreamHandler = (_request, reply) => reply.text('all is well', 200);
    await using bench = await loopback([created, text], { retry: {} });
    const { model, upstream } = bench;
    expect(await bench.until(model.invoke({ messages }))).toMatchObject({ status: 'completed', text: 'hi' });
    expect(upstream.requests).toHaveLength(1);
    const call = await bench.until(model.invoke({ messages }));
    expect(call).toMatchObject({ status: 'failed', attempts: 1, failure: { code: 'malformed', retryable: false } });
    expect(upstream.requests).toHaveLength(2);
  });

  it('106. given no jitter, base 1, factor 2, max 3, then delays 1, 2, 3, 3', async () => {
    const retry = { maxRetries: 4, baseDelay: 1, backoffFactor: 2, maxDelay: 3, jitter: false };
    const { at, until, endpoint, outcomes } = timedModel({ retry });
    at(0, { failure: down });
    await until(60);
    expect(endpoint.startSeconds).toEqual([0, 1, 3, 6, 9]);
    expect(await outcomes[0]).toMatchObject({ attempts: 5, failure: { code: 'unavailable' } });
  });

  it('107. given an excluded error class, then no retry, no sleep', async () => {
    const { model, endpoint, clock } = timedModel({ retry: { excludeCodes: ['unavailable'] } });
    expect(await model.invoke({ failure: down })).toMatchObject({ status: 'failed', attempts: 1 });
    expect(endpoint.startSeconds).toEqual([0]);
    expect(clock.now()).toBe(0);
  });

  it('103. given Retry-After that does not fit the deadline, then it fails now, with what the vendor said', async () => {
    await using bench = await loopback([refuse(429, { 'retry-after': '20' })], { retry: {} });
    const call = await bench.model.invoke({ messages }, { timeoutMs: 10_000 });
    expect(call).toMatchObject({
      status: 'failed',
      attempts: 1,
      failure: { code: 'rate_limited', retryAfterMs: 20_000 },
    });
  });

  it('103. given a limit, then each attempt takes rate units', async () => {
    const retry = { maxRetries: 2, baseDelay: 0.1, jitter: false };
    const { at, until, endpoint } = timedModel({ retry, limitRequests: 2, interval: 10 });
    at(0, { name: 'a', failure: down });
    at(0.05, { name: 'b' });
    at(1, { name: 'c' });
    await until(60);
    // Units come free at 10 and 10.05 s, and then at 20: the second attempt takes one, and the third waits for it beyond its delay.
    expect(endpoint.starts.map(({ name, at: ms }) => [name, ms / 1_000])).toEqual([
      ['a', 0],
      ['b', 0.05],
      ['a', 10],
      ['c', 10.05],
      ['a', 20],
    ]);
  });
});
