import { writeBytes } from '../../../schemas/bytes.ts';
import type { WrittenError } from '../../../schemas/call.ts';
import { IModelError } from '../../errors.ts';

/** How deep nested errors and values are written; deeper ones are cut off. */
const maxDepth = 100;

/** Stands where a value cannot be written as JSON. */
const unwritable = '<unserializable>';

/**
 * A value as JSON can hold it. What JSON cannot express (functions, symbols, big integers, cycles, throwing getters) becomes
 * `<unserializable>`; dates, maps and sets become text, objects and arrays, bytes `{ base64 }`.
 */
export function writeValue(value: unknown): unknown {
  try {
    // Most values are plain; one pass through JSON proves it and copies deeply.
    const text = JSON.stringify(value, function (this: Record<string, unknown>, key, inner) {
      // `inner` is what a `toJSON` made of it, and a buffer's makes a list of numbers.
      return isPlain(inner) && !(this[key] instanceof Uint8Array) ? inner : raise();
    });
    return text === undefined ? (value === undefined ? null : unwritable) : JSON.parse(text);
  } catch {
    return writeOddValue(value, [], 0);
  }
}

/** An error as it is written down: class name and message, groups nested; a text stays a text. */
export function writeError(error: unknown): WrittenError | null {
  return error === null || error === undefined ? null : writeErrorAt(error, [], 0);
}

function writeErrorAt(error: unknown, above: readonly unknown[], depth: number): WrittenError {
  if (typeof error === 'string') return error;
  if (above.includes(error)) return { error: 'Cycle', message: 'this error holds itself' };
  if (depth >= maxDepth) return { error: 'TooDeep', message: `nested more than ${maxDepth} levels` };
  if (!(error instanceof Error)) return { error: typeof error, message: textOf(error) };
  // What is not ours goes by its own class: the one around it says no more than that somebody threw.
  const thrown = IModelError.is(error) && error.code === 'internal' ? error.cause : null;
  const { name } = thrown instanceof Error ? thrown : error;
  const written = { error: name, message: error.message };
  if (!(error instanceof AggregateError)) return written;
  const inside = [...above, error];
  return { ...written, exceptions: error.errors.map((inner: unknown) => writeErrorAt(inner, inside, depth + 1)) };
}

/** Of an object only what it is: it may hold a key. */
function textOf(thrown: unknown): string {
  return typeof thrown === 'object' ? Object.prototype.toString.call(thrown) : String(writeValue(thrown));
}

function isPlain(value: unknown): boolean {
  if (value === null) return true;
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true;
    case 'number':
      return Number.isFinite(value);
    case 'object':
      return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
    default:
      return false;
  }
}

function raise(): never {
  throw new TypeError('not a plain value');
}

function writeOddValue(value: unknown, above: readonly unknown[], depth: number): unknown {
  if (value === undefined) return null;
  if (typeof value !== 'object' || value === null) return isPlain(value) ? value : unwritable;
  if (above.includes(value) || depth >= maxDepth) return unwritable;
  const inside = [...above, value];
  try {
    return writeOddObject(value, (item) => writeOddValue(item, inside, depth + 1));
  } catch {
    // A getter, an iterator or a proxy that throws as soon as somebody looks.
    return unwritable;
  }
}

function writeOddObject(value: object, inner: (item: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map(inner);
  if (value instanceof Uint8Array) return writeBytes(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? unwritable : value.toISOString();
  if (value instanceof Set) return [...value].map(inner);
  const entries = value instanceof Map ? [...value].map(([key, item]) => [String(key), item]) : Object.entries(value);
  return Object.fromEntries(entries.map(([key, item]) => [key, inner(item)]));
}
