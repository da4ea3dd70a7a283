import { writeBytes } from '../../../schemas/bytes.ts';
import type { WrittenError } from '../../../schemas/call.ts';

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
    const text = JSON.stringify(value, (_key, inner) => (isPlain(inner) ? inner : raise()));
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
  if (!(error instanceof Error)) return { error: typeof error, message: String(writeValue(error)) };
  const written = { error: error.name, message: error.message };
  if (!(error instanceof AggregateError)) return written;
  const inside = [...above, error];
  return { ...written, exceptions: error.errors.map((inner: unknown) => writeErrorAt(inner, inside, depth + 1)) };
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
  const inner = (item: unknown) => writeOddValue(item, inside, depth + 1);
  if (Array.isArray(value)) return value.map(inner);
  if (value instanceof Uint8Array) return writeBytes(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? unwritable : value.toISOString();
  if (value instanceof Set) return [...value].map(inner);
  const entries = value instanceof Map ? [...value].map(([key, item]) => [String(key), item]) : ownEntries(value);
  return entries === null ? unwritable : Object.fromEntries(entries.map(([key, item]) => [key, inner(item)]));
}

function ownEntries(value: object): [string, unknown][] | null {
  try {
    return Object.entries(value);
  } catch {
    return null;
  }
}
