import { inspect } from 'node:util';
import { expect, it } from 'vitest';
import { CallerBook } from '../../src/callers/caller-book.ts';
import { createKey, hashKey } from '../../src/callers/key.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

const key = createKey();
const book = new CallerBook({ ci: { keyHashes: [hashKey(key)] } }, new VirtualClock());

/** The same key but for its last character, and one that has nothing of it. */
const [near, far] = [`${key.slice(0, -1)}${key.endsWith('A') ? 'B' : 'A'}`, 'x'.repeat(key.length)];

it('finds a caller by its whole key alone, and holds nothing of that', () => {
  expect(book.find(key)?.name).toBe('ci');
  for (const other of [near, far, key.slice(0, -1), `${key}A`, key.toUpperCase(), '', hashKey(key), 'y'.repeat(1e6)]) {
    expect(book.find(other), other.slice(0, 60)).toBeUndefined();
  }
  const held = inspect(book, { depth: 12, showHidden: true, maxStringLength: null });
  const secret = key.slice('imodel_'.length);
  for (let at = 0; at + 6 <= secret.length; at += 6) expect(held).not.toContain(secret.slice(at, at + 6));
});

it('takes no longer for a key of which all but the end is right', () => {
  const lookUps = 2_000;
  const timeOf = (given: string): number => {
    const begun = performance.now();
    for (let index = 0; index < lookUps; index += 1) book.find(given);
    return performance.now() - begun;
  };
  timeOf(near);
  timeOf(far);
  // In turns, and of each the quickest: what else the machine does falls on both.
  const times = Array.from({ length: 25 }, () => [timeOf(near), timeOf(far)] as const);
  const [nearMs, farMs] = [0, 1].map((of) => Math.min(...times.map((pair) => pair[of as 0 | 1]))) as [number, number];
  expect(nearMs / farMs).toBeGreaterThan(0.8);
  expect(nearMs / farMs).toBeLessThan(1.25);
});
