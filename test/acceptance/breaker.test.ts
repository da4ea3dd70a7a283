import { describe, expect, it } from 'vitest';
import { failureOf } from '../../schemas/failure.ts';
import { createMemoryBus } from '../../src/bus/memory.ts';
import type { Fields } from '../../src/endpoints/endpoint.ts';
import { onHook } from '../../src/hooks/on-hook.ts';
import { readAll, rejection, type TimedModel, textOf, timedModel } from './timed-endpoint.ts';

const down = failureOf('unavailable', 'no connection', {});
const wrong = failureOf('rejected', 'no', { status: 400 });

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
