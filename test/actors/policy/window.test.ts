import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Grant, RollingWindow, type WindowLimits } from '../../../actors/policy/window.ts';

const limits = (some: Partial<WindowLimits>): WindowLimits => ({
  requests: null,
  tokens: null,
  lengthMs: 1_000,
  marginMs: 0,
  ...some,
});

/** Takes what the caller knows to fit. */
const take = (window: RollingWindow, tokens: number, now: number): Grant => {
  expect(window.fits(tokens, now)).toBe(true);
  const grant = window.take(tokens, now);
  if (grant === null) throw new Error('the window has limits, so it must grant');
  return grant;
};

describe('RollingWindow', () => {
  it('frees each unit one window after its request was written', () => {
    const window = new RollingWindow(limits({ requests: 2 }));
    window.sent(take(window, 0, 0), 0);
    window.sent(take(window, 0, 300), 300);
    expect(window.fits(0, 999)).toBe(false);
    expect(window.nextExpiryAt).toBe(1_000);
    window.sent(take(window, 0, 1_000), 1_000);
    expect(window.fits(0, 1_299)).toBe(false);
    expect(window.fits(0, 1_300)).toBe(true);
  });

  it('holds a unit from dispatch, however long its connection takes to open', () => {
    const window = new RollingWindow(limits({ requests: 1 }));
    const grant = take(window, 0, 0);
    expect(window.fits(0, 5_000)).toBe(false);
    expect(window.nextExpiryAt).toBe(Number.POSITIVE_INFINITY);
    window.sent(grant, 5_000);
    expect(window.fits(0, 5_999)).toBe(false);
    expect(window.fits(0, 6_000)).toBe(true);
  });

  it('holds a unit for its answer, and for one window from there', () => {
    const window = new RollingWindow(limits({ requests: 2, marginMs: 10 }));
    const [first, second] = [take(window, 0, 0), take(window, 0, 0)];
    window.sent(first, 0);
    window.sent(second, 0);
    expect(window.nextExpiryAt).toBe(1_260);
    window.answered(first, 30);
    expect(window.nextExpiryAt).toBe(1_030.5);
    window.answered(second, 170);
    expect(window.write(new Set()).used.map(([expiresAt]) => expiresAt)).toEqual([1_030.5, 1_170.5]);
  });

  it('waits no longer than a quarter of a window for an answer, and no longer than 250 ms', () => {
    for (const [lengthMs, expiresAt] of [
      [200, 260],
      [60_000, 60_260],
    ] as const) {
      const window = new RollingWindow(limits({ requests: 1, marginMs: 10, lengthMs }));
      const grant = take(window, 0, 0);
      window.sent(grant, 0);
      expect(window.nextExpiryAt).toBe(expiresAt);
      window.answered(grant, lengthMs / 2);
      expect(window.nextExpiryAt).toBe(expiresAt);
    }
  });

  it('learns that an upstream thinks before it answers, then adds the margin only, and holds again after one quick answer', () => {
    const window = new RollingWindow(limits({ requests: 1, marginMs: 10 }));
    const expiryAfter = (replyMs: number, at: number): number => {
      const grant = take(window, 0, at);
      window.sent(grant, at);
      window.answered(grant, at + replyMs);
      const expiresIn = window.nextExpiryAt - at;
      window.reset();
      return expiresIn;
    };
    expect(expiryAfter(800, 0)).toBe(1_260);
    expect(expiryAfter(800, 2_000)).toBe(1_010);
    expect(expiryAfter(600, 4_000)).toBe(1_010);
    expect(expiryAfter(40, 6_000)).toBe(1_040.5);
    expect(expiryAfter(200, 6_500)).toBe(1_200.5);
  });

  it('takes the two clocks for one without a margin', () => {
    const window = new RollingWindow(limits({ requests: 1 }));
    const grant = take(window, 0, 0);
    window.sent(grant, 0);
    window.answered(grant, 30);
    expect(window.nextExpiryAt).toBe(1_000);
  });

  it('takes request and tokens together or not at all', () => {
    const window = new RollingWindow(limits({ requests: 5, tokens: 100 }));
    take(window, 80, 0);
    expect(window.fits(30, 0)).toBe(false);
    expect([window.usedRequests, window.usedTokens]).toEqual([1, 80]);
    expect(window.fits(20, 0)).toBe(true);
  });

  it('replaces the reserved tokens by the used ones while they count, and never after', () => {
    const window = new RollingWindow(limits({ tokens: 100 }));
    const grant = take(window, 50, 0);
    window.sent(grant, 0);
    window.settle(grant, 90);
    expect(window.usedTokens).toBe(90);
    window.settle(grant, 10);
    expect(window.usedTokens).toBe(10);
    window.expire(1_000);
    window.settle(grant, 70);
    expect(window.usedTokens).toBe(0);
  });

  it('forgets what was written, but not what is on its way, when it is reset', () => {
    const window = new RollingWindow(limits({ requests: 3 }));
    window.sent(take(window, 0, 0), 0);
    const onItsWay = take(window, 0, 0);
    window.reset();
    expect(window.usedRequests).toBe(1);
    window.sent(onItsWay, 100);
    window.expire(1_100);
    expect(window.usedRequests).toBe(0);
  });

  it('keeps no grants when nothing is limited', () => {
    expect(new RollingWindow(limits({})).take(5, 0)).toBeNull();
  });

  it('counts what was used while nothing was limited, by a sixteenth of the window too long at most', () => {
    const window = new RollingWindow(limits({}));
    for (let now = 0; now < 3_000; now += 1) window.take(0, now);
    window.change(limits({ requests: 1_000 }), 3_000);
    expect(window.usedRequests).toBeGreaterThanOrEqual(1_000);
    expect(window.usedRequests).toBeLessThanOrEqual(1_063);
    expect(window.fits(0, 3_000)).toBe(false);
    for (let now = 3_000; now < 4_000; now += 10) {
      window.expire(now);
      expect(window.usedRequests).toBeGreaterThanOrEqual(4_000 - now);
    }
    window.expire(4_063);
    expect(window.usedRequests).toBe(0);
  });

  it('goes on counting roughly after it was written down, whether or not there is a limit then', () => {
    const window = new RollingWindow(limits({}));
    window.take(0, 100);
    window.spend(30, 100);
    const written = window.write(new Set());
    for (const tokens of [null, 40]) {
      const restored = new RollingWindow(limits({ tokens }));
      restored.restore(written, [], 200);
      restored.change(limits({ tokens: 40 }), 200);
      expect([restored.usedRequests, restored.usedTokens]).toEqual([1, 30]);
      expect(restored.fits(11, 200)).toBe(false);
      expect(restored.fits(11, 1_200)).toBe(true);
    }
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, -5])(
    'takes no note of %s used tokens, which would count for ever',
    (tokens) => {
      const window = new RollingWindow(limits({ tokens: 10 }));
      const grant = take(window, 4, 0);
      window.sent(grant, 0);
      window.settle(grant, tokens);
      window.spend(tokens, 0);
      expect(window.usedTokens).toBe(4);
      window.expire(1_000);
      expect(window.usedTokens).toBe(0);
    },
  );

  it('lets nobody in while more was used than is allowed, whatever they need', () => {
    const window = new RollingWindow(limits({ tokens: 10 }));
    const grant = take(window, 0, 0);
    window.sent(grant, 0);
    window.settle(grant, 10);
    expect(window.fits(0, 0)).toBe(true);
    window.settle(grant, 11);
    expect(window.fits(0, 999)).toBe(false);
    expect(window.fits(0, 1_000)).toBe(true);
  });

  it('never lets an interval of its length hold more than its limits, wherever it starts', () => {
    const arrival = fc.record({
      gap: fc.nat({ max: 400 }),
      tokens: fc.integer({ min: 1, max: 40 }),
      writeDelay: fc.nat({ max: 60 }),
    });
    fc.assert(
      fc.property(fc.array(arrival, { maxLength: 200 }), (arrivals) => {
        const window = new RollingWindow(limits({ requests: 4, tokens: 60 }));
        const written: { at: number; tokens: number }[] = [];
        let now = 0;
        for (const { gap, tokens, writeDelay } of arrivals) {
          now += gap;
          while (!window.fits(tokens, now)) now = window.nextExpiryAt;
          const grant = take(window, tokens, now);
          now += writeDelay;
          window.sent(grant, now);
          written.push({ at: now, tokens });
        }
        for (const { at: start } of written) {
          const inside = written.filter(({ at }) => at >= start && at < start + 1_000);
          expect(inside.length).toBeLessThanOrEqual(4);
          expect(inside.reduce((sum, { tokens }) => sum + tokens, 0)).toBeLessThanOrEqual(60);
        }
      }),
    );
  });
});
