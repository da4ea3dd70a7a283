import { describe, expect, it } from 'vitest';
import { rejection, timedModel } from './timed-endpoint.ts';

/** Submits this many calls of this length at 0, named 1, 2, …. */
function submit(timed: ReturnType<typeof timedModel>, count: number, takesMs = 0): void {
  for (let n = 1; n <= count; n += 1) timed.at(0, { name: String(n), takesMs });
}

describe('queue and limits', () => {
  it.each([
    ['34. given 2 per 1 s and five calls at 0, then starts 1,2 | 3,4 | 5 at 0, 1, 2', 0],
    ['35. given 2 per 1 s and five calls of 3 s at 0, then the same starts', 3_000],
  ])('%s', async (_name, takesMs) => {
    const timed = timedModel({ limitRequests: 2, interval: 1 });
    submit(timed, 5, takesMs);
    await timed.until(10);
    expect(timed.endpoint.names).toEqual(['1', '2', '3', '4', '5']);
    expect(timed.endpoint.startSeconds).toEqual([0, 0, 1, 1, 2]);
    for (const call of await Promise.all(timed.outcomes)) expect(call).toMatchObject({ status: 'completed' });
    expect(timed.clock.timers).toBe(0);
  });

  it('36. given two calls at 0.90 and two at 1.05, then starts 0.90, 0.90, 1.90, 1.90', async () => {
    const timed = timedModel({ limitRequests: 2, interval: 1 });
    for (const [index, seconds] of [0.9, 0.9, 1.05, 1.05].entries()) timed.at(seconds, { name: String(index + 1) });
    await timed.until(5);
    expect(timed.endpoint.names).toEqual(['1', '2', '3', '4']);
    expect(timed.endpoint.startSeconds).toEqual([0.9, 0.9, 1.9, 1.9]);
  });

  it('38. given limit_requests=1 and default cycle, two calls at 0, then the second starts at 60 and completes', async () => {
    const timed = timedModel({ limitRequests: 1 });
    submit(timed, 2);
    await timed.until(60);
    expect(timed.endpoint.startSeconds).toEqual([0, 60]);
    expect(await Promise.all(timed.outcomes)).toMatchObject([{ status: 'completed' }, { status: 'completed' }]);
  });

  it('39. given limit 3 per 0.1 s and 8 calls, then all 8 complete, 8 requests', async () => {
    const timed = timedModel({ limitRequests: 3, interval: 0.1 });
    submit(timed, 8);
    await timed.until(1);
    expect(timed.endpoint.startSeconds).toEqual([0, 0, 0, 0.1, 0.1, 0.1, 0.2, 0.2]);
    expect(timed.model.state.counters).toMatchObject({ submitted: 8, completed: 8 });
  });

  it('40. given no limits, defaults, 250 calls of 1 s at once, then all complete and a later invoke completes', async () => {
    const timed = timedModel();
    submit(timed, 250, 1_000);
    await timed.until(1);
    expect(timed.model.state.counters.completed).toBe(250);
    timed.at(1);
    await timed.until(1);
    expect(timed.model.state.counters.completed).toBe(251);
  });

  it.each([
    ['and no limits', {}],
    ['and a limit they keep to', { limitRequests: 1_000 }],
  ])('41. given 150 quick calls at once %s, then all complete without waiting for a cycle', async (_name, options) => {
    const timed = timedModel(options);
    submit(timed, 150);
    await Promise.all(timed.outcomes);
    expect(timed.clock.now()).toBe(0);
    expect(timed.endpoint.starts).toHaveLength(150);
    expect(timed.model.state.counters.completed).toBe(150);
  });

  it('42. given queue_capacity=2 and concurrency 1, when five are submitted, then at most two wait in the queue and further producers wait', async () => {
    const timed = timedModel({ queueCapacity: 2, concurrencyLimit: 1 });
    let mostWaiting = 0;
    timed.model.observe(() => {
      mostWaiting = Math.max(mostWaiting, timed.model.state.queue.waiting);
    });
    submit(timed, 5, 1_000);
    expect(timed.model.state).toMatchObject({ running: 1, queue: { waiting: 2, outside: 2, capacity: 2 } });
    await timed.until(5);
    expect(timed.endpoint.names).toEqual(['1', '2', '3', '4', '5']);
    expect(timed.endpoint.startSeconds).toEqual([0, 1, 2, 3, 4]);
    expect(timed.model.state.counters.completed).toBe(5);
    expect(mostWaiting).toBe(2);
  });

  it('42. given queue_capacity=2, concurrency 1 and on_full=reject, then those beyond get QueueFull', async () => {
    const timed = timedModel({ queueCapacity: 2, concurrencyLimit: 1, onFull: 'reject' });
    submit(timed, 5, 1_000);
    for (const outcome of timed.outcomes.slice(3)) {
      const error = await rejection(outcome);
      expect(error.failure).toMatchObject({ code: 'queue_full', capacity: 2, retryable: true });
      expect(error.call).toMatchObject({ status: 'skipped', duration: null });
    }
    expect(timed.clock.now()).toBe(0);
    await timed.until(5);
    expect(timed.endpoint.names).toEqual(['1', '2', '3']);
    expect(timed.model.state.counters).toMatchObject({ completed: 3, skipped: 2 });
  });

  it('43. given concurrency_limit=2 and five calls of 0.2, then starts 0,0,0.2,0.2,0.4 and three are pending at 0.1', async () => {
    const timed = timedModel({ concurrencyLimit: 2 });
    const calls = Array.from({ length: 5 }, () => timed.model.createApiCalling({ takesMs: 200 }));
    const outcomes = calls.map((call) => timed.model.invoke(call));
    await timed.until(0.1);
    expect(calls.map(({ status }) => status)).toEqual(['processing', 'processing', 'pending', 'pending', 'pending']);
    expect(timed.model.state).toMatchObject({ running: 2, queue: { waiting: 3 }, blocked: 'concurrency' });
    await timed.until(0.6);
    expect(timed.endpoint.startSeconds).toEqual([0, 0, 0.2, 0.2, 0.4]);
    expect((await Promise.all(outcomes)).map(({ status }) => status)).toEqual(Array(5).fill('completed'));
  });

  it('44. given concurrency 1, 2 per 1 s, 0.4 s calls, then starts 0, 0.4, 1.0, 1.4, 2.0', async () => {
    const timed = timedModel({ concurrencyLimit: 1, limitRequests: 2, interval: 1 });
    submit(timed, 5, 400);
    await timed.until(5);
    expect(timed.endpoint.startSeconds).toEqual([0, 0.4, 1, 1.4, 2]);
  });
});

describe('token limits', () => {
  it('45. given 20 tokens per 0.5 s and needs 10, 16, 8, then order 10, 16, 8 at 0, 0.5, 1.0', async () => {
    const timed = timedModel({ limitTokens: 20, interval: 0.5 });
    for (const tokens of [10, 16, 8]) timed.at(0, { tokens });
    await timed.until(5);
    expect(timed.endpoint.starts.map(({ tokens, at }) => [tokens, at])).toEqual([
      [10, 0],
      [16, 500],
      [8, 1_000],
    ]);
  });

  it('46. given an estimate above limit_tokens, then an immediate typed error, zero requests', async () => {
    const { model, endpoint, clock } = timedModel({ limitTokens: 20 });
    const error = await rejection(model.invoke({ tokens: 21 }));
    expect(error.failure).toMatchObject({ code: 'estimate_too_large', tokens: 21, limit: 20, retryable: false });
    expect(error.message).toContain('21');
    expect(endpoint.starts).toEqual([]);
    expect(model.state.budget).toMatchObject({ requests: { used: 0 }, tokens: { used: 0 } });
    expect([clock.now(), clock.timers]).toEqual([0, 0]);
  });

  it('46. given an estimate above limit_tokens and others that wait, then it is refused at once and not in its turn', async () => {
    const timed = timedModel({ limitTokens: 20, interval: 1, queueCapacity: 1 });
    for (const name of ['first', 'waits', 'outside']) timed.at(0, { name, tokens: 20 });
    expect((await rejection(timed.model.invoke({ tokens: 21 }))).code).toBe('estimate_too_large');
    expect(timed.clock.now()).toBe(0);
    await timed.until(5);
    expect(timed.endpoint.names).toEqual(['first', 'waits', 'outside']);
  });

  it('47. given a token refusal, then no request unit is consumed', async () => {
    const timed = timedModel({ limitRequests: 2, limitTokens: 20, interval: 1 });
    const controller = new AbortController();
    timed.at(0, { tokens: 10 });
    const refused = rejection(timed.model.invoke({ tokens: 16 }, { signal: controller.signal }));
    await timed.until(0.5);
    expect(timed.model.state.budget).toMatchObject({
      requests: { limit: 2, used: 1, remaining: 1 },
      tokens: { limit: 20, used: 10, remaining: 10 },
    });
    expect(timed.model.state).toMatchObject({ blocked: 'rate', mode: 'throttled' });
    // The unit that it did not take serves the next at once.
    timed.at(0.5, { tokens: 10 });
    controller.abort();
    await refused;
    await timed.until(0.5);
    expect(timed.endpoint.starts.map(({ tokens, at }) => [tokens, at])).toEqual([
      [10, 0],
      [10, 500],
    ]);
  });

  it('48. given reported usage double the estimate, then the next admission waits for the true amount', async () => {
    const timed = timedModel({ limitTokens: 20, interval: 1 });
    timed.at(0, { tokens: 8, usedTokens: 16 });
    timed.at(0.1, { tokens: 8 });
    await timed.until(0.9);
    expect(timed.endpoint.startSeconds).toEqual([0]);
    expect(timed.model.state.budget.tokens.used).toBe(16);
    await timed.until(2);
    expect(timed.endpoint.startSeconds).toEqual([0, 1]);
  });

  it('48. given reported usage half the estimate, then the next call is admitted earlier', async () => {
    const timed = timedModel({ limitTokens: 20, interval: 1 });
    timed.at(0, { tokens: 16, usedTokens: 8, takesMs: 300 });
    timed.at(0, { tokens: 12 });
    await timed.until(2);
    expect(timed.endpoint.startSeconds).toEqual([0, 0.3]);
  });
});

describe('leaving, closing, and what is left behind', () => {
  it('49. given a waiting call is cancelled, then it leaves the queue, consumes nothing, and the next in line takes its place', async () => {
    const timed = timedModel({ limitRequests: 1, interval: 1, queueCapacity: 2 });
    const controller = new AbortController();
    timed.at(0, { name: 'first' });
    const cancelled = timed.model.invoke({ name: 'cancelled' }, { signal: controller.signal });
    timed.at(0, { name: 'next' });
    timed.at(0, { name: 'outside' });
    await timed.until(0.5);
    controller.abort(new Error('changed my mind'));
    const error = await rejection(cancelled);
    expect(error.code).toBe('cancelled');
    expect(error.call).toMatchObject({ status: 'cancelled', duration: null });
    expect(timed.model.state.queue).toMatchObject({ waiting: 2, outside: 0 });
    expect(timed.model.state.budget.requests.used).toBe(1);
    await timed.until(5);
    expect(timed.endpoint.starts.map(({ name, at }) => [name, at])).toEqual([
      ['first', 0],
      ['next', 1_000],
      ['outside', 2_000],
    ]);
  });

  it('50. given close with one running and two waiting, then all three aborted, close resolves afterwards, no timers left', async () => {
    const timed = timedModel({ concurrencyLimit: 1 });
    for (let n = 0; n < 3; n += 1) timed.at(0, { takesMs: 5_000, stopMs: 300 });
    let hasClosed = false;
    const closing = timed.model.close().then(() => {
      hasClosed = true;
    });
    for (const outcome of timed.outcomes.slice(1)) {
      expect(await rejection(outcome)).toMatchObject({ code: 'closed', call: { status: 'aborted', duration: null } });
    }
    await timed.until(0.299);
    expect([hasClosed, timed.endpoint.closed]).toEqual([false, 0]);
    await timed.until(0.3);
    await closing;
    const error = await rejection(timed.outcomes[0] ?? Promise.resolve());
    expect(error.code).toBe('closed');
    expect(error.call).toMatchObject({ status: 'aborted', duration: 0.3 });
    expect(timed.model.status).toBe('closed');
    expect(timed.endpoint.starts).toHaveLength(1);
    expect([timed.clock.timers, timed.endpoint.running, timed.endpoint.closed]).toEqual([0, 0, 1]);
  });

  it('50. given close with drain, then the running call completes, the waiting are aborted, and a time cap ends it', async () => {
    const timed = timedModel({ concurrencyLimit: 1 });
    timed.at(0, { takesMs: 5_000 });
    timed.at(0);
    const closing = timed.model.close({ drain: true });
    expect(timed.model.status).toBe('draining');
    await timed.until(5);
    await closing;
    expect(await timed.outcomes[0]).toMatchObject({ status: 'completed' });
    expect((await rejection(timed.outcomes[1] ?? Promise.resolve())).code).toBe('closed');

    const slow = timedModel();
    slow.at(0, { takesMs: 5_000 });
    const capped = slow.model.close({ drain: true, timeoutMs: 1_000 });
    await slow.until(1);
    await capped;
    expect((await rejection(slow.outcomes[0] ?? Promise.resolve())).call).toMatchObject({
      status: 'aborted',
      duration: 1,
    });
    expect(slow.clock.timers).toBe(0);
  });

  it('50. given a caller who calls again when its call is aborted by close, then that call is refused and close resolves', async () => {
    const { model, endpoint } = timedModel();
    const call = model.createApiCalling({ name: 'first', takesMs: 5_000 });
    const again: Promise<unknown>[] = [];
    call.onEnd(() => again.push(rejection(model.invoke({ name: 'again', takesMs: 5_000 }))));
    const first = rejection(model.invoke(call));
    await model.close();
    expect((await first).code).toBe('closed');
    expect(await Promise.all(again)).toMatchObject([{ code: 'closed' }]);
    expect(endpoint.names).toEqual(['first']);
  });

  it('51. given close then reuse, then a typed closed error and a call that has ended', async () => {
    const { model, endpoint } = timedModel();
    await model.close();
    const error = await rejection(model.invoke({}));
    expect(error.failure).toMatchObject({ code: 'closed', retryable: true });
    expect(error.call).toMatchObject({ status: 'skipped', ended: true });
    const stream = model.stream({});
    await expect(stream.next()).rejects.toMatchObject({ code: 'closed' });
    const call = model.createApiCalling({});
    call.cancel();
    expect(call.ended).toBe(true);
    expect(endpoint.starts).toEqual([]);
  });

  it('52. given close before first use, and close twice, then no error', async () => {
    const { model, endpoint, clock } = timedModel();
    await Promise.all([model.close(), model.close({ drain: true })]);
    await model.close();
    await model[Symbol.asyncDispose]();
    expect(endpoint.closed).toBe(1);
    expect(clock.timers).toBe(0);
  });
});
