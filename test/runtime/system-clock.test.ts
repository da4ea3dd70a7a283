import { afterEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/runtime/system-clock.ts';

describe('the clock of the machine', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('tells epoch time and never goes back', () => {
    const before = Date.now();
    const times = Array.from({ length: 1_000 }, () => systemClock.now());
    expect(Math.abs((times[0] ?? 0) - before)).toBeLessThan(1_000);
    for (const [index, time] of times.entries()) expect(time).toBeGreaterThanOrEqual(times[index - 1] ?? 0);
  });

  it('does not fire at once after a delay that is longer than a timer can be', () => {
    vi.useFakeTimers();
    let fired = false;
    const handle = systemClock.setTimeout(() => {
      fired = true;
    }, 2 ** 40);
    vi.advanceTimersByTime(2 ** 31 - 2);
    expect(fired).toBe(false);
    systemClock.clearTimeout(handle);
    systemClock.clearTimeout(handle);
    systemClock.clearTimeout(undefined);
    expect(vi.getTimerCount()).toBe(0);
  });
});
