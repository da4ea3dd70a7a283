import { describe, expect, it } from 'vitest';
import { iModel } from '../../src/index.ts';
import { startUpstream } from '../../src/testing/upstream.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { rejection, timedModel } from './timed-endpoint.ts';

describe('deadlines and cancellation', () => {
  it('54. given limit_requests=1 per 1 s and a deferred 14 s call, then invoke resolves completed at 15 s', async () => {
    const timed = timedModel({ limitRequests: 1, interval: 1 });
    timed.at(0);
    const call = timed.model.createApiCalling({ takesMs: 14_000 });
    const outcome = timed.model.invoke(call);
    await timed.until(14.999);
    expect(call.status).toBe('processing');
    await timed.until(15);
    expect(await outcome).toMatchObject({ status: 'completed', timing: { startedAt: 1_000, endedAt: 15_000 } });
  });

  it('55. given timeout 1 while rate-limited, then rejection at 1 s with phase rate, status aborted, zero requests ever', async () => {
    const timed = timedModel({ limitRequests: 1, interval: 60 });
    timed.at(0, { name: 'first' });
    const call = timed.model.createApiCalling({ name: 'late' });
    const outcome = rejection(timed.model.invoke(call, { timeoutMs: 1_000 }));
    await timed.until(0.999);
    expect(call.status).toBe('pending');
    await timed.until(1);
    const error = await outcome;
    expect(error.failure).toMatchObject({ code: 'timed_out', phase: 'rate', timeoutMs: 1_000 });
    expect(call).toMatchObject({ status: 'aborted', timing: { endedAt: 1_000, startedAt: null } });
    await timed.until(600);
    expect(timed.endpoint.names).toEqual(['first']);
    expect(timed.clock.timers).toBe(0);
  });

  it('55. given a caller that is held up before its call is queued, then its failure names the time that it gave', async () => {
    let at = 0;
    const clock = new VirtualClock();
    const { model } = timedModel({
      clock: {
        now: () => at + clock.now(),
        setTimeout: (callback: () => void, delayMs: number) => clock.setTimeout(callback, delayMs),
        clearTimeout: (timer: number) => clock.clearTimeout(timer),
      },
    });
    model.observe(({ type }) => {
      if (type === 'created') at += 40;
    });
    const call = model.createApiCalling({ takesMs: 60_000 });
    const outcome = rejection(model.invoke(call, { timeoutMs: 1_000 }));
    await clock.advance(1_000);
    expect((await outcome).failure).toMatchObject({ code: 'timed_out', phase: 'attempt', timeoutMs: 1_000 });
    await model.close();
  });

  it('55. given a queue time-out, then only waiting is measured by it', async () => {
    const timed = timedModel({ concurrencyLimit: 1 });
    const served = timed.model.invoke({ takesMs: 5_000 }, { queueTimeoutMs: 1_000 });
    const late = rejection(timed.model.invoke({}, { queueTimeoutMs: 1_000 }));
    await timed.until(5);
    expect(await served).toMatchObject({ status: 'completed' });
    expect((await late).failure).toMatchObject({ phase: 'concurrency', timeoutMs: 1_000 });
  });

  it('56. given timeout 1 on a 5 s HTTP call, then the connection is closed by 1 s + grace, status aborted', async () => {
    // Time is the test's; the connection is real.
    const clock = new VirtualClock();
    await using upstream = await startUpstream((_request, reply) => {
      clock.setTimeout(() => reply.json({ choices: [] }), 5_000);
    });
    await using model = new iModel({ provider: 'local', baseUrl: upstream.url, model: 'm', clock });
    const outcome = rejection(model.invoke({ messages: [] }, { timeoutMs: 1_000 }));
    const request = await upstream.request(0);
    await clock.advance(999);
    expect([upstream.connections, model.state.running]).toEqual([1, 1]);
    await clock.advance(1);
    const error = await outcome;
    expect(error.failure).toMatchObject({ code: 'timed_out', phase: 'attempt', timeoutMs: 1_000 });
    expect(error.call).toMatchObject({ status: 'aborted', duration: 1 });
    await request.closed;
    expect([upstream.connections, clock.now()]).toEqual([0, 1_000]);
    await clock.advance(4_000);
    expect(error.call).toMatchObject({ status: 'aborted', response: null });
    expect([upstream.requests.length, clock.timers]).toEqual([1, 0]);
  });

  it('56. given a transport that does not go away, then the call ends when the grace time is over', async () => {
    const timed = timedModel();
    const outcome = rejection(timed.model.invoke({ takesMs: 5_000, stopMs: 60_000 }, { timeoutMs: 1_000 }));
    await timed.until(5.999);
    expect(timed.model.state.running).toBe(1);
    await timed.until(6);
    expect((await outcome).call).toMatchObject({ status: 'aborted', duration: 6 });
  });

  it('57. given an abort signal on A of three overlapping calls, then A is cancelled and B, C complete', async () => {
    const timed = timedModel();
    const controller = new AbortController();
    const reason = new Error('no longer needed');
    const a = rejection(timed.model.invoke({ takesMs: 1_000, stopMs: 100 }, { signal: controller.signal }));
    timed.at(0, { takesMs: 1_000 });
    timed.at(0, { takesMs: 1_000 });
    await timed.until(0.5);
    expect(timed.endpoint.running).toBe(3);
    controller.abort(reason);
    await timed.until(0.6);
    const error = await a;
    expect(error.failure).toMatchObject({ code: 'cancelled', reason: 'no longer needed', retryable: false });
    expect(error.call).toMatchObject({ status: 'cancelled', duration: 0.6 });
    expect(error.cause).toBe(reason);
    await timed.until(1);
    expect(await Promise.all(timed.outcomes)).toMatchObject([{ status: 'completed' }, { status: 'completed' }]);
  });

  it('57. given an abort signal on one of three HTTP calls, then its socket alone is closed', async () => {
    const answers: (() => void)[] = [];
    await using upstream = await startUpstream((_request, reply) => {
      answers.push(() => reply.json({ choices: [] }));
    });
    await using model = new iModel({ provider: 'local', baseUrl: upstream.url, model: 'm' });
    const controller = new AbortController();
    const calls = [1, 2, 3].map((n) =>
      model.invoke({ messages: [], user: String(n) }, n === 2 ? { signal: controller.signal } : {}),
    );
    const requests = await Promise.all([upstream.request(0), upstream.request(1), upstream.request(2)]);
    const aborted = requests.find((request) => request.json().user === '2');
    controller.abort();
    expect((await rejection(calls[1] ?? Promise.resolve())).call).toMatchObject({ status: 'cancelled' });
    await aborted?.closed;
    for (const answer of answers) answer();
    expect(await Promise.all([calls[0], calls[2]])).toMatchObject([{ status: 'completed' }, { status: 'completed' }]);
    expect(upstream.connections).toBe(2);
  });

  it('57. given a signal that has aborted before, then nothing is sent and nothing used', async () => {
    const { model, endpoint, clock } = timedModel({ limitRequests: 1 });
    const reason = new Error('before');
    const error = await rejection(model.invoke({}, { signal: AbortSignal.abort(reason) }));
    expect(error).toMatchObject({ code: 'cancelled', cause: reason, call: { status: 'cancelled' } });
    expect(endpoint.starts).toEqual([]);
    expect(model.state.budget.requests.used).toBe(0);
    expect(model.state.counters).toMatchObject({ submitted: 1, started: 0, cancelled: 1 });
    expect(clock.timers).toBe(0);
  });

  it('57. given a call that was cancelled before it was handed over, then it is never sent', async () => {
    const { model, endpoint } = timedModel();
    const call = model.createApiCalling({});
    call.cancel('never mind');
    call.cancel('twice');
    expect(call).toMatchObject({ status: 'cancelled', failure: { reason: 'never mind' } });
    expect((await rejection(model.invoke(call))).code).toBe('cancelled');
    expect(() => model.stream(call)).toThrow(/started before/);
    expect(endpoint.starts).toEqual([]);
  });

  it.each([
    ['waits', 1],
    ['runs', 2],
  ])(
    '57. given a reason that is an error of ours, then a call that %s is cancelled all the same',
    async (_name, limit) => {
      const timed = timedModel({ concurrencyLimit: limit });
      const controller = new AbortController();
      timed.at(0, { takesMs: 1_000 });
      const outcome = rejection(timed.model.invoke({ takesMs: 1_000 }, { signal: controller.signal }));
      const reason = await rejection(timedModel({ limitTokens: 1 }).model.invoke({ tokens: 2 }));
      controller.abort(reason);
      expect(await outcome).toMatchObject({ code: 'cancelled', cause: reason, call: { status: 'cancelled' } });
      await timed.until(1);
      expect(timed.model.state).toMatchObject({ running: 0, queue: { waiting: 0 } });
    },
  );

  it('57. given one signal for a hundred calls, then all are cancelled and Node has nothing to warn of', async () => {
    const { model } = timedModel({ concurrencyLimit: 50 });
    const warnings: string[] = [];
    const note = (warning: Error): void => {
      warnings.push(warning.message);
    };
    process.on('warning', note);
    const controller = new AbortController();
    const outcomes = Array.from({ length: 100 }, () =>
      rejection(model.invoke({ takesMs: 1_000 }, { signal: controller.signal })),
    );
    controller.abort();
    await Promise.all(outcomes);
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', note);
    expect(model.state.counters.cancelled).toBe(100);
    expect(warnings).toEqual([]);
  });

  it('58. given result and cancel in the same tick, then exactly one terminal transition, whichever comes first', async () => {
    // The cancel comes before the result, or so many promise jobs behind it, all within one turn of the event loop.
    const statuses: string[] = [];
    for (const jobs of [-1, ...Array(20).keys()]) statuses.push(await race(jobs));
    expect(statuses[0]).toBe('cancelled');
    expect(statuses.at(-1)).toBe('completed');
  });
});

/** Lets a result and a cancel meet, and checks that the call ends once. Resolves with the status that won. */
async function race(jobsBehind: number): Promise<string> {
  const { model, clock } = timedModel();
  const call = model.createApiCalling({ takesMs: 1_000, response: 'the result' });
  const ends: string[] = [];
  call.onEnd(({ status }) => ends.push(status));
  model.observe(({ type, status }) => {
    if (type === 'post_invocation') ends.push(`event ${status}`);
  });
  const cancel = (jobs: number): void => {
    if (jobs > 0) queueMicrotask(() => cancel(jobs - 1));
    else call.cancel();
  };
  // Timers of one instant run in the order they were set.
  if (jobsBehind < 0) clock.setTimeout(() => call.cancel(), 1_000);
  const outcome = model.invoke(call).catch((error: unknown) => error);
  await clock.advance(0);
  if (jobsBehind >= 0) clock.setTimeout(() => cancel(jobsBehind), 1_000);
  clock.advanceSync(1_000);
  await outcome;
  expect(ends).toEqual([call.status, `event ${call.status}`]);
  // A cancelled call keeps an answer that it had by then: it was paid for.
  expect(['the result', call.status === 'completed' ? 'the result' : null]).toContain(call.response);
  const dump = call.toDict();
  await clock.advance(60_000);
  expect(call.toDict()).toEqual(dump);
  expect(ends).toHaveLength(2);
  const { completed, cancelled, failed, aborted } = model.state.counters;
  expect([completed + cancelled, failed, aborted]).toEqual([1, 0, 0]);
  return call.status;
}
