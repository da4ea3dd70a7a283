import { describe, expect, it, vi } from 'vitest';
import { iModel } from '../../src/index.ts';
import { startUpstream, type Upstream } from '../../src/testing/upstream.ts';

const messages = [{ role: 'user', content: 'hello' }];
const answer = { choices: [{ message: { content: 'hi' }, finish_reason: 'stop' }] };
const resetMs = 700;

/** A model without limits of its own; its vendor's words alone make it wait. */
const local = ({ url }: Upstream): iModel => {
  return new iModel({ provider: 'local', model: 'm', baseUrl: url, retry: { baseDelay: 0.01, maxDelay: 0.01 } });
};

/** Milliseconds between two requests, by the upstream's clock. */
const gap = ({ requests }: Upstream, first: number, second: number): number => {
  const [one, other] = [requests[first], requests[second]];
  if (one === undefined || other === undefined) throw new Error(`There is no request ${first} or ${second}`);
  return other.receivedAt - one.receivedAt;
};

describe.concurrent("a vendor's counters", () => {
  it.each([
    [
      'requests, as OpenAI and Groq say it',
      { 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': `${resetMs}ms` },
    ],
    [
      'tokens, as OpenAI and Groq say it',
      { 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': `${resetMs / 1_000}s` },
    ],
  ])('at zero cool the model until their reset: %s', async (_what, headers) => {
    await using upstream = await startUpstream((_request, reply) => reply.json(answer, 200, headers));
    await using model = local(upstream);
    await model.invoke({ messages });
    const waiting = model.invoke({ messages });
    expect(model.state).toMatchObject({ mode: 'cooling', blocked: 'cooling', running: 0, queue: { waiting: 1 } });
    expect(await waiting).toMatchObject({ status: 'completed' });
    expect(gap(upstream, 0, 1)).toBeGreaterThanOrEqual(resetMs);
  });

  it('are heard with an RFC 3339 time, as Anthropic says it', async () => {
    const reply = {
      type: 'message',
      role: 'assistant',
      content: [{ type: 'text', text: 'hi' }],
      stop_reason: 'end_turn',
    };
    await using upstream = await startUpstream((_request, answering) => {
      const resetAt = new Date(Date.now() + resetMs).toISOString();
      answering.json(reply, 200, {
        'anthropic-ratelimit-requests-remaining': '0',
        'anthropic-ratelimit-requests-reset': resetAt,
      });
    });
    await using model = new iModel({
      model: 'anthropic/claude-sonnet-4-5',
      apiKey: 'sk-of-nobody',
      baseUrl: upstream.url,
    });
    await model.invoke({ messages, max_tokens: 5 });
    await model.invoke({ messages, max_tokens: 5 });
    expect(gap(upstream, 0, 1)).toBeGreaterThanOrEqual(resetMs);
  });

  it('let so many start as are left, and no more', async () => {
    const longMs = 1_500;
    await using upstream = await startUpstream((_request, reply) => {
      const left = upstream.requests.length > 3 ? 100 : 3 - upstream.requests.length;
      const headers = { 'x-ratelimit-remaining-requests': `${left}`, 'x-ratelimit-reset-requests': `${longMs}ms` };
      reply.json(answer, 200, headers);
    });
    await using model = local(upstream);
    await model.invoke({ messages });
    await Promise.all(Array.from({ length: 3 }, () => model.invoke({ messages })));
    expect(gap(upstream, 0, 2)).toBeLessThan(longMs);
    expect(gap(upstream, 0, 3)).toBeGreaterThanOrEqual(longMs);
  });
});

describe.concurrent('Retry-After', () => {
  it.each([
    ['seconds', () => ({ 'retry-after': '1' })],
    ['a fraction', () => ({ 'retry-after': '0.6' })],
    ['milliseconds', () => ({ 'retry-after-ms': '600', 'retry-after': '30' })],
    ['milliseconds, as Azure says it', () => ({ 'x-ms-retry-after-ms': '600' })],
    ['a duration', () => ({ 'retry-after': '600ms' })],
    // Of a date only whole seconds are written, so it may be up to a second less than was meant.
    ['a date', () => ({ 'retry-after': new Date(Date.now() + 1_600).toUTCString() })],
  ])('is a floor in %s, for all calls of the model', async (_spelling, headers) => {
    await using upstream = await startUpstream((_request, reply) => {
      if (upstream.requests.length > 1) reply.json(answer);
      else reply.json({ error: { message: 'slow down' } }, 429, headers());
    });
    await using model = local(upstream);
    const first = model.invoke({ messages });
    await vi.waitFor(() => expect(model.state.mode).toBe('cooling'));
    const calls = await Promise.all([first, model.invoke({ messages })]);
    expect(calls.map(({ status }) => status)).toEqual(['completed', 'completed']);
    expect(gap(upstream, 0, 1)).toBeGreaterThanOrEqual(590);
  });

  it('holds for a call that was dispatched before and had not been written', async () => {
    await using upstream = await startUpstream((_request, reply) => {
      if (upstream.requests.length > 1) reply.json(answer);
      else reply.json({ error: { message: 'slow down' } }, 429, { 'retry-after': '0.6' });
    });
    let goOn = (): void => {};
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    await using model = new iModel({
      ...{ provider: 'local', model: 'm', baseUrl: upstream.url, limitRequests: 10 },
      retry: { baseDelay: 0.01, maxDelay: 0.01 },
      hookRegistry: { pre_invocation: ({ payload }) => (payload.user === 'slow' ? held : undefined) },
    });
    const types: string[] = [];
    const slow = model.createApiCalling({ messages, user: 'slow' });
    model.observe(({ type, call_id: id }) => id === slow.id && types.push(type));
    const dispatched = model.invoke(slow);
    const refused = model.invoke({ messages });
    await vi.waitFor(() => expect(model.state.cooling_until).not.toBeNull());
    goOn();
    expect(await dispatched).toMatchObject({ status: 'completed', attempts: 1 });
    expect(await refused).toMatchObject({ status: 'completed', attempts: 2 });
    expect(upstream.requests).toHaveLength(3);
    expect(gap(upstream, 0, 1)).toBeGreaterThanOrEqual(600);
    expect(types.filter((type) => type !== 'hook')).toEqual([
      'created',
      'pre_invocation',
      'answered',
      'post_invocation',
    ]);
    // What was not written has cost nothing.
    expect(model.state.budget.requests.used).toBe(3);
  });

  it.each([
    [
      'Google, in the body',
      {
        error: {
          status: 'RESOURCE_EXHAUSTED',
          details: [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '0.6s' }],
        },
      },
    ],
    ['Groq, in its sentence', { error: { message: 'Rate limit reached. Please try again in 600ms.' } }],
  ])('is heard from %s', async (_who, body) => {
    await using upstream = await startUpstream((_request, reply) => {
      if (upstream.requests.length > 1) reply.json(answer);
      else reply.json(body, 429);
    });
    await using model = local(upstream);
    expect(await model.invoke({ messages })).toMatchObject({ status: 'completed', attempts: 2 });
    expect(gap(upstream, 0, 1)).toBeGreaterThanOrEqual(590);
  });
});
