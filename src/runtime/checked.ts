import type { z } from 'zod';
import { IModelError, printValue } from '../errors.ts';

/** Names whose values are never printed. */
const secretNames = /key|token|secret|password|authorization|cookie/i;

/**
 * Checks what a caller gave us, strictly.
 *
 * @param what - What is being checked, for the message: `option`, `message`, …
 * @throws IModelError `code`, naming the first field that is wrong and printing its value (never that of a secret).
 */
export function checked<S extends z.ZodType>(
  schema: S,
  value: unknown,
  what: string,
  code: 'config' | 'invalid_request',
): z.infer<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const path = issue?.path.map(String) ?? [];
  const unknownKey = issue?.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  const field = [...path, ...(unknownKey === undefined ? [] : [unknownKey])].join('.');
  const got = printField(value, unknownKey === undefined ? path : [...path, unknownKey]);
  const expected = unknownKey === undefined ? (issue?.message ?? 'another value') : 'no such field';
  const message =
    field === ''
      ? `Expected ${what}: ${expected}, got ${got}`
      : `Expected ${what} \`${field}\`: ${expected}, got ${got}`;
  if (code === 'config') throw IModelError.of('config', message, { field, value: got });
  throw IModelError.of('invalid_request', message, { path: field, value: got });
}

function printField(value: unknown, path: readonly string[]): string {
  if (path.some((key) => secretNames.test(key))) return '(hidden)';
  let inner = value;
  for (const key of path) inner = (inner as Record<string, unknown> | null | undefined)?.[key];
  return printValue(inner);
}
