import type { Server } from 'nats';
import { describe, expect, it } from 'vitest';
import { reconnectPace } from '../../src/bus/reconnect-pace.ts';

const server = (reconnects: number, didConnect: boolean): Server => ({
  hostname: 'a',
  port: 1,
  listen: 'a:1',
  src: 'a:1',
  tlsName: '',
  lastConnect: 0,
  gossiped: false,
  reconnects,
  didConnect,
});

/** The waits before the first attempts of one outage. */
function delays(maxMs: number, random: () => number, attempts: number): (number | undefined)[] {
  const { reconnectToServer } = reconnectPace(maxMs, random);
  return Array.from({ length: attempts }, (_, failures) => {
    const choice = reconnectToServer?.([server(failures, true)], null);
    return choice !== null && choice !== undefined && 'delay' in choice ? choice.delay : undefined;
  });
}

describe('the pace of reconnecting', () => {
  it('grows to its limit', () => {
    expect(delays(500, () => 0.999_999, 6)).toEqual([50, 100, 200, 400, 500, 500]);
  });

  it('spreads every attempt, the first one too, over half of its wait', () => {
    expect(delays(500, () => 0, 6)).toEqual([25, 50, 100, 200, 250, 250]);
    expect(new Set(Array.from({ length: 50 }, () => delays(500, Math.random, 1)[0])).size).toBeGreaterThan(5);
  });

  it('begins anew after a success', () => {
    const { reconnectToServer } = reconnectPace(500, () => 0);
    const ask = (failures: number): unknown => reconnectToServer?.([server(failures, true)], null);
    expect([ask(0), ask(1), ask(2), ask(0)]).toMatchObject([
      { delay: 25 },
      { delay: 50 },
      { delay: 100 },
      { delay: 25 },
    ]);
  });

  it('does not hold back the very first connection, and leaves all waiting to itself', () => {
    const { reconnectToServer, reconnectDelayHandler } = reconnectPace(500);
    expect(reconnectToServer?.([server(0, false)], null)).toBeNull();
    expect(reconnectToServer?.([], null)).toBeNull();
    expect(reconnectDelayHandler?.()).toBe(0);
  });
});
