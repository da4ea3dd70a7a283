import type { z } from 'zod';
import { IModelError, printField } from '../errors.ts';
import type { Fields } from './endpoint.ts';
import { nearest } from './nearest.ts';

/** How strictly {@link checkRequest} reads. */
export interface CheckOptions {
  /** Lets fields through that the schema does not know. @defaultValue false */
  readonly passthrough?: boolean;
  /** Names that are this program's own and never travel; left out where there is no schema to refuse them. */
  readonly reservedFields?: ReadonlySet<string>;
}

/**
 * Checks a request against what its endpoint declares, and copies it, so that later changes to the caller's objects change nothing.
 *
 * @param schema - Null for hosts we know nothing about: everything but the reserved names passes.
 * @throws IModelError `invalid_request`, naming the field by its path and printing what stood there; for an unknown field the nearest
 * valid one is named too.
 */
export function checkRequest(schema: z.ZodObject | null, request: Fields, options: CheckOptions = {}): Fields {
  const present = withoutUndefined(request, schema === null ? options.reservedFields : undefined);
  if (schema === null) return structuredCopy(present);
  const known: Fields = schema.shape;
  const unknown: string[] = [];
  for (const name in present) if (!Object.hasOwn(known, name)) unknown.push(name);
  const [stranger] = unknown;
  if (stranger !== undefined && options.passthrough !== true) throw unknownField(stranger, present[stranger], known);
  const sought = unknown.length === 0 ? present : without(present, unknown);
  const result = partOf(schema, sought).safeParse(sought);
  if (!result.success) throw firstIssue(result.error, present);
  const checked: Record<string, unknown> = result.data;
  for (const name of unknown) {
    if (options.reservedFields?.has(name) !== true) checked[name] = structuredCopy(present[name]);
  }
  return checked;
}

/** Sets of fields that are remembered for one schema; beyond it the whole schema is used. */
const maxParts = 64;

/** The parts of one schema that were needed so far. */
interface Parts {
  readonly bySet: Map<string, z.ZodObject>;
  /** The fields of the last request, in its order, and their part: most requests look like the one before. */
  lastFields: readonly string[];
  last: z.ZodObject | null;
}

const partsOf = new WeakMap<z.ZodObject, Parts>();

/**
 * The part of a schema that a request needs: the fields it has, and those it must have. Most requests have three of thirty fields, and looking
 * at the absent ones costs more than all else that is done for a call.
 */
function partOf(schema: z.ZodObject, request: Fields): z.ZodObject {
  // What is checked across fields needs all of them.
  if ((schema.def.checks?.length ?? 0) > 0) return schema;
  let parts = partsOf.get(schema);
  if (parts === undefined) {
    parts = { bySet: new Map(), lastFields: [], last: null };
    partsOf.set(schema, parts);
  }
  if (parts.last !== null && hasFields(request, parts.lastFields)) return parts.last;
  const fields = Object.keys(request);
  const key = fields.join();
  let part = parts.bySet.get(key);
  if (part === undefined) {
    if (parts.bySet.size >= maxParts) return schema;
    const needed = Object.keys(schema.shape).filter((name) => name in request || !isOptional(schema.shape[name]));
    const mask = Object.fromEntries(needed.map((name) => [name, true]));
    // The names come from the schema itself, which the type of `pick` cannot know here.
    part = schema.pick(mask as Parameters<typeof schema.pick>[0]);
    parts.bySet.set(key, part);
  }
  parts.lastFields = fields;
  parts.last = part;
  return part;
}

/** Whether a request has exactly these fields, in this order. */
function hasFields(request: Fields, fields: readonly string[]): boolean {
  let index = 0;
  for (const name in request) {
    if (fields[index] !== name) return false;
    index += 1;
  }
  return index === fields.length;
}

/** True for a field that may be absent and then stays so; one with a default appears by itself. */
function isOptional(field: z.core.$ZodType | undefined): boolean {
  return field?._zod.optin === 'optional' && field._zod.optout === 'optional';
}

/** Names an unknown field and the valid one that looks most like it. */
function unknownField(name: string, value: unknown, known: Fields): IModelError {
  const like = nearest(name, Object.keys(known));
  const hint = like === null ? '' : `; did you mean \`${like}\`?`;
  const got = printField({ [name]: value }, [name]);
  const message = `Unknown field \`${name}\`, got ${got}${hint} (\`passthrough: true\` sends it anyway)`;
  return IModelError.of('invalid_request', message, { path: name, value: got });
}

function firstIssue(error: z.ZodError, request: Fields): IModelError {
  const [issue] = error.issues;
  const path = issue === undefined ? [] : deepest(issue);
  const name = path.map(String).join('.');
  const got = printField(request, path);
  const message = `Invalid field \`${name}\`: ${issue?.message ?? 'not valid'}, got ${got}`;
  return IModelError.of('invalid_request', message, { path: name, value: got });
}

/** The path of an issue, into the branch of a union that got furthest. */
function deepest(issue: z.core.$ZodIssue): PropertyKey[] {
  if (issue.code !== 'invalid_union') return issue.path;
  const inner = issue.errors.map((branch) => branch[0]).filter((branch) => branch !== undefined);
  const paths = inner.map(deepest).sort((a, b) => b.length - a.length);
  return [...issue.path, ...(paths[0] ?? [])];
}

/** The fields that say something; a request in which all do is returned as it is. */
function withoutUndefined(request: Fields, left: ReadonlySet<string> | undefined): Fields {
  for (const name in request) {
    if (request[name] === undefined || left?.has(name) === true) {
      return Object.fromEntries(
        Object.entries(request).filter(([field, value]) => value !== undefined && left?.has(field) !== true),
      );
    }
  }
  return request;
}

function without(request: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(Object.entries(request).filter(([name]) => !names.includes(name)));
}

/** A copy of plain data; what is no plain data (bytes, files) is kept as it is. */
function structuredCopy<T>(value: T): T {
  if (Array.isArray(value)) return value.map(structuredCopy) as T;
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, structuredCopy(inner)])) as T;
}
