import { inspect } from 'node:util';
import { IModelError } from '../errors.ts';

const blot = '[key]';

/** Shorter texts are nobody's key, and would be found everywhere. */
const shortestSecret = 6;

/** Blots a key out of plain data that an upstream sent: it may well repeat the header it did not like. */
export function withoutSecret<T>(value: T, secret: string | null): T {
  return secret === null || secret.length < shortestSecret ? value : (blotted(value, secret) as T);
}

/**
 * Blots a key out of an error: its message, its failure, and whatever its cause holds of the upstream's words.
 *
 * @returns The error itself when the key is nowhere in it.
 */
export function errorWithoutSecret(error: unknown, secret: string | null): unknown {
  if (secret === null || secret.length < shortestSecret || !shows(error, secret)) return error;
  if (!IModelError.is(error)) return plainError(error, secret);
  const cause = error.cause === undefined ? {} : { cause: plainError(error.cause, secret) };
  return new IModelError(withoutSecret(error.failure, secret), cause);
}

/** Whether somebody who prints the error would see the key. */
function shows(error: unknown, secret: string): boolean {
  return inspect(error, { depth: 8, maxStringLength: null, maxArrayLength: null }).includes(secret);
}

/** An error of a foreign class with its name, code and words, and nothing else of it. */
function plainError(error: unknown, secret: string): unknown {
  if (!(error instanceof Error)) return blotted(error, secret);
  const plain = new Error(error.message.replaceAll(secret, blot));
  plain.name = error.name;
  if (error.stack !== undefined) plain.stack = error.stack.replaceAll(secret, blot);
  if ('code' in error && typeof error.code === 'string') Object.assign(plain, { code: error.code });
  return plain;
}

function blotted(value: unknown, secret: string): unknown {
  if (typeof value === 'string') return value.replaceAll(secret, blot);
  if (Array.isArray(value)) return value.map((item) => blotted(item, secret));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, blotted(item, secret)]));
}
