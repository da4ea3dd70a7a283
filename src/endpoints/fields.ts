import type { Fields } from './endpoint.ts';

/**
 * The fields of both, and the second's where both have one. Built by assignment: an object that is spread from two others has a shape of its own
 * kind, and looking through it costs five times as much as making it.
 */
export function mergeFields(defaults: Fields, fields: Fields): Record<string, unknown> {
  return Object.assign({}, defaults, fields);
}

/** The fields but one; the same object where it has no such field. */
export function withoutField(fields: Fields, name: string): Fields {
  if (!(name in fields)) return fields;
  const { [name]: _left, ...rest } = fields;
  return rest;
}
