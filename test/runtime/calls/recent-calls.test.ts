import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { RecentCalls } from '../../../src/runtime/calls/recent-calls.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';

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

  it('keeps no more bytes than it may, but always the latest', () => {
    const calls = new RecentCalls<number>(new VirtualClock());
    for (let n = 0; n < 20; n += 1) {
      calls.add(String(n), n);
      calls.ended(String(n), true, n === 19 ? 100_000_000 : 8 * 1024 * 1024);
      const kept = Array.from({ length: 20 }, (_, id) => calls.get(String(id))).filter((call) => call !== undefined);
      expect(kept).toHaveLength(n === 19 ? 1 : Math.min(n + 1, 8));
      expect(kept.at(-1)).toBe(n);
    }
  });

  it('holds nothing of what has ended long ago once somebody looks', async () => {
    const clock = new VirtualClock();
    const calls = new RecentCalls<object>(clock);
    // In a function of its own, whose frame holds it no longer.
    const keepOne = (): WeakRef<object> => {
      const call = {};
      calls.add('a', call);
      calls.ended('a', true);
      return new WeakRef(call);
    };
    const value = keepOne();
    clock.advanceSync(60_000);
    calls.forgetOld();
    await new Promise((resolve) => setTimeout(resolve));
    setFlagsFromString('--expose-gc');
    runInNewContext('gc')();
    expect(value.deref()).toBeUndefined();
  });

  it('ignores the end of what it does not know', () => {
    const calls = new RecentCalls<number>(new VirtualClock());
    calls.ended('unknown', true);
    expect(calls.get('unknown')).toBeUndefined();
  });
});
