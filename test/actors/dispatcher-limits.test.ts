import { describe, expect, it } from 'vitest';
import { failureOf } from '../../schemas/failure.ts';
import { DispatcherBench, limitsOf } from './dispatcher-bench.ts';

describe('the dispatcher: limits', () => {
  it('starts no more than the window grants, and wakes up when the oldest unit expires', () => {
    const bench = new DispatcherBench({ window: { requests: 2 } });
    for (const id of ['a', 'b', 'c', 'd', 'e']) bench.submit(id);
    expect(bench.view).toMatchObject({ blocked: 'rate', usedRequests: 2, nextRefreshAt: 1_000 });
    bench.advance(2_500);
    expect(bench.starts).toEqual([
      ['a', 0],
      ['b', 0],
      ['c', 1_000],
      ['d', 1_000],
      ['e', 2_000],
    ]);
  });

  it('holds a unit until its request was written, then for one window', () => {
    const bench = new DispatcherBench({ window: { requests: 1 } });
    bench.writes = false;
    const row = bench.submit('a');
    bench.submit('b');
    bench.advance(10_000);
    expect(bench.starts).toHaveLength(1);
    bench.send({ type: 'call.sent', row });
    bench.advance(999);
    expect(bench.starts).toHaveLength(1);
    bench.advance(1);
    expect(bench.starts.at(-1)).toEqual(['b', 11_000]);
  });

  it('counts a request that was dispatched and never written', () => {
    const bench = new DispatcherBench({ window: { requests: 1 } });
    bench.writes = false;
    bench.submit('a');
    bench.submit('b');
    bench.advance(300);
    bench.settle('a', null, failureOf('unavailable', 'no connection', {}));
    bench.advance(999);
    expect(bench.starts).toHaveLength(1);
    bench.advance(1);
    expect(bench.starts.at(-1)).toEqual(['b', 1_300]);
  });

  it('lets no small call pass a large one', () => {
    const bench = new DispatcherBench({ window: { tokens: 20, lengthMs: 500 } });
    for (const [id, tokens] of [
      ['a', 10],
      ['b', 16],
      ['c', 8],
    ] as const) {
      bench.submit(id, { tokens });
    }
    bench.advance(2_000);
    expect(bench.starts).toEqual([
      ['a', 0],
      ['b', 500],
      ['c', 1_000],
    ]);
  });

  it('refuses an estimate that no window can grant, and takes no unit for it', () => {
    const bench = new DispatcherBench({ window: { tokens: 20, requests: 5 } });
    bench.submit('a', { tokens: 21 });
    expect(bench.status('a')).toBe('skipped');
    expect(bench.failure('a', 'estimate_too_large')).toMatchObject({ tokens: 21, limit: 20 });
    expect(bench.view.usedRequests).toBe(0);
    bench.expectEmpty();
  });

  it('replaces an estimate by what was used', () => {
    const bench = new DispatcherBench({ window: { tokens: 100 } });
    bench.submit('a', { tokens: 50 });
    bench.submit('b', { tokens: 60 });
    expect(bench.starts).toHaveLength(1);
    bench.settle('a', 40);
    expect(bench.starts).toHaveLength(2);
    expect(bench.view.usedTokens).toBe(100);
    bench.settle('b', 150);
    expect(bench.view.usedTokens).toBe(190);
    bench.submit('c', { tokens: 1 });
    bench.advance(999);
    expect(bench.starts).toHaveLength(2);
    bench.advance(1);
    expect(bench.starts.at(-1)).toEqual(['c', 1_000]);
  });

  it('takes units only when there is a slot, so that starts never bunch up', () => {
    const bench = new DispatcherBench({ concurrency: 1, window: { requests: 2 } });
    for (const id of ['a', 'b', 'c']) bench.submit(id);
    expect(bench.view).toMatchObject({ blocked: 'concurrency', usedRequests: 1 });
    bench.advance(400);
    bench.settle('a');
    bench.advance(400);
    bench.settle('b');
    expect(bench.view.blocked).toBe('rate');
    bench.advance(200);
    expect(bench.starts).toEqual([
      ['a', 0],
      ['b', 400],
      ['c', 1_000],
    ]);
  });

  it('takes new limits at once', () => {
    const bench = new DispatcherBench({ concurrency: 1, queueCapacity: 1, window: { requests: 1 } });
    for (const id of ['a', 'b', 'c', 'd']) bench.submit(id);
    bench.send({ type: 'limits.set', limits: { queueCapacity: 10 } });
    expect(bench.view).toMatchObject({ waiting: 3, outside: 0 });
    bench.send({ type: 'limits.set', limits: { concurrency: null } });
    expect(bench.view).toMatchObject({ running: 1, blocked: 'rate' });
    bench.send({ type: 'limits.set', limits: { window: limitsOf({ window: { requests: 3 } }).window } });
    expect(bench.starts.map(([id]) => id)).toEqual(['a', 'b', 'c']);
    bench.send({ type: 'limits.set', limits: { window: limitsOf({}).window } });
    expect(bench.starts.map(([id]) => id)).toEqual(['a', 'b', 'c', 'd']);
  });

  it('ends waiting calls that a lowered token limit can never grant, and serves those behind them', () => {
    const bench = new DispatcherBench({ queueCapacity: 2, window: { tokens: 100 } });
    bench.submit('running', { tokens: 90 });
    bench.submit('large', { tokens: 80 });
    bench.submit('small', { tokens: 10 });
    bench.submit('outside', { tokens: 60 });
    bench.submit('last', { tokens: 5 });
    bench.send({ type: 'limits.set', limits: { window: limitsOf({ window: { tokens: 50 } }).window } });
    for (const id of ['large', 'outside']) {
      expect(bench.status(id)).toBe('skipped');
      expect(bench.failure(id, 'estimate_too_large').limit).toBe(50);
    }
    bench.advance(1_000);
    expect(bench.starts.map(([id]) => id)).toEqual(['running', 'small', 'last']);
  });

  it('counts for a limit that is set later what began before it', () => {
    const bench = new DispatcherBench();
    for (const id of ['a', 'b', 'c']) bench.submit(id);
    bench.settle('a', 40);
    bench.advance(500);
    bench.send({ type: 'limits.set', limits: { window: limitsOf({ window: { requests: 3, tokens: 50 } }).window } });
    expect(bench.view).toMatchObject({ usedRequests: 3, usedTokens: 40 });
    bench.settle('b', 20);
    expect(bench.view.usedTokens).toBe(60);
    bench.submit('d');
    bench.advance(499);
    expect(bench.starts).toHaveLength(3);
    bench.advance(1_000);
    expect(bench.starts.at(-1)?.[0]).toBe('d');
    expect(bench.view.usedRequests).toBe(1);
  });

  it('estimates calls that wait when tokens come to be limited', () => {
    const bench = new DispatcherBench({ concurrency: 1 });
    bench.estimates = { large: 60, small: 20, next: 20 };
    for (const id of ['running', 'large', 'small', 'next']) bench.submit(id);
    bench.send({
      type: 'limits.set',
      limits: { concurrency: null, window: limitsOf({ window: { tokens: 30 } }).window },
    });
    expect(bench.failure('large', 'estimate_too_large').tokens).toBe(60);
    expect(bench.starts.map(([id]) => id)).toEqual(['running', 'small']);
    expect(bench.view).toMatchObject({ usedTokens: 20, blocked: 'rate' });
    bench.advance(1_000);
    expect(bench.starts.at(-1)).toEqual(['next', 1_000]);
  });

  it('forgets what was used when it is reset', () => {
    const bench = new DispatcherBench({ window: { requests: 1 } });
    bench.submit('a');
    bench.submit('b');
    bench.send({ type: 'limits.reset' });
    expect(bench.starts).toEqual([
      ['a', 0],
      ['b', 0],
    ]);
  });
});

describe('the dispatcher: deadlines', () => {
  const deadline = { deadlineAt: 500 };

  it.each([
    [
      'queue',
      { queueCapacity: 1, concurrency: 1 },
      (bench: DispatcherBench) => {
        bench.submit('running');
        bench.submit('queued');
      },
    ],
    ['concurrency', { concurrency: 1 }, (bench: DispatcherBench) => bench.submit('running')],
    ['rate', { window: { requests: 1 } }, (bench: DispatcherBench) => bench.submit('running')],
    ['paused', {}, (bench: DispatcherBench) => bench.send({ type: 'gate.shut' })],
  ] as const)('ends a call that waits in phase %s at its deadline', (phase, settings, prepare) => {
    const bench = new DispatcherBench(settings);
    prepare(bench);
    bench.submit('late', deadline);
    bench.advance(499);
    expect(bench.status('late')).toBe('pending');
    bench.advance(1);
    expect(bench.status('late')).toBe('aborted');
    expect(bench.failure('late', 'timed_out')).toMatchObject({ phase, timeoutMs: 500 });
    expect(bench.starts.map(([id]) => id)).not.toContain('late');
  });

  it.each([
    ['attempt', false, true],
    ['attempt', true, false],
    ['stream', true, true],
  ] as const)('stops a running call in phase %s (streaming %s, answered %s)', (phase, streaming, answered) => {
    const bench = new DispatcherBench();
    const row = bench.submit('late', { ...deadline, streaming });
    if (answered) bench.send({ type: 'call.answer', row });
    bench.advance(500);
    expect(bench.effects).toEqual(['start late', 'stop late']);
    bench.settle('late');
    expect(bench.status('late')).toBe('aborted');
    expect(bench.failure('late', 'timed_out')).toMatchObject({ phase, timeoutMs: 500 });
    bench.expectEmpty();
  });

  it('lets a call whose deadline has passed not begin at all', () => {
    const bench = new DispatcherBench();
    bench.advance(1_000);
    bench.submit('late', deadline);
    expect(bench.effects).toEqual(['end late aborted']);
    expect(bench.failure('late', 'timed_out')).toMatchObject({ phase: 'queue', timeoutMs: 0 });
    bench.expectEmpty();
  });

  it('measures only the waiting by the queue deadline', () => {
    const bench = new DispatcherBench({ concurrency: 1 });
    bench.submit('a', { queueDeadlineAt: 100 });
    bench.submit('b', { queueDeadlineAt: 100, deadlineAt: 5_000 });
    bench.advance(100);
    expect(bench.failure('b', 'timed_out')).toMatchObject({ phase: 'concurrency', timeoutMs: 100 });
    bench.advance(10_000);
    expect(bench.status('a')).toBe('processing');
  });

  it('keeps the deadline of the whole call when the one of the queue is met', () => {
    const bench = new DispatcherBench();
    bench.submit('a', { queueDeadlineAt: 100, deadlineAt: 700 });
    bench.advance(699);
    expect(bench.effects).toEqual(['start a']);
    bench.advance(1);
    expect(bench.effects).toEqual(['start a', 'stop a']);
  });

  it('ends many at the same instant in the order of their deadlines and serves who is left', () => {
    const bench = new DispatcherBench({ concurrency: 1 });
    bench.submit('running');
    for (let n = 0; n < 50; n += 1) bench.submit(`w${n}`, { deadlineAt: 1_000 - n });
    bench.submit('patient');
    bench.advance(1_000);
    expect(bench.effects.slice(1)).toEqual(Array.from({ length: 50 }, (_, n) => `end w${49 - n} aborted`));
    bench.settle('running');
    expect(bench.starts.at(-1)?.[0]).toBe('patient');
  });

  it('sets one timer for the earliest of deadlines and window, and none when nothing can come', () => {
    const bench = new DispatcherBench({ window: { requests: 1 } });
    expect(bench.clock.timers).toBe(0);
    bench.submit('a');
    expect(bench.clock.timers).toBe(0);
    bench.submit('b');
    bench.submit('c', { deadlineAt: 1_500 });
    bench.submit('d', { deadlineAt: 300 });
    expect(bench.clock.timers).toBe(1);
    bench.advance(300);
    expect(bench.status('d')).toBe('aborted');
    bench.advance(700);
    expect(bench.starts.at(-1)).toEqual(['b', 1_000]);
    bench.advance(500);
    expect(bench.status('c')).toBe('aborted');
    bench.settle('a');
    bench.settle('b');
    bench.expectEmpty();
  });
});
