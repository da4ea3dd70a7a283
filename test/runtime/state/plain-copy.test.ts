import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plainCopy } from '../../../src/runtime/state/plain-copy.ts';

const same = (text: string): string => text;

describe('a plain copy', () => {
  it('is what JSON brings back', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        fc.pre(!JSON.stringify(value).includes('__proto__'));
        const written = JSON.parse(JSON.stringify(value)) as unknown;
        expect(plainCopy(written, same)).toEqual(written);
      }),
    );
    expect(plainCopy({ a: undefined, b: [] }, same)).toStrictEqual({ b: [] });
  });

  it('shares nothing that can be changed', () => {
    const value = { list: [{ deep: 1 }] };
    const copy = plainCopy(value, same) as typeof value;
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
    ['a prototype for a field', JSON.parse('{"__proto__":{"admin":true}}')],
    ['what holds itself', cycle],
  ])('refuses %s', (_name, value) => {
    expect(() => plainCopy({ value }, same)).toThrow();
  });
});
