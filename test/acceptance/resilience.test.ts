import { describe, expect, it } from 'vitest';
import { failureOf } from '../../schemas/failure.ts';
import { createMemoryBus } from '../../src/bus/memory.ts';
import type { Fields } from '../../src/endpoints/endpoint.ts';
import { onHook } from '../../src/hooks/on-hook.ts';
import { iModel } from '../../src/index.ts';
import { startUpstream, type UpstreamHandler } from '../../src/testing/upstream.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { TokenBudget } from '../../src/tokens/token-budget.ts';
import { readAll, rejection, type TimedModel, textOf, timedModel } from './timed-endpoint.ts';

const messages = [{ role: 'user', content: 'hello' }];
const answer = { choices: [{ message: { role: 'assistant', content: 'hi' }, finish_reason: 'stop' }] };
const down = failureOf('unavailable', 'no connection', {});
const wrong = failureOf('rejected', 'no', { status: 400 });

const refuse = (status: number, headers: Readonly<Record<string, string>> = {}): UpstreamHandler => {
  return (_request, reply) => reply.json({ error: { message: `The upstream says ${status}` } }, status, headers);
};

/** An iModel whose waits are virtual, on a real upstream that answers as the handlers say, one after the other; the last one goes on. */
async function loopback(handlers: readonly UpstreamHandler[], options: object = {}) {
  const clock = new VirtualClock();
  const startedAt: number[] = [];
  const upstream = await startUpstream((request, reply) => {
    const handler = handlers[Math.min(startedAt.length, handlers.length - 1)];
    startedAt.push(clock.now() / 1_000);
    return handler?.(request, reply);
  });
  const model = new iModel({ provider: 'local', model: 'm', baseUrl: upstream.url, clock, ...options });
  const close = async (): Promise<void> => {
    await model.close();
    await upstream.close();
  };
  return {
    ...{ clock, upstream, model, startedAt },
    /** Lets virtual time pass, as fast as the upstream answers, until something has come about. */
    async until<T>(promise: Promise<T>): Promise<T> {
      let isDone = false;
      const done = promise.finally(() => {
        isDone = true;
      });
      while (!isDone) {
        await new Promise((resolve) => setTimeout(resolve, 2));
        await clock.advance(250);
      }
      return done;
    },
    [Symbol.asyncDispose]: close,
  };
}

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

describe('the breaker', () => {
  const breaker = { failureThreshold: 5, recoveryTime: 30 };

  it('108. given failures separated by successes, then the breaker stays closed; five in a row open it', async () => {
    const { model } = timedModel({ breaker });
    for (let round = 0; round < 3; round += 1) {
      for (let n = 0; n < 4; n += 1) await model.invoke({ failure: down });
      await model.invoke({});
    }
    expect(model.state.regions.breaker).toBe('closed');
    for (let n = 0; n < 4; n += 1) await model.invoke({ failure: down });
    // A wrong request says nothing of the vendor, neither good nor bad.
    await model.invoke({ failure: wrong });
    expect(model.state.regions.breaker).toBe('closed');
    await model.invoke({ failure: down });
    expect(model.state).toMatchObject({ mode: 'tripped', regions: { breaker: 'tripped' } });
  });

  it('109. given open, then rejection without a request and retry_after in (0, recovery]; after recovery one trial; success closes, failure reopens', async () => {
    const { model, endpoint, clock } = timedModel({ breaker });
    for (let n = 0; n < 5; n += 1) await model.invoke({ failure: down });
    const rejected = async (afterMs?: number) => {
      const before = endpoint.starts.length;
      const { failure, status } = await model.invoke({});
      expect([status, failure?.code, failure?.retryable]).toEqual(['failed', 'circuit_open', true]);
      expect(failure?.retryAfterMs).toBe(afterMs);
      expect(endpoint.starts).toHaveLength(before);
    };
    await rejected(30_000);
    await clock.advance(29_999);
    await rejected(1);
    const stream = await readAll(model.stream({}));
    expect(stream.error).toMatchObject({ code: 'circuit_open' });

    await clock.advance(1);
    const trial = model.invoke({ takesMs: 1_000, failure: down });
    await rejected();
    expect(model.state.regions.breaker).toBe('trial');
    await clock.advance(1_000);
    expect(await trial).toMatchObject({ failure: { code: 'unavailable' } });
    await rejected(30_000);

    await clock.advance(30_000);
    expect(await model.invoke({})).toMatchObject({ status: 'completed' });
    expect(model.state.regions.breaker).toBe('closed');
    const many = await Promise.all(Array.from({ length: 5 }, () => model.invoke({})));
    expect(new Set(many.map(({ status }) => status))).toEqual(new Set(['completed']));
  });

  it.each([
    ['is cancelled', 'cancelled'],
    ['ends in an excluded error', 'rejected'],
  ])('110. given a half-open trial that %s, then the next call is admitted as trial', async (_name, ending) => {
    const { model, endpoint, clock } = timedModel({ breaker: { ...breaker, excludeCodes: ['overloaded'] } });
    for (let n = 0; n < 5; n += 1) await model.invoke({ failure: down });
    await clock.advance(30_000);
    if (ending === 'cancelled') {
      const controller = new AbortController();
      const trial = model.invoke({ takesMs: 5_000 }, { signal: controller.signal });
      controller.abort();
      expect((await rejection(trial)).code).toBe('cancelled');
    } else {
      await model.invoke({ failure: failureOf('overloaded', 'busy', {}) });
      await model.invoke({ failure: wrong });
    }
    expect(model.state.regions.breaker).toBe('trial');
    const before = endpoint.starts.length;
    expect(await model.invoke({})).toMatchObject({ status: 'completed' });
    expect(endpoint.starts).toHaveLength(before + 1);
    expect(model.state.regions.breaker).toBe('closed');
  });

  it('110. given a trial that streams, then its place is taken until the stream ends', async () => {
    const { model, clock } = timedModel({ breaker });
    for (let n = 0; n < 5; n += 1) await model.invoke({ failure: down });
    await clock.advance(30_000);
    const reading = readAll(model.stream({ chunks: ['a', 'b'], takesMs: 1_000 }));
    await clock.advance(1_500);
    expect(await model.invoke({})).toMatchObject({ failure: { code: 'circuit_open' } });
    await clock.advance(500);
    expect(textOf((await reading).chunks)).toBe('ab');
    expect(await model.invoke({})).toMatchObject({ status: 'completed' });
  });
});

describe('the breaker, when its trial never asks the vendor', () => {
  const breaker = { failureThreshold: 2, recoveryTime: 30 };
  const question = { name: 'kept' };

  /** Trips the breaker, and lets its time pass. */
  async function toTrial({ model, clock }: TimedModel): Promise<void> {
    for (let n = 0; n < 2; n += 1) await model.invoke({ failure: down });
    await clock.advance(30_000);
  }

  /** After a trial without a verdict: the state is as it was, and the next call is a trial that counts. */
  async function expectNoVerdict({ model, endpoint }: TimedModel): Promise<void> {
    expect(model.state.regions.breaker).toBe('trial');
    const before = endpoint.starts.length;
    expect(await model.invoke({ failure: down })).toMatchObject({ failure: { code: 'unavailable' } });
    expect(endpoint.starts).toHaveLength(before + 1);
    expect(model.state.regions.breaker).toBe('tripped');
  }

  it('learns nothing from the answer of a hook', async () => {
    const bus = createMemoryBus();
    const timed = timedModel({ breaker, hooks: [{ point: 'pre_invocation' }] });
    const served = timed.model.serve(bus);
    const answers = onHook(bus, 'pre_invocation', ({ request }) =>
      request.name === 'kept' ? { action: 'answer', text: 'of the hook' } : undefined,
    );
    await toTrial(timed);
    const before = timed.endpoint.starts.length;
    expect((await timed.model.invoke(question)).text).toBe('of the hook');
    expect(timed.endpoint.starts).toHaveLength(before);
    await expectNoVerdict(timed);
    answers.close();
    served.close();
    await bus.close();
  });

  it('learns nothing from a cache behind a hook, whose answers take no units of the limit', async () => {
    const timed = timedModel({
      breaker,
      cache: { ttl: 1_000 },
      limitRequests: 5,
      interval: 1_000,
      hookRegistry: { hooks: { pre_invocation: () => {} } },
    });
    Object.assign(timed.endpoint, { cacheKey: ({ name }: Fields) => (name === undefined ? null : name) });
    await timed.model.invoke(question);
    await toTrial(timed);
    const { remaining } = timed.model.state.budget.requests;
    expect(await timed.model.invoke(question)).toMatchObject({ status: 'completed' });
    expect(timed.endpoint.names.filter((name) => name === 'kept')).toHaveLength(1);
    expect(timed.model.state.budget.requests.remaining).toBe(remaining);
    await expectNoVerdict(timed);
  });

  it('learns nothing from a hook that refuses or takes too long', async () => {
    const pre = async (_event: unknown, _params: unknown): Promise<void> => {
      if (mood === 'refuses') throw new Error('not now');
      if (mood === 'sleeps') await new Promise(() => {});
    };
    let mood = 'lets pass';
    const timed = timedModel({ breaker, hookRegistry: { hooks: { pre_invocation: pre } } });
    await toTrial(timed);
    mood = 'refuses';
    expect(await timed.model.invoke(question)).toMatchObject({ failure: { code: 'vetoed' } });
    mood = 'sleeps';
    const slow = timed.model.invoke(question);
    await timed.clock.advance(31_000);
    expect(await slow).toMatchObject({ failure: { code: 'timed_out', phase: 'hook' } });
    mood = 'lets pass';
    await expectNoVerdict(timed);
  });
});

describe('tokens', () => {
  const chat = (options: object = {}): iModel =>
    new iModel({ model: 'openai/gpt-4o', apiKey: 'sk-of-nobody', limitTokens: 10_000, ...options });
  const estimate = (content: unknown): number => {
    const { endpoint } = chat();
    return endpoint.estimateTokens(endpoint.prepare({ messages: [{ role: 'user', content }] }));
  };
  const text = { type: 'text', text: 'What is it that you hear and see?' };

  it('111. given null content with tool calls, then the estimate is a number and invoke completes', async () => {
    await using upstream = await startUpstream((_request, reply) => reply.json(answer));
    await using model = chat({ baseUrl: upstream.url });
    const toolCalls = [{ id: 't', type: 'function', function: { name: 'look', arguments: '{"at":"the sea"}' } }];
    const asked = [
      ...messages,
      { role: 'assistant', content: null, tool_calls: toolCalls },
      { role: 'tool', tool_call_id: 't', content: 'it is blue' },
    ];
    const call = await model.invoke({ messages: asked });
    expect(call).toMatchObject({ status: 'completed', text: 'hi' });
    // No usage was reported, so what counts is the estimate.
    expect(model.state.budget.tokens.used).toBeGreaterThan(messages.length * 4);
    expect(upstream.requests[0]?.json()).toMatchObject({ messages: asked });
  });

  it("112. given a text part and an audio part, then the estimate is at least the text part's", () => {
    const audio = { type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } };
    expect(estimate([text, audio])).toBeGreaterThan(estimate([text]));
    expect(estimate([audio, text])).toBe(estimate([text, audio]));
  });

  it('113. given text plus image_url, then text + 500 + 4', () => {
    const image = { type: 'image_url', image_url: { url: 'https://example.com/sea.png' } };
    const ofText = estimate([text]) - 4;
    expect(ofText).toBeGreaterThan(4);
    expect(estimate([text, image])).toBe(ofText + 500 + 4);
  });

  it('114. given an Anthropic chat model and limit_tokens, then the limit applies', async () => {
    const reply = {
      type: 'message',
      role: 'assistant',
      content: [{ type: 'text', text: 'hi' }],
      stop_reason: 'end_turn',
    };
    await using upstream = await startUpstream((_request, answering) => answering.json(reply));
    await using model = new iModel({
      model: 'anthropic/claude-sonnet-4-5',
      apiKey: 'sk-of-nobody',
      baseUrl: upstream.url,
      limitTokens: 150,
    });
    const tooLarge = await rejection(model.invoke({ messages, max_tokens: 200 }));
    expect(tooLarge.failure).toMatchObject({ code: 'estimate_too_large', limit: 150 });
    expect(await model.invoke({ messages, max_tokens: 100 })).toMatchObject({ status: 'completed', text: 'hi' });
    expect(model.state.budget.tokens.used).toBeGreaterThan(100);
    const waiting = model.invoke({ messages, max_tokens: 100 }, { queueTimeoutMs: 50 });
    expect(model.state).toMatchObject({ mode: 'throttled', blocked: 'rate', queue: { waiting: 1 } });
    expect((await rejection(waiting)).failure).toMatchObject({ code: 'timed_out', phase: 'rate' });
    expect(upstream.requests).toHaveLength(1);
  });

  it('115. given used 70/100, then warning not critical; 90/100 critical; 150/100 remaining 0; limit 0 no throw', () => {
    const facts = (used: number, limit: number) => {
      const { isWarning, isCritical, remaining, usageFraction } = new TokenBudget(used, limit);
      return { isWarning, isCritical, remaining, usageFraction };
    };
    expect(facts(69, 100)).toMatchObject({ isWarning: false });
    expect(facts(70, 100)).toMatchObject({ isWarning: true, isCritical: false, remaining: 30 });
    expect(facts(90, 100)).toMatchObject({ isWarning: true, isCritical: true, remaining: 10 });
    expect(facts(150, 100)).toMatchObject({ remaining: 0, usageFraction: 1.5 });
    expect(facts(5, 0)).toEqual({ isWarning: false, isCritical: false, remaining: 0, usageFraction: 0 });
  });
});

describe('token usage that the model is told', () => {
  const tells = { include_token_usage_to_model: true };
  const note = /\n\nEstimated Current Token Usage: [\d,]+\/128,000$/;

  it('116. given caller messages reused twice with token usage inclusion, then they are unchanged', async () => {
    await using bench = await loopback([(_request, reply) => reply.json(answer)]);
    const own = [{ role: 'user', content: 'hello' }];
    for (const _time of [1, 2]) await bench.until(bench.model.invoke({ messages: own, ...tells }));
    expect(own).toEqual([{ role: 'user', content: 'hello' }]);
    const sent = bench.upstream.requests.map((request) => request.json());
    // The first may be estimated before the tokenizer is there, and so have another number.
    const noted = { model: 'm', messages: [{ role: 'user', content: expect.stringMatching(note) }] };
    expect(sent).toEqual([noted, noted]);
  });

  it('stands behind the last text of a message with parts', async () => {
    await using bench = await loopback([(_request, reply) => reply.json(answer)], { contextWindow: 128_000 });
    const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } };
    const content = [{ type: 'text', text: 'what' }, { type: 'text', text: 'is this' }, image];
    await bench.until(bench.model.invoke({ messages: [{ role: 'user', content }], ...tells }));
    const sent = (await bench.upstream.request(0)).json();
    const noted = [{ text: 'what' }, { text: expect.stringMatching(note) }, image];
    expect(sent.messages).toMatchObject([{ role: 'user', content: noted }]);
  });
});
