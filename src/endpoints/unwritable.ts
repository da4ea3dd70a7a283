import { IModelError } from '../errors.ts';
import type { Fields } from './endpoint.ts';

/** No request nests deeper by intention, and nothing here or in JSON fails before. */
const deepest = 1_000;

/** Names of a path that a message shows. */
const shownNames = 8;

interface Found {
  readonly path: readonly string[];
  readonly why: string;
}

/**
 * What was thrown while a request was read or written, as the caller's mistake if it is one: JSON cannot hold big integers, what holds
 * itself, fields that throw, and nesting without end.
 *
 * @param code - `config` for what are defaults of requests.
 * @returns The error itself where the request is not to blame.
 */
export function blamedOn(
  request: Fields,
  thrown: unknown,
  code: 'invalid_request' | 'config' = 'invalid_request',
): unknown {
  if (IModelError.is(thrown) || !(thrown instanceof Error)) return thrown;
  const found = unwritableIn(request, [], new Set());
  if (found === null) return thrown;
  const { path, why } = found;
  const place = path.length > shownNames ? `${path.slice(0, shownNames).join('.')}…` : path.join('.');
  const message = `Invalid field \`${place}\`: expected what JSON can hold, got ${why}`;
  if (code === 'config') return IModelError.of('config', message, { field: place }, { cause: thrown });
  return IModelError.of('invalid_request', message, { path: place }, { cause: thrown });
}

function unwritableIn(value: unknown, path: readonly string[], above: Set<object>): Found | null {
  if (typeof value === 'bigint') return { path, why: 'a big integer' };
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return null;
  const names = namesIn(value);
  if (names === null) return { path, why: 'an object that cannot be looked into' };
  if (above.has(value)) return { path, why: 'an object that holds itself' };
  if (path.length >= deepest) return { path, why: `more than ${deepest} levels` };
  above.add(value);
  for (const name of names) {
    const inner = [...path, name];
    let item: unknown;
    try {
      item = (value as Record<string, unknown>)[name];
    } catch {
      return { path: inner, why: 'a field that throws' };
    }
    const found = unwritableIn(item, inner, above);
    if (found !== null) return found;
  }
  above.delete(value);
  return null;
}

/** The names of an object's fields; null for one that throws when asked, as a proxy that was revoked. */
function namesIn(value: object): string[] | null {
  try {
    return Object.keys(value);
  } catch {
    return null;
  }
}

/** A request that nobody else changes. What cannot be copied, such as functions, is left out, as on its way to the vendor. */
export function ownRequest(request: Fields): Record<string, unknown> {
  try {
    return structuredClone(request);
  } catch {
    return JSON.parse(JSON.stringify(request)) as Record<string, unknown>;
  }
}
