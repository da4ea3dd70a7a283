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
  const grant = window.take(tokens);
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

  it('adds the margin to a request whose answer is slow, and takes the answer of a prompt one as the later bound', () => {
    const window = new RollingWindow(limits({ requests: 2, marginMs: 10 }));
    const slow = take(window, 0, 0);
    window.sent(slow, 0);
    window.answered(slow, 700);
    const prompt = take(window, 0, 0);
    window.sent(prompt, 0);
    window.answered(prompt, 30);
    expect(window.log().map(({ expiresAt }) => expiresAt)).toEqual([1_010, 1_032]);
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
    expect(new RollingWindow(limits({})).take(7)).toBeNull();
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
