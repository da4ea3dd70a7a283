import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plainCopy } from '../../../src/runtime/state/plain-copy.ts';

const same = (text: string): string => text;

describe('a plain copy', () => {
  it('is what JSON brings back', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        for (const changed of [same, null]) expect(JSON.stringify(plainCopy(JSON.parse(text), changed))).toBe(text);
      }),
    );
    for (const changed of [same, null]) {
      expect(plainCopy({ a: undefined, b: [] }, changed)).toStrictEqual({ b: [] });
      const odd = plainCopy(JSON.parse('{"__proto__":{"admin":true}}'), changed) as { admin?: boolean };
      expect([odd.admin, JSON.stringify(odd)]).toEqual([undefined, '{"__proto__":{"admin":true}}']);
    }
  });

  it.each([same, null])('shares nothing that can be changed', (changed) => {
    const value = { list: [{ deep: 1 }] };
    const copy = plainCopy(value, changed) as typeof value;
    (copy.list[0] as { deep: number }).deep = 2;
    copy.list.push({ deep: 3 });
    expect(value).toEqual({ list: [{ deep: 1 }] });
  });

  it('changes texts and names', () => {
    expect(plainCopy({ secret: ['a secret', 1] }, (text) => text.replaceAll('secret', 'x'))).toEqual({ x: ['a x', 1] });
  });

  const cycle: unknown[] = [];
  cycle.push(cycle);
  it.each<[string, unknown]>([
    ['a date', new Date(0)],
    ['bytes', new Uint8Array(1)],
    ['a map', new Map()],
    ['no number', Number.NaN],
    ['a big integer', 1n],
    ['a function', same],
    ['undefined in a list', [undefined]],
    ['a writer of its own', { toJSON: () => 1 }],
    ['what holds itself', cycle],
  ])('refuses %s', (_name, value) => {
    for (const changed of [same, null]) expect(() => plainCopy({ value }, changed)).toThrow();
  });
});
