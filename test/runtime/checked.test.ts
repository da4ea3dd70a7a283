import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { IModelError } from '../../src/errors.ts';
import { checked, refuseNoRequest } from '../../src/runtime/checked.ts';
import { checkedCallOptions } from '../../src/runtime/checked-call-options.ts';

const schema = z.strictObject({
  count: z.number().min(1, 'at least 1').optional(),
  limitTokens: z.number().min(1, 'at least 1').optional(),
  apiKey: z.string().max(3, 'at most 3 characters').optional(),
  nested: z.strictObject({ list: z.array(z.string()) }).optional(),
  names: z.record(z.string().max(2, 'a short name'), z.string()).optional(),
});

/** The failure of a check that does not pass. */
function failureFor(value: unknown) {
  try {
    checked(schema, value, 'option', 'config');
  } catch (error) {
    if (IModelError.is(error)) return error.failure;
  }
  throw new Error('Expected a refusal');
}

describe('checked', () => {
  it('returns what fits', () => {
    expect(checked(schema, { count: 2 }, 'option', 'config')).toEqual({ count: 2 });
  });

  it.each([
    [{ count: 0 }, 'count', 'Expected option `count`: at least 1, got `0` (number)'],
    [{ nested: { list: ['a', 5] } }, 'nested.list.1', 'got `5` (number)'],
    [{ nested: { list: [], other: true } }, 'nested.other', 'no such field, got `true` (boolean)'],
    [{ strange: 'x'.repeat(100) }, 'strange', `got \`${'x'.repeat(80)}…\` (string)`],
    [{ names: { long: 'a' } }, 'names.long', 'a short name'],
    ['no object', '', 'Expected option: Invalid input: expected object, received string, got `no object` (string)'],
  ])('names the field of %j and prints its value', (value, field, text) => {
    const failure = failureFor(value);
    expect(failure).toMatchObject({ code: 'config', field });
    expect(failure.message).toContain(text);
  });

  it('prints no secret, and numbers whatever their name', () => {
    expect(failureFor({ apiKey: 'long secret' }).message).toBe(
      'Expected option `apiKey`: at most 3 characters, got (hidden)',
    );
    expect(failureFor({ limitTokens: -1 }).message).toContain('`-1` (number)');
    const outer = failureFor({ strange: { authorization: 'secret', team: 'a' } });
    expect(outer.message).toContain('{"authorization":"(hidden)","team":"a"}');
  });

  it('speaks of the path for a request', () => {
    expect(() => checked(schema, { count: 0 }, 'message', 'invalid_request')).toThrow(
      expect.objectContaining({ failure: expect.objectContaining({ code: 'invalid_request', path: 'count' }) }),
    );
  });
});

describe('the options of a call and its request', () => {
  it('are handed on as they are when there is nothing to check', () => {
    const none = {};
    expect(checkedCallOptions(none)).toBe(none);
    expect(checkedCallOptions({ priority: 1 })).toEqual({ priority: 1 });
    expect(() => refuseNoRequest({})).not.toThrow();
    expect(() => refuseNoRequest([])).toThrow(/object of fields, got `\[\]` \(array\)/);
  });
});
