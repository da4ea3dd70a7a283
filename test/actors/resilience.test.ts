import { describe, expect, it } from 'vitest';
import type { ResiliencePolicy } from '../../actors/dispatcher-input.ts';
import { failureOf } from '../../schemas/failure.ts';
import { DispatcherBench, limitsOf } from './dispatcher-bench.ts';

const retry = {
  maxRetries: 2,
  baseDelayMs: 1_000,
  maxDelayMs: 60_000,
  backoffFactor: 2,
  jitterFactor: 0,
  excludeCodes: [],
} as const;
const breaker = { failureThreshold: 2, recoveryMs: 10_000, halfOpenMaxCalls: 1, excludeCodes: [] } as const;
const down = failureOf('unavailable', 'no connection', {});
const wrong = failureOf('rejected', 'no', { status: 400 });
const wait = (retryAfterMs: number) => failureOf('rate_limited', 'slow down', { status: 429, retryAfterMs });

const make = (
  settings: ConstructorParameters<typeof DispatcherBench>[0] = {},
  resilience: Partial<ResiliencePolicy> = {},
): DispatcherBench => new DispatcherBench(settings, true, { retry, breaker: null, ...resilience });

describe('retries', () => {
  it('sends a failed call again after its delay, until it succeeds', () => {
    const bench = make();
    bench.submit('a');
    bench.settle('a', null, down);
    expect(bench.view).toMatchObject({ running: 1, backingOff: 1 });
    bench.advance(999);
    bench.settle('a', null, null);
    expect(bench.effects).toEqual(['start a', 'retry a in 1000']);
    bench.advance(1);
    bench.settle('a');
    expect(bench.effects).toEqual(['start a', 'retry a in 1000', 'start a', 'end a completed']);
    expect(bench.view.counters).toMatchObject({ started: 1, retried: 1, completed: 1 });
    bench.expectEmpty();
  });

  it('fails with the last failure when the retries are used up', () => {
    const bench = make();
    bench.submit('a');
    for (const ms of [0, 1_000, 2_000]) {
      bench.advance(ms);
      bench.settle('a', null, down);
    }
    expect(bench.starts.map(([, at]) => at)).toEqual([0, 1_000, 3_000]);
    expect(bench.status('a')).toBe('failed');
    bench.expectEmpty();
  });

  it('never repeats what its caller has seen a part of', () => {
    const bench = make();
    const row = bench.submit('a', { streaming: true });
    bench.send({ type: 'call.settle', row, failure: down, tokens: null, isDelivered: true });
    expect(bench.effects).toEqual(['start a', 'end a failed']);
  });

  it('leaves alone what is not worth another try', () => {
    const bench = make();
    bench.submit('a');
    bench.settle('a', null, wrong);
    expect(bench.effects).toEqual(['start a', 'end a failed']);
  });

  it('takes rate units again for each attempt, before all that wait', () => {
    const bench = make({ window: { requests: 1 } });
    bench.submit('a');
    bench.submit('b');
    bench.settle('a', null, down);
    bench.advance(3_000);
    bench.settle('a');
    bench.advance(3_000);
    expect(bench.starts).toEqual([
      ['a', 0],
      ['a', 1_000],
      ['b', 2_000],
    ]);
  });

  it('keeps its slot between two attempts', () => {
    const bench = make({ concurrency: 1 });
    bench.submit('a');
    bench.submit('b');
    bench.settle('a', null, down);
    bench.advance(1_000);
    bench.settle('a');
    expect(bench.effects).toEqual(['start a', 'retry a in 1000', 'start a', 'end a completed', 'start b']);
  });

  it('ends a call that waits for its next attempt at once, when it is cancelled or its time is up', () => {
    const bench = make();
    bench.submit('a', { deadlineAt: 500_000 });
    bench.submit('b', { deadlineAt: 1_500 });
    bench.settle('a', null, down);
    bench.settle('b', null, down);
    bench.end('a');
    bench.advance(1_000);
    bench.settle('b', null, down);
    expect(bench.status('a')).toBe('cancelled');
    // Its second delay does not fit any more: the vendor's own failure says more than a time-out would.
    expect(bench.status('b')).toBe('failed');
    bench.expectEmpty();
  });

  it('says that the time ran out in the backoff when a pause made it longer', () => {
    const bench = make({ window: { requests: 1, lengthMs: 60_000 } });
    bench.submit('a', { deadlineAt: 5_000 });
    bench.settle('a', null, down);
    bench.advance(5_000);
    expect(bench.failure('a', 'timed_out').phase).toBe('backoff');
    bench.expectEmpty();
  });

  it('makes no further attempt while it drains', () => {
    const bench = make();
    bench.submit('a');
    bench.send({ type: 'calls.refuse' });
    bench.settle('a', null, down);
    expect(bench.effects).toEqual(['start a', 'end a failed']);
    expect(bench.edges).toContain('dispatcher.idle');
  });

  it.each(['between two attempts', 'during one'])('holds nobody up with a call that became too large %s', (when) => {
    const bench = make({ window: { tokens: 100 } });
    const lower = (): void =>
      bench.send({ type: 'limits.set', limits: { window: limitsOf({ window: { tokens: 50 } }).window } });
    bench.submit('large', { tokens: 80 });
    if (when === 'during one') lower();
    bench.settle('large', 0, down);
    if (when === 'between two attempts') lower();
    expect(bench.status('large')).toBe('failed');
    bench.submit('small', { tokens: 10 });
    bench.advance(10_000);
    expect(bench.starts.map(([id]) => id)).toEqual(['large', 'small']);
    bench.settle('small');
    bench.expectEmpty();
  });

  it('ends those that wait for an attempt when everything is stopped', () => {
    const bench = make();
    bench.submit('a');
    bench.settle('a', null, down);
    bench.send({ type: 'calls.stop' });
    expect(bench.status('a')).toBe('aborted');
    bench.expectEmpty();
  });
});

describe('cooling', () => {
  it('102. given 429 with Retry-After 2, the second attempt is at 2 s and others are not admitted meanwhile', () => {
    const bench = make();
    bench.submit('a');
    bench.settle('a', null, wait(2_000));
    bench.submit('b');
    expect(bench.view).toMatchObject({ blocked: 'cooling', coolingUntil: 2_000 });
    bench.advance(2_000);
    bench.settle('a');
    expect(bench.starts).toEqual([
      ['a', 0],
      ['a', 2_000],
      ['b', 2_000],
    ]);
    expect(bench.edges).toEqual(['cooling.begun', 'cooling.ended']);
  });

  it.each([
    ['how long the storm still lasts', (at: number) => 30_000 - at],
    ['always 1 s', () => 1_000],
    ['always 2 s', () => 2_000],
    ['always 10 s', () => 10_000],
  ])(
    'offers a vendor that refuses fifty callers for 30 s hardly more than one further attempt each: it says %s',
    (_says, retryAfter) => {
      const bench = make({}, { retry: { ...retry, maxRetries: 3 } });
      for (let n = 0; n < 50; n += 1) bench.submit(`c${n}`);
      let wantedAt = 0;
      const tooEarly: number[] = [];
      const answer = (from: number): number => {
        const fresh = bench.starts.slice(from);
        for (const [id, at] of fresh) {
          if (from > 0 && at < wantedAt) tooEarly.push(at);
          if (at < 30_000) wantedAt = at + retryAfter(at);
          bench.settle(id, null, at < 30_000 ? wait(retryAfter(at)) : null);
        }
        return from + fresh.length;
      };
      let seen = answer(0);
      for (let ms = 0; ms < 90_000; ms += 100) {
        bench.advance(100);
        while (seen < bench.starts.length) seen = answer(seen);
      }
      expect(tooEarly).toEqual([]);
      expect((bench.starts.length - 50) / 50).toBeLessThanOrEqual(1.2);
      expect(bench.view.counters.completed).toBe(50);
    },
  );

  it('lets a request that was not written wait with the others, as if its attempt had not been begun', () => {
    const bench = make({ window: { requests: 3, lengthMs: 60_000 }, concurrency: 3 });
    bench.writes = false;
    for (const id of ['a', 'b', 'c']) bench.submit(id);
    bench.send({ type: 'call.sent', row: bench.row('a') });
    bench.settle('a', null, wait(2_000));
    bench.send({ type: 'call.withhold', row: bench.row('b') });
    bench.send({ type: 'call.withhold', row: bench.row('b') });
    expect(bench.view).toMatchObject({ running: 3, backingOff: 2, usedRequests: 2 });
    bench.end('c');
    bench.send({ type: 'call.withhold', row: bench.row('c') });
    expect(bench.status('c')).toBe('cancelled');
    expect(bench.view.usedRequests).toBe(1);
    bench.writes = true;
    bench.advance(2_000);
    // The one that was refused took its place first; both have to wait for the answer of the first.
    expect(bench.starts.slice(3)).toEqual([['a', 2_000]]);
    bench.settle('a');
    expect(bench.starts.slice(4)).toEqual([['b', 2_000]]);
    expect(bench.row('b').attempts).toBe(1);
    bench.settle('b');
    expect(bench.effects.filter((effect) => effect.startsWith('retry'))).toEqual(['retry a in 2000']);
    expect(bench.view.counters).toMatchObject({ started: 3, retried: 1, completed: 2, cancelled: 1 });
    expect(bench.view.usedRequests).toBe(3);
    bench.expectEmpty();
  });

  it('ends what was not written when it is drained', () => {
    const bench = make();
    bench.writes = false;
    for (const id of ['a', 'b']) bench.submit(id);
    bench.settle('a', null, wait(2_000));
    bench.send({ type: 'calls.refuse' });
    bench.send({ type: 'call.withhold', row: bench.row('b') });
    expect(bench.failure('b', 'closed').retryable).toBe(true);
  });

  it('takes from what is left the calls that are on their way, and those that have ended not', () => {
    const bench = make();
    for (const id of ['a', 'b', 'c']) bench.submit(id);
    bench.end('c');
    bench.settle('c');
    bench.send({ type: 'call.answer', row: bench.row('a') });
    const limits = { requests: { remaining: 2, resetAt: 7_000 }, tokens: null };
    bench.send({ type: 'limits.learned', limits });
    for (const id of ['d', 'e']) bench.submit(id);
    bench.advance(7_000);
    expect(bench.starts.slice(3)).toEqual([
      ['d', 0],
      ['e', 7_000],
    ]);
  });

  it('takes its hint from the vendor that it speaks to, not from one that stands in', () => {
    const bench = make({ window: { tokens: 100 } }, { retry: null });
    bench.rescues = true;
    bench.submit('a', { tokens: 40 });
    bench.settle('a', null, down);
    bench.settle('a', 90, wait(5_000));
    expect(bench.view).toMatchObject({ coolingUntil: null, usedTokens: 40 });
  });

  it('cools until the reset when the headers say that nothing is left', () => {
    const bench = make();
    bench.submit('a');
    const limits = { requests: { remaining: 0, resetAt: 7_000 }, tokens: null };
    bench.send({ type: 'limits.learned', limits });
    bench.submit('b');
    bench.settle('a');
    expect(bench.view.blocked).toBe('cooling');
    bench.advance(7_000);
    expect(bench.starts).toEqual([
      ['a', 0],
      ['b', 7_000],
    ]);
  });
});

describe('the breaker', () => {
  const strict = { retry: null, breaker };

  it('109. given open, calls fail without a request and say when to come back; one trial decides', () => {
    const bench = make({}, strict);
    for (const id of ['a', 'b']) {
      bench.submit(id);
      bench.settle(id, null, down);
    }
    bench.submit('c');
    expect(bench.failure('c', 'circuit_open')).toMatchObject({ retryable: true, retryAfterMs: 10_000 });
    expect(bench.status('c')).toBe('failed');
    bench.advance(4_000);
    bench.submit('d');
    expect(bench.failure('d', 'circuit_open').retryAfterMs).toBe(6_000);
    bench.advance(6_000);
    bench.submit('trial');
    bench.submit('e');
    expect(bench.failure('e', 'circuit_open').retryAfterMs ?? 0).toBe(0);
    bench.settle('trial');
    bench.submit('f');
    bench.settle('f');
    expect(bench.starts.map(([id]) => id)).toEqual(['a', 'b', 'trial', 'f']);
    expect(bench.edges).toEqual(['breaker.tripped', 'breaker.trial', 'breaker.closed']);
    bench.expectEmpty();
  });

  it('counts a call with all its retries as one failure', () => {
    const bench = make({}, { breaker: { ...breaker, failureThreshold: 2 } });
    bench.submit('a');
    for (const ms of [0, 1_000, 2_000]) {
      bench.advance(ms);
      bench.settle('a', null, down);
    }
    expect(bench.edges).toEqual([]);
  });

  it('gives the place of a cancelled trial back', () => {
    const bench = make({}, strict);
    for (const id of ['a', 'b']) {
      bench.submit(id);
      bench.settle(id, null, down);
    }
    bench.advance(10_000);
    bench.submit('trial');
    bench.end('trial');
    bench.settle('trial');
    expect(bench.status('trial')).toBe('cancelled');
    bench.submit('next');
    expect(bench.starts.map(([id]) => id)).toEqual(['a', 'b', 'trial', 'next']);
  });
});

describe('rescue', () => {
  it('hands over a call whose attempts have failed, and ends it with what comes of that', () => {
    const bench = make();
    bench.rescues = true;
    bench.submit('a');
    bench.settle('a', null, wrong);
    expect(bench.status('a')).toBe('processing');
    bench.settle('a');
    expect(bench.effects).toEqual(['start a', 'rescue a', 'end a completed']);
    bench.expectEmpty();
  });

  it('does so once', () => {
    const bench = make();
    bench.rescues = true;
    bench.submit('a');
    bench.settle('a', null, wrong);
    bench.settle('a', null, down);
    expect(bench.effects).toEqual(['start a', 'rescue a', 'end a failed']);
  });

  it('hands over what the breaker refuses', () => {
    const bench = make({}, { retry: null, breaker });
    for (const id of ['a', 'b']) {
      bench.submit(id);
      bench.settle(id, null, down);
    }
    bench.rescues = true;
    bench.submit('c');
    bench.settle('c');
    expect(bench.status('c')).toBe('completed');
  });
});
