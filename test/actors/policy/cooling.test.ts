import { beforeEach, describe, expect, it } from 'vitest';
import { Cooling } from '../../../actors/policy/cooling.ts';

describe('Cooling', () => {
  let cooling: Cooling;
  beforeEach(() => {
    cooling = new Cooling();
  });
  const isReady = (now: number, tokens = 0): boolean => cooling.readyAt(tokens, now) <= now;

  it('holds nothing back by itself', () => {
    expect(isReady(0)).toBe(true);
    expect(cooling.started(0, 0)).toBe(false);
  });

  it('lets nothing start before the vendor wants it', () => {
    cooling.coolUntil(2_000, 0, false);
    expect(cooling.readyAt(0, 500)).toBe(2_000);
    expect(isReady(2_000)).toBe(true);
  });

  it('keeps the later of two wishes', () => {
    cooling.coolUntil(5_000, 0, false);
    cooling.coolUntil(2_000, 0, false);
    expect(cooling.readyAt(0, 0)).toBe(5_000);
  });

  it('starts with one call, and doubles as long as none is refused', () => {
    cooling.coolUntil(1_000, 0, false);
    expect(isReady(1_000)).toBe(true);
    expect(cooling.started(0, 1_000)).toBe(true);
    expect(isReady(1_001)).toBe(false);
    cooling.resolved(true);
    for (let n = 0; n < 2; n += 1) {
      expect(isReady(1_002)).toBe(true);
      cooling.started(0, 1_002);
    }
    expect(isReady(1_003)).toBe(false);
  });

  it('takes an attempt that was not refused for two seconds as taken', () => {
    cooling.coolUntil(1_000, 0, false);
    cooling.started(0, 1_000);
    expect(cooling.readyAt(0, 1_500)).toBe(3_000);
    expect(isReady(3_000)).toBe(true);
  });

  it('is back to normal after enough answers', () => {
    cooling.coolUntil(1_000, 0, false);
    for (let n = 0; n < 7; n += 1) {
      cooling.started(0, 1_000);
      cooling.resolved(true);
    }
    expect(cooling.started(0, 1_000)).toBe(false);
  });

  it('doubts a vendor that refuses after the wait it has asked for, twice as much each time', () => {
    cooling.coolUntil(2_000, 0, false);
    const waits: number[] = [];
    for (let n = 0; n < 6; n += 1) {
      const now = cooling.until;
      cooling.started(0, now);
      cooling.coolUntil(now + 2_000, now, true);
      // Those that are refused in its company say nothing new.
      cooling.coolUntil(now + 2_000, now, true);
      waits.push(cooling.until - now);
    }
    expect(waits).toEqual([4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
  });

  it('waits a little longer each time when the vendor says "at once" and does not mean it', () => {
    cooling.coolUntil(0, 0, false);
    cooling.coolUntil(0, 0, true);
    expect(cooling.until).toBe(2_000);
    cooling.coolUntil(2_000, 2_000, true);
    expect(cooling.until).toBe(6_000);
  });

  it('believes a vendor again that has taken one', () => {
    cooling.coolUntil(1_000, 0, false);
    cooling.started(0, 1_000);
    cooling.coolUntil(2_000, 1_000, true);
    expect(cooling.until).toBe(3_000);
    cooling.started(0, 3_000);
    cooling.resolved(true);
    cooling.started(0, 3_000);
    cooling.started(0, 3_000);
    // It takes two at a time, and the third was too many.
    cooling.resolved(true);
    cooling.coolUntil(4_500, 3_500, true);
    expect(cooling.until).toBe(4_500);
  });

  it('gives a vendor that asks for more than a minute what it asks for', () => {
    cooling.coolUntil(0, 0, false);
    cooling.coolUntil(90_000, 0, true);
    expect(cooling.until).toBe(90_000);
  });

  it('waits for the reset when a counter has reached zero', () => {
    cooling.learn({ requests: { remaining: 0, resetAt: 9_000 }, tokens: null }, 0);
    expect(cooling.readyAt(0, 100)).toBe(9_000);
    expect(isReady(9_000)).toBe(true);
  });

  it('counts down what it starts itself', () => {
    cooling.learn({ requests: { remaining: 2, resetAt: 9_000 }, tokens: { remaining: 100, resetAt: 5_000 } }, 0);
    cooling.started(60, 0);
    expect(isReady(1, 40)).toBe(true);
    expect(cooling.readyAt(41, 1)).toBe(5_000);
    cooling.started(40, 1);
    expect(cooling.readyAt(0, 2)).toBe(9_000);
  });

  it('starts nobody when the vendor has no tokens left, counted or not', () => {
    cooling.learn({ requests: null, tokens: { remaining: 0, resetAt: 5_000 } }, 0);
    expect(cooling.readyAt(0, 0)).toBe(5_000);
  });

  it('takes from a report what was on its way when it was written', () => {
    for (const tokens of [10, 20, 30]) cooling.started(tokens, 0);
    cooling.landed(10);
    const limits = { requests: { remaining: 3, resetAt: 9_000 }, tokens: { remaining: 90, resetAt: 9_000 } };
    cooling.learn(limits, 0);
    expect(isReady(0, 40)).toBe(true);
    expect(cooling.readyAt(41, 0)).toBe(9_000);
    cooling.started(0, 0);
    expect(cooling.readyAt(0, 0)).toBe(9_000);
  });

  it('lowers its budget at once and raises it slowly', () => {
    cooling.learn({ requests: { remaining: 100, resetAt: 9_000 }, tokens: null }, 0);
    cooling.learn({ requests: { remaining: 0, resetAt: 9_000 }, tokens: null }, 0);
    expect(isReady(0)).toBe(false);
    cooling.learn({ requests: { remaining: 8, resetAt: 9_000 }, tokens: null }, 0);
    const starts = () => {
      let count = 0;
      while (isReady(0)) {
        cooling.started(0, 0);
        count += 1;
      }
      return count;
    };
    expect(starts()).toBe(2);
  });

  it('ignores counters without a reset or with one in the past', () => {
    cooling.learn({ requests: { remaining: 0, resetAt: null }, tokens: { remaining: 0, resetAt: 10 } }, 20);
    expect(isReady(20)).toBe(true);
  });

  it('forgets everything when it is reset', () => {
    cooling.coolUntil(5_000, 0, false);
    cooling.learn({ requests: { remaining: 0, resetAt: 9_000 }, tokens: null }, 0);
    cooling.reset();
    expect(isReady(0)).toBe(true);
  });
});
