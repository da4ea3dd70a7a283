import type { z } from 'zod';
import { type CallOptions, callOptions } from '../../schemas/imodel.ts';
import { IModelError, printValue } from '../errors.ts';

/** Names whose values are never printed. */
const secretNames = /key|token(?!s)|secret|password|authorization|cookie|header/i;

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
  const said = issue?.code === 'invalid_key' ? issue.issues[0]?.message : issue?.message;
  const expected = unknownKey === undefined ? (said ?? 'another value') : 'no such field';
  const message =
    field === ''
      ? `Expected ${what}: ${expected}, got ${got}`
      : `Expected ${what} \`${field}\`: ${expected}, got ${got}`;
  if (code === 'config') throw IModelError.of('config', message, { field, value: got });
  throw IModelError.of('invalid_request', message, { path: field, value: got });
}

/** The options of one call, checked; the same object when there are none, as for most calls. */
export function checkedCallOptions(options: CallOptions): CallOptions {
  for (const _name in options) return checked(callOptions, options, 'call option', 'invalid_request');
  return options;
}

function printField(value: unknown, path: readonly string[]): string {
  let inner = value;
  for (const key of path) inner = (inner as Record<string, unknown> | null | undefined)?.[key];
  // A number is no secret: `limitTokens: -1` is shown.
  const mayBeSecret = typeof inner === 'string' || (typeof inner === 'object' && inner !== null);
  if (mayBeSecret && path.some((key) => secretNames.test(key))) return '(hidden)';
  return printValue(typeof inner === 'object' ? withoutSecrets(inner) : inner);
}

function withoutSecrets(value: unknown): unknown {
  try {
    const hide = (key: string, item: unknown) =>
      typeof item === 'string' && secretNames.test(key) ? '(hidden)' : item;
    return JSON.parse(JSON.stringify(value, hide) ?? 'null');
  } catch {
    return Object.prototype.toString.call(value);
  }
}
