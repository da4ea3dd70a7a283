import { describe, expect, it } from 'vitest';
import { createMemoryBus } from '../../src/bus/memory.ts';
import { machineClock, Requests } from '../../src/bus/requests.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

describe('requests in flight', () => {
  it('time out exactly when their time is up, by the clock they were given', async () => {
    const clock = new VirtualClock(1_000);
    const bus = createMemoryBus({ clock });
    bus.subscribe('silent', () => {});
    const ended: [number, number][] = [];
    for (const timeoutMs of [300, 5, 100, 100, 0]) {
      bus.request('silent', {}, { timeoutMs }).catch(() => ended.push([timeoutMs, clock.now()]));
    }
    await clock.advance(299);
    expect(ended).toEqual([
      [0, 1_000],
      [5, 1_005],
      [100, 1_100],
      [100, 1_100],
    ]);
    await clock.advance(1);
    expect(ended.at(-1)).toEqual([300, 1_300]);
  });

  it('share one timer, however many they are', () => {
    const clock = new VirtualClock();
    const requests = new Requests(clock);
    for (let n = 0; n < 1_000; n += 1) requests.open('a', { timeoutMs: 10_000 - n }).reply.catch(() => {});
    expect(clock.timers).toBe(1);
    expect(requests.size).toBe(1_000);
    clock.advanceSync(9_500);
    expect(requests.size).toBe(500);
    expect(clock.timers).toBe(1);
    clock.advanceSync(500);
    expect([requests.size, clock.timers]).toEqual([0, 0]);
  });

  it('leave nothing behind when they are answered, failed or aborted', async () => {
    const requests = new Requests(new VirtualClock());
    const controller = new AbortController();
    const opened = [1, 2, 3].map(() => requests.open('a', { timeoutMs: 1_000, signal: controller.signal }));
    const outcomes = Promise.allSettled(opened.map(({ reply }) => reply));
    const message = {
      subject: 'a',
      headers: {},
      replyTo: undefined,
      contentType: undefined,
      value: () => 1,
      respond: () => {},
    };
    expect(requests.settle(opened[0]?.request.token ?? '', message)).toBe(true);
    expect(requests.settle(opened[0]?.request.token ?? '', message)).toBe(false);
    expect(requests.fail(opened[1]?.request.token ?? '', new Error('lost'))).toBe(true);
    controller.abort('stop');
    expect((await outcomes).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(requests.size).toBe(0);
    await requests.settled();
  });

  it('have tokens that say nothing of each other', () => {
    const requests = new Requests(new VirtualClock());
    const tokens = Array.from({ length: 2_000 }, () => requests.open('a', {}).request.token);
    expect(new Set(tokens).size).toBe(2_000);
    const steps = new Set(
      tokens.slice(1).map((text, n) => Number.parseInt(text, 36) - Number.parseInt(tokens[n] ?? '', 36)),
    );
    expect(steps.size).toBeGreaterThan(1_990);
  });

  it('hold the process only while one of them waits', () => {
    let timer: NodeJS.Timeout | undefined;
    const requests = new Requests({
      ...machineClock,
      setTimeout: (callback, delayMs) => {
        timer = setTimeout(callback, delayMs);
        return timer;
      },
    });
    const first = requests.open('a', { timeoutMs: 60_000 });
    expect(timer?.hasRef()).toBe(true);
    first.reply.catch(() => {});
    requests.fail(first.request.token, 'done');
    expect(timer?.hasRef()).toBe(false);
    requests.open('a', { timeoutMs: 70_000 }).reply.catch(() => {});
    expect(timer?.hasRef()).toBe(true);
    clearTimeout(timer);
  });
});
