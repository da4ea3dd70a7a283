import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IModelError } from '../../../src/errors.ts';
import { writeError, writeValue } from '../../../src/runtime/state/written.ts';

describe('writeValue', () => {
  it('copies what JSON can hold, and shares nothing with it', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const written = writeValue(value);
        expect(JSON.stringify(written)).toBe(JSON.stringify(value));
        if (typeof value === 'object' && value !== null) expect(written).not.toBe(value);
      }),
    );
  });

  it('always writes something that JSON can hold', () => {
    const odd = fc.anything({ withBigInt: true, withDate: true, withMap: true, withSet: true, withTypedArray: true });
    fc.assert(
      fc.property(odd, (value) => {
        expect(typeof JSON.stringify(writeValue(value))).toBe('string');
      }),
    );
  });

  it.each([
    ['undefined', undefined, null],
    ['a function', () => 1, '<unserializable>'],
    ['a symbol', Symbol('s'), '<unserializable>'],
    ['a big integer', 10n, '<unserializable>'],
    ['a number that is none', Number.NaN, '<unserializable>'],
    ['a date', new Date(0), '1970-01-01T00:00:00.000Z'],
    ['a map', new Map([['a', 1]]), { a: 1 }],
    ['bytes', new Uint8Array([1, 2]), { base64: 'AQI=' }],
    ['a buffer', Buffer.from([1, 2]), { base64: 'AQI=' }],
    ['a map with a key that has no text', new Map([[Object.create(null), 1]]), '<unserializable>'],
    ['a set', new Set([1, 2n]), [1, '<unserializable>']],
    ['an object of a class', Object.assign(Object.create({ inherited: 1 }), { own: 2 }), { own: 2 }],
  ])('writes %s', (_name, value, expected) => {
    expect(writeValue(value)).toEqual(expected);
    expect(writeValue({ inside: [value] })).toEqual({ inside: [expected] });
  });

  it('marks cycles, throwing getters, and what lies too deep', () => {
    const cycle: Record<string, unknown> = { name: 'a' };
    cycle.self = { again: cycle };
    expect(writeValue(cycle)).toEqual({ name: 'a', self: { again: '<unserializable>' } });
    const throwing = {
      get trap(): never {
        throw new Error('do not look');
      },
    };
    expect(writeValue({ throwing, kept: 1 })).toEqual({ throwing: '<unserializable>', kept: 1 });
    let deep: unknown = 10n;
    for (let n = 0; n < 200; n += 1) deep = [deep];
    const text = JSON.stringify(writeValue(deep));
    expect(text).toContain('<unserializable>');
    expect(text.length).toBeLessThan(250);
  });

  it('writes the same object twice when it stands in two places', () => {
    const shared = { big: 1n };
    expect(writeValue([shared, shared])).toEqual([{ big: '<unserializable>' }, { big: '<unserializable>' }]);
  });
});

describe('writeError', () => {
  it.each([
    ['nothing', null, null],
    ['a text', 'as it is', 'as it is'],
    ['an error', new TypeError('wrong'), { error: 'TypeError', message: 'wrong' }],
    [
      'an error that is not ours',
      IModelError.of('internal', 'm', {}, { cause: new URIError() }),
      { error: 'URIError', message: 'm' },
    ],
    ['an object without a text', Object.create(null), { error: 'object', message: '[object Object]' }],
    ['what is no error', { code: 5 }, { error: 'object', message: '[object Object]' }],
  ])('writes %s', (_name, error, expected) => {
    expect(writeError(error)).toEqual(expected);
  });

  it('writes groups, groups in groups, and cycles', () => {
    const inner = new AggregateError(['a text', new RangeError('far')], 'inner');
    const outer = new AggregateError([inner], 'outer');
    outer.errors.push(outer);
    expect(writeError(outer)).toEqual({
      error: 'AggregateError',
      message: 'outer',
      exceptions: [
        {
          error: 'AggregateError',
          message: 'inner',
          exceptions: ['a text', { error: 'RangeError', message: 'far' }],
        },
        { error: 'Cycle', message: 'this error holds itself' },
      ],
    });
  });

  it('stops at a hundred levels', () => {
    let error: Error = new Error('the innermost');
    for (let n = 0; n < 150; n += 1) error = new AggregateError([error], String(n));
    const text = JSON.stringify(writeError(error));
    expect(text).toContain('TooDeep');
    expect(text).not.toContain('the innermost');
  });
});
