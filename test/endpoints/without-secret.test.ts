import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { failureOf } from '../../schemas/failure.ts';
import { errorWithoutSecret, withoutSecret } from '../../src/endpoints/without-secret.ts';
import { IModelError } from '../../src/errors.ts';

const secret = 'sk-SENTINEL';

describe('withoutSecret', () => {
  it('blots a key out of texts, lists and objects, and leaves everything else alone', () => {
    const said = { message: `no ${secret} and ${secret}`, list: [secret, 5, null], ok: true };
    expect(withoutSecret(said, secret)).toEqual({ message: 'no [key] and [key]', list: ['[key]', 5, null], ok: true });
    expect(withoutSecret(said, null)).toBe(said);
    expect(withoutSecret(said, 'no')).toBe(said);
  });
});

describe('errorWithoutSecret', () => {
  it('returns an error without the key as it is', () => {
    const error = new Error('nothing to see');
    expect(errorWithoutSecret(error, secret)).toBe(error);
    expect(errorWithoutSecret(error, null)).toBe(error);
  });

  it('keeps the failure, the code and the words of the causes', () => {
    const cause = Object.assign(new RangeError(`refused ${secret}`), { code: 'E_REFUSED', request: { key: secret } });
    const failure = failureOf('malformed', 'no JSON', { excerpt: `<p>${secret}` });
    const clean = errorWithoutSecret(new IModelError(failure, { cause }), secret);
    expect(clean).toMatchObject({
      failure: { code: 'malformed', message: 'no JSON', excerpt: '<p>[key]' },
      cause: { name: 'RangeError', message: 'refused [key]', code: 'E_REFUSED' },
    });
    expect(inspect(clean, { depth: 20 })).not.toContain(secret);
  });

  it('blots it out of what is no error of ours, and of what is no error at all', () => {
    expect(errorWithoutSecret(new TypeError(secret), secret)).toMatchObject({ name: 'TypeError', message: '[key]' });
    expect(errorWithoutSecret(`thrown ${secret}`, secret)).toBe('thrown [key]');
  });
});
