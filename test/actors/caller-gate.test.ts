import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CallerGate, type CallerLimits } from '../../actors/caller-gate.ts';
import { CallerTicket } from '../../actors/caller-ticket.ts';
import { type Failure, failureOf } from '../../schemas/failure.ts';
import { callerUse } from '../../schemas/live-state.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

const unlimited: CallerLimits = {
  requests: null,
  tokens: null,
  costMicros: null,
  concurrency: null,
  windowMs: 1_000,
  costWindowMs: 10_000,
  queueCapacity: 100,
};

function openGate(limits: Partial<CallerLimits>) {
  const clock = new VirtualClock();
  const gate = new CallerGate('ci', { ...unlimited, ...limits }, clock);
  const admitted: { readonly name: string; readonly at: number }[] = [];
  const refused = new Map<string, Failure>();
  const enter = (name: string, { tokens = 0, costMicros = 0, priority = 0, waitMs = 60_000 } = {}): CallerTicket => {
    const ticket = new CallerTicket({
      estimate: { tokens, costMicros },
      priority,
      deadlineAt: clock.now() + waitMs,
      admit: () => void admitted.push({ name, at: clock.now() }),
      refuse: (failure) => void refused.set(name, failure),
    });
    gate.enter(ticket);
    return ticket;
  };
  return { clock, gate, admitted, refused, enter, names: () => admitted.map(({ name }) => name) };
}

describe('the gate of a caller', () => {
  it('lets requests in at once while they are within its limits, and makes the next one wait for its turn', () => {
    const { clock, gate, names, enter } = openGate({ requests: 2 });
    for (const name of ['a', 'b', 'c']) enter(name);
    expect([names(), gate.waiting]).toEqual([['a', 'b'], 1]);
    clock.advanceSync(999);
    expect(names()).toEqual(['a', 'b']);
    clock.advanceSync(1);
    expect([names(), gate.waiting]).toEqual([['a', 'b', 'c'], 0]);
    expect(clock.timers).toBe(0);
  });

  it('never lets more in than its limit in any window, and lets all in at last', () => {
    const gaps = fc.array(fc.integer({ min: 0, max: 700 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(gaps, fc.integer({ min: 1, max: 5 }), (list, limit) => {
        const { clock, admitted, enter } = openGate({ requests: limit, queueCapacity: 1_000 });
        for (const [index, gap] of list.entries()) {
          enter(String(index), { waitMs: 1_000_000 });
          clock.advanceSync(gap);
        }
        clock.advanceSync(100_000);
        expect(admitted).toHaveLength(list.length);
        for (const [index, { at }] of admitted.entries()) {
          const earlier = admitted[index - limit];
          if (earlier !== undefined) expect(at - earlier.at).toBeGreaterThanOrEqual(1_000);
        }
      }),
    );
  });

  it('goes on from what it had used, as data: no sooner and hardly later than it would have itself', () => {
    const limits = { requests: 3, tokens: 100, costMicros: 50 };
    const first = openGate(limits);
    const done = first.enter('done', { tokens: 30, costMicros: 20 });
    first.clock.advanceSync(100);
    first.gate.settle(done, { tokens: 40, costMicros: 10 });
    first.clock.advanceSync(100);
    first.enter('runs', { tokens: 50, costMicros: 5 });
    const written: unknown = JSON.parse(JSON.stringify(first.gate.write()));
    const { clock, gate, names, enter } = openGate(limits);
    clock.advanceSync(first.clock.now() - clock.now());
    gate.restore(callerUse.parse(written));
    const { requests, tokens, costMicros, running } = gate.view();
    expect([requests.used, tokens.used, costMicros.used, running]).toEqual([2, 90, 15, 0]);
    enter('fits', { tokens: 10 });
    enter('waits', { tokens: 1 });
    expect(names()).toEqual(['fits']);
    // The first request came at 0 and expires at 1,000; the tokens of the call that had ended at 100 do so at 1,100.
    clock.advanceSync(899);
    expect(names()).toEqual(['fits']);
    clock.advanceSync(2);
    expect(names()).toEqual(['fits', 'waits']);
  });

  it('writes no more than a thousand numbers, however many requests have come', () => {
    const { clock, gate, enter } = openGate({ requests: 100_000, tokens: 1_000_000 });
    for (let index = 0; index < 5_000; index += 1) {
      gate.settle(enter(String(index), { tokens: 1 }), { tokens: 1, costMicros: 0 });
      clock.advanceSync(index % 6 === 0 ? 1 : 0);
    }
    const { requests, tokens } = gate.write();
    expect(requests.used.length).toBeLessThanOrEqual(1_001);
    expect(tokens.used.length).toBeLessThanOrEqual(1_001);
    const again = openGate({ requests: 100_000, tokens: 1_000_000 });
    again.clock.advanceSync(clock.now() - again.clock.now());
    again.gate.restore(gate.write());
    expect([again.gate.view().requests.used, again.gate.view().tokens.used]).toEqual([5_000, 5_000]);
  });

  it('holds expected tokens while a call runs, and counts the real ones for a window from its end on', () => {
    const { clock, gate, names, enter } = openGate({ tokens: 100 });
    const long = enter('long', { tokens: 80 });
    enter('next', { tokens: 30 });
    // A call that takes longer than a window does not slip out of it.
    clock.advanceSync(5_000);
    expect(names()).toEqual(['long']);
    gate.settle(long, { tokens: 90, costMicros: 0 });
    clock.advanceSync(999);
    expect(names()).toEqual(['long']);
    clock.advanceSync(2);
    expect(names()).toEqual(['long', 'next']);
  });

  it('gives back what was expected and not used', () => {
    const { gate, names, enter } = openGate({ tokens: 100 });
    const first = enter('first', { tokens: 80 });
    enter('next', { tokens: 30 });
    gate.settle(first, { tokens: 10, costMicros: 0 });
    gate.settle(first, { tokens: 10, costMicros: 0 });
    expect(names()).toEqual(['first', 'next']);
    expect(gate.view()).toMatchObject({ tokens: { limit: 100, used: 40 }, running: 1, waiting: 0 });
  });

  it('refuses at once what a whole window cannot grant', () => {
    const { refused, enter } = openGate({ tokens: 100 });
    enter('big', { tokens: 101 });
    expect(refused.get('big')).toMatchObject({ code: 'estimate_too_large', tokens: 101, limit: 100 });
  });

  it('lets a call in that may cost more than all, once nothing else has been spent', () => {
    const { clock, gate, names, refused, enter } = openGate({ costMicros: 500 });
    gate.settle(enter('cheap', { costMicros: 5 }), { tokens: 0, costMicros: 5 });
    enter('dear', { costMicros: 900 });
    expect(names()).toEqual(['cheap']);
    clock.advanceSync(10_010);
    expect([names(), refused.size]).toEqual([['cheap', 'dear'], 0]);
  });

  it('refuses at once when the money is spent for longer than the request may wait, and says for how long', () => {
    const { gate, refused, enter } = openGate({ costMicros: 500 });
    gate.settle(enter('all'), { tokens: 0, costMicros: 700 });
    enter('late', { waitMs: 5_000 });
    expect(refused.get('late')).toMatchObject({
      code: 'rate_limited',
      source: 'runtime',
      reason: 'insufficient_quota',
    });
    expect(refused.get('late')?.retryAfterMs).toBeCloseTo(10_000, -2);
    expect(gate.waiting).toBe(0);
  });

  it('refuses at once what so many wait before that its turn comes too late', () => {
    const { gate, refused, enter } = openGate({ requests: 2 });
    for (let index = 0; index < 6; index += 1) enter(`w${index}`);
    enter('hopeless', { waitMs: 2_500 });
    expect(refused.get('hopeless')).toMatchObject({ code: 'rate_limited', retryAfterMs: 3_000 });
    enter('patient', { waitMs: 3_000 });
    expect([refused.size, gate.waiting]).toEqual([1, 5]);
  });

  it('waits for calls that run, as nobody knows when they end, until its time is up', () => {
    const { clock, gate, refused, names, enter } = openGate({ concurrency: 1 });
    const first = enter('first');
    enter('second', { waitMs: 300 });
    enter('third', { waitMs: 5_000 });
    clock.advanceSync(300);
    expect(refused.get('second')).toMatchObject({ code: 'timed_out', phase: 'concurrency', timeoutMs: 300 });
    gate.settle(first, { tokens: 0, costMicros: 0 });
    expect(names()).toEqual(['first', 'third']);
    expect(clock.timers).toBe(0);
  });

  it('refuses with a full queue, and serves a higher priority first', () => {
    const { clock, gate, names, refused, enter } = openGate({ requests: 1, queueCapacity: 2 });
    enter('first');
    enter('later');
    const left = enter('left');
    enter('full');
    expect(refused.get('full')).toMatchObject({ code: 'queue_full', capacity: 2, retryAfterMs: 3_000 });
    expect([gate.leave(left), gate.leave(left)]).toEqual([true, false]);
    enter('urgent', { priority: 1 });
    clock.advanceSync(2_000);
    expect(names()).toEqual(['first', 'urgent', 'later']);
  });

  it('takes on other limits for those who wait too, and refuses all of them when it closes', () => {
    const { clock, gate, names, refused, enter } = openGate({ requests: 1 });
    for (const name of ['a', 'b', 'c', 'd']) enter(name);
    gate.limits = { ...unlimited, requests: 3 };
    expect(names()).toEqual(['a', 'b', 'c']);
    gate.close(failureOf('closed', 'closing', {}));
    expect([...refused]).toMatchObject([['d', { code: 'closed' }]]);
    expect(clock.timers).toBe(0);
  });

  it('keeps no more of a day than of a minute', () => {
    const { clock, gate, enter } = openGate({ costMicros: 1_000_000_000, costWindowMs: 86_400_000 });
    for (let index = 0; index < 50_000; index += 1) {
      gate.settle(enter(String(index)), { tokens: 0, costMicros: 3 });
      clock.advanceSync(1);
    }
    expect(gate.view().costMicros.used).toBe(150_000);
    clock.advanceSync(86_400_000 - 60_000);
    expect(gate.view().costMicros.used).toBe(150_000);
    clock.advanceSync(60_000 + 86_400);
    expect(gate.view().costMicros.used).toBe(0);
  });
});
