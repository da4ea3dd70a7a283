import { describe, expect, it } from 'vitest';
import { type Failure, failureOf } from '../../schemas/failure.ts';
import { DispatcherBench } from './dispatcher-bench.ts';

describe('the dispatcher: a call from its submission to its end', () => {
  it('starts, answers, completes, and counts', () => {
    const bench = new DispatcherBench();
    const row = bench.submit('a');
    expect(bench.status('a')).toBe('processing');
    bench.send({ type: 'call.answer', row });
    bench.advance(30);
    bench.settle('a', 12);
    expect(bench.effects).toEqual(['start a', 'end a completed']);
    expect([row.queuedAt, row.startedAt]).toEqual([0, 0]);
    expect(bench.view.counters).toEqual({
      submitted: 1,
      started: 1,
      retried: 0,
      completed: 1,
      failed: 0,
      cancelled: 0,
      aborted: 0,
      skipped: 0,
    });
    bench.expectEmpty();
  });

  it('fails with the failure its work brought', () => {
    const bench = new DispatcherBench();
    bench.submit('a');
    bench.settle('a', null, failureOf('unavailable', 'no connection', {}));
    expect(bench.status('a')).toBe('failed');
    expect(bench.failure('a', 'unavailable').message).toBe('no connection');
  });

  it('changes nothing after the end, whatever is still reported', () => {
    const bench = new DispatcherBench({ window: { requests: 5, tokens: 100 } });
    const row = bench.submit('a', { tokens: 10 });
    bench.settle('a', 40);
    const view = bench.view;
    bench.send({ type: 'call.sent', row });
    bench.send({ type: 'call.answer', row });
    bench.settle('a', 90, failureOf('unavailable', 'late', {}));
    bench.end('a');
    expect(bench.effects).toEqual(['start a', 'end a completed']);
    expect(bench.view).toEqual(view);
  });

  it('waits for the transport before a running call that is cancelled has ended', () => {
    const bench = new DispatcherBench({ concurrency: 1 });
    bench.submit('a');
    bench.submit('b');
    bench.end('a');
    bench.end('a', failureOf('timed_out', 'a second reason', { phase: 'attempt', timeoutMs: 1 }));
    expect(bench.effects).toEqual(['start a', 'stop a']);
    expect(bench.view.running).toBe(1);
    bench.settle('a', 5);
    expect(bench.effects).toEqual(['start a', 'stop a', 'end a cancelled', 'start b']);
  });

  it.each([
    ['cancelled', 'cancelled'],
    ['timed_out', 'aborted'],
    ['closed', 'aborted'],
    ['vetoed', 'failed'],
  ] as const)('ends a running call that is ended with %s as %s', (code, status) => {
    const bench = new DispatcherBench();
    bench.submit('a');
    bench.end('a', { ...failureOf('timed_out', code, { phase: 'attempt', timeoutMs: 1 }), code } as Failure);
    bench.settle('a');
    expect(bench.status('a')).toBe(status);
    bench.expectEmpty();
  });

  it.each([
    ['cancelled', 'cancelled'],
    ['timed_out', 'aborted'],
    ['closed', 'aborted'],
    ['vetoed', 'skipped'],
  ] as const)('ends a waiting call that is ended with %s as %s', (code, status) => {
    const bench = new DispatcherBench({ queueCapacity: 1 }, false);
    bench.submit('queued');
    bench.submit('outside');
    const failure = { ...failureOf('timed_out', code, { phase: 'queue', timeoutMs: 1 }), code } as Failure;
    bench.end('outside', failure);
    bench.end('queued', failure);
    expect([bench.status('queued'), bench.status('outside')]).toEqual([status, status]);
    expect(bench.failures.size).toBe(2);
    bench.expectEmpty();
  });

  it('takes what effects send to it only after the decision it is in', () => {
    const bench = new DispatcherBench({ concurrency: 1 });
    bench.submit('a');
    bench.submit('b');
    bench.submit('c');
    for (const id of ['a', 'b', 'c']) bench.settle(id);
    expect(bench.effects).toEqual([
      'start a',
      'end a completed',
      'start b',
      'end b completed',
      'start c',
      'end c completed',
    ]);
  });
});

describe('the dispatcher: the queue and its limit', () => {
  it('lets callers wait outside a full queue, in the order of their coming', () => {
    const bench = new DispatcherBench({ queueCapacity: 2, concurrency: 1 });
    for (const id of ['a', 'b', 'c', 'd', 'e']) bench.submit(id);
    expect(bench.view).toMatchObject({ running: 1, waiting: 2, outside: 2, blocked: 'concurrency' });
    for (const id of ['a', 'b', 'c', 'd', 'e']) {
      bench.settle(id);
      expect(bench.view.waiting).toBeLessThanOrEqual(2);
    }
    expect(bench.starts.map(([id]) => id)).toEqual(['a', 'b', 'c', 'd', 'e']);
    bench.expectEmpty();
  });

  it('refuses with queue_full when told to, and running calls do not count', () => {
    const bench = new DispatcherBench({ queueCapacity: 2, concurrency: 1, onFull: 'reject' });
    for (const id of ['a', 'b', 'c', 'd']) bench.submit(id);
    expect(bench.status('d')).toBe('skipped');
    expect(bench.failure('d', 'queue_full').capacity).toBe(2);
    expect(bench.view).toMatchObject({ running: 1, waiting: 2, outside: 0 });
    bench.settle('a');
    bench.submit('e');
    expect(bench.status('e')).toBe('pending');
  });

  it('gives the place of a waiting call that is cancelled to the one that waits outside', () => {
    const bench = new DispatcherBench({ queueCapacity: 1, concurrency: 1 });
    for (const id of ['running', 'queued', 'outside']) bench.submit(id);
    bench.end('queued');
    expect(bench.effects).toEqual(['start running', 'end queued cancelled']);
    expect(bench.view).toMatchObject({ waiting: 1, outside: 0 });
    bench.settle('running');
    expect(bench.starts.map(([id]) => id)).toEqual(['running', 'outside']);
  });

  it('takes a cancelled caller out from outside', () => {
    const bench = new DispatcherBench({ queueCapacity: 1, concurrency: 1 });
    for (const id of ['running', 'queued', 'outside', 'last']) bench.submit(id);
    bench.end('outside');
    expect(bench.view).toMatchObject({ waiting: 1, outside: 1 });
    for (const id of ['running', 'queued', 'last']) bench.settle(id);
    expect(bench.starts.map(([id]) => id)).toEqual(['running', 'queued', 'last']);
  });

  it('serves a higher priority first, and within one priority every caller in turn', () => {
    const bench = new DispatcherBench({ concurrency: 1 });
    bench.submit('first');
    for (const id of ['a1', 'a2', 'a3']) bench.submit(id, { caller: 'a' });
    for (const id of ['b1', 'b2']) bench.submit(id, { caller: 'b' });
    bench.submit('urgent', { caller: 'b', priority: 5 });
    bench.submit('idle', { caller: 'c', priority: -1 });
    const order = ['first', 'urgent', 'a1', 'b1', 'a2', 'b2', 'a3', 'idle'];
    for (const id of order) bench.settle(id);
    expect(bench.starts.map(([id]) => id)).toEqual(order);
  });

  it('shares tokens and not calls between callers', () => {
    const bench = new DispatcherBench({ concurrency: 1 });
    bench.submit('first');
    for (const id of ['large1', 'large2', 'large3']) bench.submit(id, { caller: 'large', tokens: 100 });
    for (let n = 1; n <= 20; n += 1) bench.submit(`small${n}`, { caller: 'small', tokens: 10 });
    const served = { large: 0, small: 0 };
    for (let n = 0; n < 22; n += 1) {
      const id = bench.starts.at(-1)?.[0] ?? '';
      bench.settle(id);
      if (id.startsWith('large')) served.large += 100;
      if (id.startsWith('small')) served.small += 10;
      expect(Math.abs(served.large - served.small)).toBeLessThanOrEqual(served.large >= 300 ? 200 : 110);
    }
  });
});

describe('the dispatcher: pause, drain, close', () => {
  it('starts nothing while the gate is shut, and all that may start when it opens', () => {
    const bench = new DispatcherBench({}, false);
    bench.submit('a');
    bench.submit('b');
    expect(bench.view).toMatchObject({ waiting: 2, blocked: 'paused' });
    bench.send({ type: 'gate.open' });
    expect(bench.effects).toEqual(['start a', 'start b']);
    bench.send({ type: 'gate.shut' });
    bench.submit('c');
    bench.settle('a');
    expect(bench.view).toMatchObject({ running: 1, waiting: 1, blocked: 'paused' });
  });

  it('drains: refuses new calls, ends those that wait, and says idle when the last one has ended', () => {
    const bench = new DispatcherBench({ concurrency: 1, queueCapacity: 1 });
    for (const id of ['running', 'queued', 'outside']) bench.submit(id);
    bench.send({ type: 'calls.refuse' });
    expect([bench.status('queued'), bench.status('outside')]).toEqual(['aborted', 'aborted']);
    bench.submit('late');
    expect(bench.status('late')).toBe('skipped');
    expect(bench.failure('late', 'closed').retryable).toBe(true);
    expect(bench.edges).not.toContain('dispatcher.idle');
    bench.settle('running');
    expect(bench.status('running')).toBe('completed');
    expect(bench.edges.filter((edge) => edge === 'dispatcher.idle')).toHaveLength(1);
    bench.expectEmpty();
  });

  it('says idle at once when nothing runs', () => {
    const bench = new DispatcherBench();
    bench.send({ type: 'calls.refuse' });
    expect(bench.edges).toEqual(['dispatcher.idle']);
  });

  it('closes: stops what runs and ends it when its transport is gone', () => {
    const bench = new DispatcherBench({ concurrency: 2 });
    for (const id of ['a', 'b', 'c']) bench.submit(id, { deadlineAt: 9_000 });
    bench.send({ type: 'calls.refuse' });
    bench.send({ type: 'calls.stop' });
    expect(bench.effects).toEqual(['start a', 'start b', 'end c aborted', 'stop a', 'stop b']);
    bench.settle('b');
    bench.settle('a');
    expect([bench.status('a'), bench.status('b')]).toEqual(['aborted', 'aborted']);
    expect(bench.edges.at(-1)).toBe('dispatcher.idle');
    bench.expectEmpty();
  });
});

describe('the dispatcher: what the machine hears', () => {
  it('nothing, as long as no limit is met', () => {
    const bench = new DispatcherBench({ queueCapacity: 1 });
    for (let n = 0; n < 50; n += 1) bench.submit(`c${n}`);
    for (let n = 0; n < 50; n += 1) bench.settle(`c${n}`);
    expect(bench.edges).toEqual([]);
  });

  it('full once, and drained only when half of the places are free', () => {
    const bench = new DispatcherBench({ queueCapacity: 4, concurrency: 1 });
    for (let n = 0; n < 5; n += 1) bench.submit(`c${n}`);
    expect(bench.edges).toEqual(['queue.full']);
    for (let n = 0; n < 20; n += 1) {
      bench.settle(`c${n}`);
      bench.submit(`c${n + 5}`);
    }
    expect(bench.edges).toEqual(['queue.full']);
    for (let n = 20; n < 22; n += 1) bench.settle(`c${n}`);
    expect(bench.view.waiting).toBe(2);
    expect(bench.edges).toEqual(['queue.full', 'queue.drained']);
    bench.submit('more');
    expect(bench.edges).toHaveLength(2);
  });

  it('the limit once when it is hit, and once when nobody waits for it any more', () => {
    const bench = new DispatcherBench({ window: { requests: 2, lengthMs: 100 } });
    for (let n = 0; n < 20; n += 1) bench.submit(`c${n}`);
    bench.advance(850);
    expect(bench.starts).toHaveLength(18);
    expect(bench.edges).toEqual(['limit.hit']);
    bench.advance(50);
    expect(bench.starts).toHaveLength(20);
    expect(bench.edges).toEqual(['limit.hit', 'window.refreshed']);
  });

  it('that the limit is free when the last one who waited for it has gone', () => {
    const bench = new DispatcherBench({ window: { requests: 1 } });
    bench.submit('a');
    bench.submit('b');
    bench.end('b');
    expect(bench.edges).toEqual(['limit.hit', 'window.refreshed']);
  });
});
