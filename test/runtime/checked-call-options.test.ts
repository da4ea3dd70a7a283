import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CallOptions, callOptions } from '../../schemas/imodel.ts';
import { IModelError } from '../../src/errors.ts';
import { checkedCallOptions } from '../../src/runtime/checked-call-options.ts';

const names = [...Object.keys(callOptions.shape), 'stranger'];

const value = fc.oneof(
  fc.constantFrom<unknown>(undefined, null, '', 'a', 'a.b', 'x'.repeat(64), 'x'.repeat(257), true, false),
  fc.constantFrom<unknown>(-11, -1, 0, 0.5, 1, 10, 11, 100, 101, Number.NaN, Infinity, -Infinity),
  fc.constantFrom<unknown>([], {}, () => 1, new AbortController().signal, `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`),
);

describe('the options of a call', () => {
  it('are the same object when there are none, else a copy', () => {
    const none = {};
    const some = { priority: 1 };
    expect(checkedCallOptions(none)).toBe(none);
    expect(checkedCallOptions(some)).toEqual(some);
    expect(checkedCallOptions(some)).not.toBe(some);
  });

  it('are taken at a glance exactly where the schema takes them', () => {
    const options = fc.dictionary(fc.constantFrom(...names), value, { minKeys: 1, maxKeys: 4 });
    fc.assert(
      fc.property(options, (given) => {
        const read = callOptions.safeParse(given);
        if (read.success) {
          expect(checkedCallOptions(given as CallOptions)).toEqual(read.data);
          return;
        }
        let refusal: unknown;
        try {
          checkedCallOptions(given as CallOptions);
        } catch (error) {
          refusal = error;
        }
        expect(IModelError.is(refusal) && refusal.code).toBe('invalid_request');
      }),
      { numRuns: 3_000 },
    );
  });
});
