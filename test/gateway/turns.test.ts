import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Turns } from '../../src/gateway/turns.ts';

describe('the turns of requests', () => {
  test('a request is begun at once', () => {
    const begun: number[] = [];
    new Turns().begin(() => begun.push(1));
    expect(begun).toEqual([1]);
  });

  test('of many that come at once some are begun in each turn of the event loop, in the order of their coming', async () => {
    const turns = new Turns();
    const begun: number[] = [];
    for (let request = 0; request < 20; request += 1) turns.begin(() => begun.push(request));
    const counts = [begun.length];
    while (begun.length < 21) {
      await nextTurn();
      // One that comes later does not overtake those that wait.
      if (begun.length === 16) turns.begin(() => begun.push(20));
      counts.push(begun.length);
    }
    expect(counts).toEqual([8, 16, 21]);
    expect(begun).toEqual(Array.from({ length: 21 }, (_value, index) => index));
  });

  test('each turn has a share of its own', async () => {
    const turns = new Turns();
    const begun: number[] = [];
    for (let turn = 0; turn < 3; turn += 1) {
      for (let request = 0; request < 8; request += 1) turns.begin(() => begun.push(turn));
      expect(begun).toHaveLength(8 * (turn + 1));
      await nextTurn();
    }
  });

  test('the longer a turn takes, the more are begun in the next: running streams do not starve those that come', async () => {
    const turns = new Turns();
    const begun: number[] = [];
    const end = performance.now() + 20;
    turns.begin(() => {
      while (performance.now() < end);
    });
    for (let request = 0; request < 80; request += 1) turns.begin(() => begun.push(request));
    expect(begun).toHaveLength(7);
    await nextTurn();
    expect(begun).toHaveLength(80);
  });
});
