import { describe, expect, it } from 'vitest';
import { modelEvent } from '../../../schemas/event.ts';
import { failureOf } from '../../../schemas/failure.ts';
import { modelState } from '../../../schemas/state.ts';
import { iModel } from '../../../src/index.ts';
import { explain } from '../../../src/runtime/journal/replay.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';
import { readAll, rejection, TimedEndpoint, timedModel } from '../../acceptance/timed-endpoint.ts';

describe('events', () => {
  it('tell the life of a call in order, and say how it ended', async () => {
    const { model, clock } = timedModel({ limitRequests: 1, interval: 1, id: 'model-1' });
    const events: unknown[] = [];
    model.observe((event) => events.push(modelEvent.parse(event)));
    const first = model.invoke({ usedTokens: 7 }, { callId: 'first', caller: 'me' });
    const second = model.invoke({ takesMs: 500, failure: failureOf('unavailable', 'down', {}) }, { callId: 'second' });
    await clock.advance(1_500);
    await Promise.all([first, second]);
    const of = (callId: string) => events.filter((event) => (event as { call_id?: string }).call_id === callId);
    expect(of('first')).toMatchObject([
      { type: 'created', model_id: 'model-1', at: 0, caller: 'me' },
      { type: 'pre_invocation', wait_ms: 0 },
      { type: 'answered' },
      { type: 'post_invocation', status: 'completed', duration_ms: 0, usage: { total_tokens: 7 } },
    ]);
    expect(of('second')).toMatchObject([
      { type: 'created', at: 0 },
      { type: 'queued', at: 0 },
      { type: 'pre_invocation', at: 1_000, wait_ms: 1_000 },
      { type: 'post_invocation', at: 1_500, status: 'failed', duration_ms: 500, failure: { code: 'unavailable' } },
    ]);
    expect(events.filter((event) => !('call_id' in (event as object)))).toMatchObject([
      { type: 'throttled', at: 0 },
      { type: 'refreshed', at: 1_000 },
    ]);
  });

  it('tell the life of the model', async () => {
    const { model } = timedModel({ queueCapacity: 1 });
    const types: string[] = [];
    model.observe(({ type, call_id: callId }) => {
      if (callId === undefined) types.push(type);
    });
    model.pause();
    const waiting = rejection(model.invoke({}));
    model.resume();
    model.pause();
    const aborted = rejection(model.invoke({}));
    await model.close();
    await Promise.all([aborted, waiting.catch(() => {})]);
    expect(types).toEqual(['paused', 'full', 'resumed', 'drained', 'paused', 'full', 'draining', 'drained', 'closed']);
  });

  it('go to an observer until it takes itself away or throws', async () => {
    const { model } = timedModel();
    const heard = { stopped: 0, thrown: 0, staying: 0 };
    const stop = model.observe(() => {
      heard.stopped += 1;
      stop();
    });
    model.observe(() => {
      heard.thrown += 1;
      throw new Error('an observer');
    });
    model.observe(() => {
      heard.staying += 1;
    });
    await model.invoke({});
    expect(heard).toEqual({ stopped: 1, thrown: 1, staying: 4 });
  });
});

describe('state and control', () => {
  it('is what its schema says, in every mode', async () => {
    const { model, clock } = timedModel({ limitRequests: 2, limitTokens: 100, interval: 1, queueCapacity: 2 });
    const modes: string[] = [];
    const look = () => modes.push(modelState.parse(model.state).mode);
    look();
    const calls = [model.invoke({ takesMs: 100, tokens: 10 })];
    look();
    calls.push(model.invoke({ tokens: 10 }), model.invoke({ tokens: 10 }));
    look();
    model.pause();
    look();
    model.resume();
    await clock.advance(2_000);
    await Promise.all(calls);
    model.pause();
    look();
    const refused = Promise.all([rejection(model.invoke({})), rejection(model.invoke({}))]);
    model.live.control({ action: 'drain' });
    await refused;
    look();
    expect(modes).toEqual(['idle', 'busy', 'throttled', 'paused', 'paused', 'closed']);
  });

  it('takes new limits, and forgets what was used when told to', async () => {
    const { model, endpoint } = timedModel({ limitRequests: 1, concurrencyLimit: 1 });
    const first = model.invoke({});
    await first;
    const waiting = [model.invoke({}), model.invoke({})];
    expect(endpoint.starts).toHaveLength(1);
    model.live.control({ action: 'limits', limit_requests: 2 });
    await waiting[0];
    model.live.control({ action: 'reset' });
    await waiting[1];
    expect(endpoint.starts).toHaveLength(3);
    model.live.control({ action: 'limits', limit_requests: null, queue_capacity: 5, concurrency_limit: null });
    expect(model.state).toMatchObject({ queue: { capacity: 5 }, concurrency_limit: null });
    expect(model.state.budget.requests.limit).toBeNull();
  });

  it('finds a call by its id while it has not ended', async () => {
    const { model, clock } = timedModel();
    const named = model.invoke({ takesMs: 10 }, { callId: 'named' });
    const stream = model.stream({ chunks: ['a'], takesMs: 10 });
    expect(model.live.findCall('named')?.id).toBe('named');
    expect(model.live.findCall(stream.call.id)).toBe(stream.call);
    const reading = readAll(stream);
    await clock.advance(10);
    await Promise.all([named, reading]);
    expect([model.live.findCall('named'), model.live.findCall(stream.call.id)]).toEqual([undefined, undefined]);
  });
});

describe('a fault of the actor', () => {
  /** Fails once when it is asked for the time, in the middle of a decision. */
  class BrokenClock extends VirtualClock {
    fails = false;

    override now(): number {
      if (!this.fails) return super.now();
      this.fails = false;
      throw new Error('the clock broke');
    }
  }

  it('is mended: another goes on where it stood, with what waited, with what was used of limits, and sends nothing twice', async () => {
    const clock = new BrokenClock();
    const endpoint = new TimedEndpoint(clock);
    const model = new iModel({ endpoint, clock, concurrencyLimit: 1, limitRequests: 2, interval: 10, windowMargin: 0 });
    const running = model.invoke({ takesMs: 1_000 }, { callId: 'running' });
    const waiting = model.invoke({ takesMs: 10 }, { callId: 'waiting' });
    const last = model.invoke({ takesMs: 10 }, { callId: 'last' });
    await clock.advance(100);
    clock.fails = true;
    model.live.control({ action: 'limits', concurrency_limit: 3 });
    expect(await running).toMatchObject({ status: 'failed', failure: { code: 'interrupted', retryable: true } });
    expect(model.state).toMatchObject({ mode: 'busy', running: 1, queue: { waiting: 1 } });
    await clock.advance(5_000);
    expect(await waiting).toMatchObject({ status: 'completed' });
    expect(endpoint.starts).toHaveLength(2);
    await clock.advance(10_000);
    expect(await last).toMatchObject({ status: 'completed' });
    expect(endpoint.starts).toHaveLength(3);
    expect(model.state.counters).toMatchObject({ submitted: 3, completed: 2, failed: 1 });
    expect(explain(model.journal, 'running')).toMatchObject({ ended: { by: 'restart' } });
    await model.close();
    expect(endpoint.closed).toBe(1);
  });

  it('that comes again and again ends every call after the third time within a minute', async () => {
    const clock = new BrokenClock();
    const model = new iModel({ endpoint: new TimedEndpoint(clock), clock });
    model.pause();
    const waiting = rejection(model.invoke({}));
    const breaks = (): void => {
      clock.fails = true;
      model.live.control({ action: 'reset' });
    };
    for (let time = 0; time < 3; time += 1) breaks();
    expect(model.state).toMatchObject({ mode: 'paused', queue: { waiting: 1 } });
    await clock.advance(60_001);
    breaks();
    expect(model.state).toMatchObject({ mode: 'paused', queue: { waiting: 1 } });
    for (let time = 0; time < 3; time += 1) breaks();
    expect(await waiting).toMatchObject({ code: 'internal' });
    await model.close();
  });

  it.each([
    ['no journal', null],
    ['more calls than its journal has room for', { size: 16 }],
  ])('is mended with %s too, from what the actor held', async (_name, journal) => {
    const clock = new BrokenClock();
    const endpoint = new TimedEndpoint(clock);
    const limits = { concurrencyLimit: 1, limitRequests: 20, interval: 10, windowMargin: 0 };
    const names = Array.from({ length: 24 }, (_, n) => `call-${n}`);
    const model = new iModel({ endpoint, clock, ...limits, journal });
    const running = model.invoke({ takesMs: 1_000 }, { callId: 'running' });
    const waiting = names.map((name) => model.invoke({ name }, { callId: name }));
    await clock.advance(100);
    clock.fails = true;
    model.live.control({ action: 'limits', concurrency_limit: 3 });
    expect(await running).toMatchObject({ status: 'failed', failure: { code: 'interrupted', retryable: true } });
    await clock.advance(5_000);
    // The one that ran counts.
    expect(endpoint.starts).toHaveLength(20);
    await clock.advance(20_000);
    for (const call of await Promise.all(waiting)) expect(call.status).toBe('completed');
    expect(endpoint.names.slice(1)).toEqual(names);
    expect(model.state.counters).toMatchObject({ submitted: 25, completed: 24, failed: 1 });
    await model.close();
    expect(clock.timers).toBe(0);
  });

  it('that comes at once again ends every call with a typed error, and later ones at once', async () => {
    const clock = new BrokenClock();
    const endpoint = new TimedEndpoint(clock);
    const model = new iModel({ endpoint, clock, concurrencyLimit: 1, journal: null });
    const running = model.invoke({ takesMs: 1_000 });
    const waiting = rejection(model.invoke({}));
    model.pause();
    for (let time = 0; time < 4; time += 1) {
      clock.fails = true;
      model.live.control({ action: 'limits', concurrency_limit: 2 });
    }
    expect(await running).toMatchObject({ failure: { code: 'interrupted' } });
    expect(await waiting).toMatchObject({
      failure: { code: 'internal', message: expect.stringContaining('the clock broke') },
      call: { status: 'aborted', ended: true },
    });
    model.resume();
    expect(await rejection(model.invoke({}))).toMatchObject({ code: 'internal', call: { status: 'skipped' } });
    await model.close();
    expect(endpoint.closed).toBe(1);
  });
});
