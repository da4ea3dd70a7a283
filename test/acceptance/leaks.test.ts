import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { failureOf } from '../../schemas/failure.ts';
import { readAll, timedModel } from './timed-endpoint.ts';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

describe('what is left behind', () => {
  it('53. given 1000 mixed calls, then afterwards the store, queue and slots are empty, and no timer is set', async () => {
    const timed = timedModel({ limitRequests: 200, limitTokens: 4_000, interval: 1, concurrencyLimit: 20 });
    const { model, clock, endpoint } = timed;
    model.observe(() => {
      throw new Error('an observer that throws');
    });
    const ended: string[] = [];
    model.observe(({ type, call_id: id }) => {
      if (type === 'post_invocation' && id !== undefined) ended.push(id);
    });
    const held = (ids: readonly string[]): string[] => ids.filter((id) => model.live.findCall(id) !== undefined);
    const ends: Promise<unknown>[] = [];
    const controllers: AbortController[] = [];
    for (let n = 0; n < 1_000; n += 1) {
      const play = { tokens: 1 + (n % 40), takesMs: (n % 7) * 30, usedTokens: n % 50 };
      const options = { caller: `caller ${n % 3}`, priority: n % 5 === 0 ? 1 : 0 };
      switch (n % 10) {
        case 0:
          ends.push(model.invoke({ ...play, failure: failureOf('unavailable', 'down', {}) }, options));
          break;
        case 1:
          ends.push(model.invoke({ ...play, thrown: new Error('broken') }, options));
          break;
        case 2: {
          const controller = new AbortController();
          controllers.push(controller);
          ends.push(model.invoke(play, { ...options, signal: controller.signal }));
          break;
        }
        case 3:
          ends.push(model.invoke(play, { ...options, timeoutMs: 1 + n * 3 }));
          break;
        case 4:
          ends.push(model.invoke({ ...play, tokens: 5_000 }, options));
          break;
        case 5:
          ends.push(readAll(model.stream({ ...play, chunks: ['a', 'b', 'c'] }, options)));
          break;
        case 6: {
          const stream = model.stream({ ...play, chunks: ['a', 'b'] }, options);
          expect(held([stream.call.id])).toEqual([stream.call.id]);
          ends.push(stream.next().then(() => stream.return()));
          break;
        }
        default:
          ends.push(model.invoke(play, options));
      }
    }
    const settled = Promise.allSettled(ends);
    for (const [index, controller] of controllers.entries()) {
      if (index % 4 === 0) await clock.advance(20);
      controller.abort();
    }
    await clock.advance(600_000);
    await settled;

    const { counters, queue, running, blocked, mode, budget } = model.state;
    expect({ running, blocked, mode, waiting: queue.waiting, outside: queue.outside }).toEqual({
      running: 0,
      blocked: null,
      mode: 'idle',
      waiting: 0,
      outside: 0,
    });
    expect(budget).toMatchObject({ requests: { used: 0 }, tokens: { used: 0 }, refreshes_at: null });
    const { completed, failed, cancelled, aborted, skipped } = counters;
    expect(counters.submitted).toBe(1_000);
    expect(completed + failed + cancelled + aborted + skipped).toBe(1_000);
    expect([completed > 300, failed, cancelled > 100, aborted > 0, skipped]).toEqual([true, 200, true, true, 100]);
    expect(new Set(ended).size).toBe(1_000);
    expect(ended).toHaveLength(1_000);
    expect(held(ended)).toEqual([]);
    expect(endpoint.running).toBe(0);
    expect(endpoint.mostRunning).toBe(20);
    expect(clock.timers).toBe(0);

    await model.close();
    expect(clock.timers).toBe(0);
  });

  it('53. given calls with ids of their own, then an id is free again when its call has ended', async () => {
    const { model, clock } = timedModel();
    const first = model.invoke({ takesMs: 100 }, { callId: 'mine' });
    await expect(model.invoke({}, { callId: 'mine' })).rejects.toMatchObject({
      failure: { code: 'conflict', callId: 'mine' },
    });
    expect(() => model.stream({}, { callId: 'mine' })).toThrow(/mine/);
    await clock.advance(100);
    expect(await first).toMatchObject({ id: 'mine', status: 'completed' });
    expect(await model.invoke({}, { callId: 'mine' })).toMatchObject({ id: 'mine', status: 'completed' });
  });

  it('53. given calls that have ended, then nothing holds them: neither the window, nor the store, nor a signal', async () => {
    const { model } = timedModel({ limitRequests: 10_000, interval: 600 });
    const { signal } = new AbortController();
    const ended: WeakRef<object>[] = [];
    for (let n = 0; n < 100; n += 1) ended.push(new WeakRef(await model.invoke({}, { signal, timeoutMs: 1_000 })));
    for (let n = 0; n < 100; n += 1) {
      const stream = model.stream({ chunks: ['a'] }, { signal });
      await readAll(stream);
      ended.push(new WeakRef(stream.call));
    }
    // A WeakRef holds until the turn of the loop ends.
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    // The engine itself may hold the last value of a loop.
    expect(ended.filter((call) => call.deref() !== undefined).length).toBeLessThanOrEqual(2);
    expect(model.state.budget.requests.used).toBe(200);
  });
});
