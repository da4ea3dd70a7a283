import type { z } from 'zod';
import { IModelError, printField, printValue } from '../errors.ts';

/**
 * Checks what a caller gave us, or another process sent, strictly.
 *
 * @param what - What is being checked, for the message: `option`, `message`, …
 * @throws IModelError `code`, naming the first field that is wrong and printing its value (never that of a secret).
 */
export function checked<S extends z.ZodType>(
  schema: S,
  value: unknown,
  what: string,
  code: 'config' | 'invalid_request' | 'malformed',
): z.infer<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const path = issue?.path.map(String) ?? [];
  const unknownKey = issue?.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  const field = [...path, ...(unknownKey === undefined ? [] : [unknownKey])].join('.');
  const got = printField(value, unknownKey === undefined ? path : [...path, unknownKey]);
  const said = issue?.code === 'invalid_key' ? issue.issues[0]?.message : issue?.message;
  const expected = unknownKey === undefined ? (said ?? 'another value') : 'no such field';
  const message =
    field === ''
      ? `Expected ${what}: ${expected}, got ${got}`
      : `Expected ${what} \`${field}\`: ${expected}, got ${got}`;
  if (code === 'config') throw IModelError.of('config', message, { field, value: got });
  if (code === 'malformed') throw IModelError.of('malformed', message, { path: field, source: 'bus' });
  throw IModelError.of('invalid_request', message, { path: field, value: got });
}

/** Refuses what is no request at all, before anybody looks for its fields. */
export function refuseNoRequest(request: unknown): void {
  if (typeof request === 'object' && request !== null && !Array.isArray(request)) return;
  const value = printValue(request);
  throw IModelError.of('invalid_request', `Expected a request to be an object of fields, got ${value}`, { value });
}

/** The caller's own data, so that neither side changes the other's. @throws IModelError `config` for code, which cannot be written down. */
export function clonedMetadata(metadata: Record<string, unknown>): Record<string, unknown> {
  try {
    return structuredClone(metadata);
  } catch (cause) {
    const message = `Expected option \`providerMetadata\` to be plain data: ${(cause as Error).message}`;
    throw IModelError.of('config', message, { field: 'providerMetadata' }, { cause });
  }
}
