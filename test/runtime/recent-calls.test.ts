import { describe, expect, it } from 'vitest';
import { RecentCalls } from '../../src/runtime/recent-calls.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

describe('RecentCalls', () => {
  it('keeps what has ended for a minute, and forgets at once what is not to be kept', () => {
    const clock = new VirtualClock();
    const calls = new RecentCalls<string>(clock);
    calls.add('a', 'call a');
    calls.add('b', 'call b');
    expect([...calls.live()]).toEqual(['call a', 'call b']);
    calls.ended('a', true);
    calls.ended('b', false);
    expect([calls.get('a'), calls.get('b'), calls.isIdle]).toEqual(['call a', undefined, true]);
    clock.advanceSync(59_999);
    expect(calls.get('a')).toBe('call a');
    clock.advanceSync(1);
    expect(calls.get('a')).toBeUndefined();
    expect(clock.timers).toBe(0);
  });

  it('keeps at most 256 that have ended, the latest', () => {
    const calls = new RecentCalls<number>(new VirtualClock());
    for (let n = 0; n < 300; n += 1) {
      calls.add(String(n), n);
      calls.ended(String(n), true);
    }
    const kept = Array.from({ length: 300 }, (_, n) => calls.get(String(n))).filter((call) => call !== undefined);
    expect(kept).toEqual(Array.from({ length: 256 }, (_, n) => n + 44));
  });

  it('ignores the end of what it does not know', () => {
    const calls = new RecentCalls<number>(new VirtualClock());
    calls.ended('unknown', true);
    expect(calls.get('unknown')).toBeUndefined();
  });
});
