import { dirname, resolve } from 'node:path';
import type { z } from 'zod';
import { callerConfig } from '../../schemas/caller.ts';
import { gatewayConfig, natsConfig, runtimeConfig } from '../../schemas/config.ts';
import {
  askedHookNames,
  breakerOptions,
  cacheOptions,
  endpointOptions,
  modelOptions,
  ownOptionNames,
  retryOptions,
  toSnakeCase,
  writtenOptions,
} from '../../schemas/imodel.ts';
import { price, priceTable } from '../../schemas/prices.ts';
import { refuseNoText } from '../arguments.ts';
import { nearest } from '../endpoints/nearest.ts';
import { IModelError, mayBeSecret, printValue } from '../errors.ts';
import { loadPrices } from './load-prices.ts';
import type { RuntimeConfig } from './runtime.ts';
import { readTextFile } from './text-file.ts';

/** Options that hold code or connections, and so cannot stand in a file. */
const unwritable = ['streaming_process_func', 'clock', 'env', 'dispatcher', 'on_warning'];

/** Options of an iModel that hold options of their own. */
const sections = { retry: retryOptions, breaker: breakerOptions, cache: cacheOptions } as const;

const tlsNames = Object.keys(natsConfig.shape.tls.unwrap().shape);

/** Names that are ours, and so are written in snake_case; header names and the fields of providers are not. */
const knownNames: ReadonlySet<string> = new Set([
  ...ownOptionNames,
  ...Object.keys(runtimeConfig.shape),
  ...Object.keys(natsConfig.shape),
  ...tlsNames,
  ...Object.values(sections).flatMap((schema) => Object.keys(schema.shape)),
  ...Object.keys(gatewayConfig.shape),
  ...Object.keys(callerConfig.shape),
  ...askedHookNames,
  ...Object.keys(price.shape),
]);

/**
 * Reads the configuration of a runtime from a YAML or JSON file and checks it, apart from what only a provider knows of its own fields:
 * `createRuntime` does that.
 *
 * @param path - Of the file; names in it are in snake_case.
 * @throws IModelError `config`, naming file, line, path and value: for a file that cannot be read or parsed, an unknown name (with the
 * one that was probably meant), or a value that does not fit.
 */
export async function loadConfig(path: string): Promise<RuntimeConfig> {
  refuseNoText('path', path);
  return parseConfig(await readTextFile(path, 'config'), path);
}

/**
 * As {@link loadConfig}, from a text.
 *
 * @param name - How to call the text in errors.
 */
export async function parseConfig(text: string, name: string): Promise<RuntimeConfig> {
  const { LineCounter, isNode, parseDocument } = await import('yaml');
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const place = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${name}:${line}:${col}`;
  };
  const [fault] = document.errors;
  if (fault !== undefined) throw IModelError.of('config', `${place(fault.pos[0])}: ${fault.message}`, { field: name });
  const refuse: Refuse = (path, expected, value) => {
    const node = path.length === 0 ? document.contents : document.getIn(path, true);
    const where = isNode(node) && node.range ? place(node.range[0]) : name;
    const field = path.join('.');
    const got = value === undefined ? '' : `, got ${mayBeSecret(path, value) ? '(hidden)' : printShort(value)}`;
    return IModelError.of('config', `${where}: ${field === '' ? '' : `${field}: `}${expected}${got}`, { field });
  };
  try {
    return configFrom(await withPrices(document.toJS() as unknown, dirname(name), refuse), refuse);
  } catch (error) {
    if (IModelError.is(error)) throw error;
    // The parser refuses documents whose aliases multiply without end.
    throw IModelError.of('config', `${name}: ${(error as Error).message}`, { field: name }, { cause: error });
  }
}

/** Makes the error for a value at a path; `value` is left out where there is nothing to print. */
type Refuse = (path: readonly string[], expected: string, value?: unknown) => IModelError;

/** Gives each iModel its prices: its own, or those beside `models`. Either may be the path of a file, seen from the folder. */
async function withPrices(written: unknown, folder: string, refuse: Refuse): Promise<unknown> {
  if (!isRecord(written) || !isRecord(written.models)) return written;
  const read = (prices: unknown): unknown =>
    typeof prices === 'string' ? loadPrices(resolve(folder, prices)) : prices;
  const { prices, ...root } = written;
  const shared = await read(prices);
  if (shared !== undefined) check(priceTable, writtenOptions.decode({ prices: shared }).prices, ['prices'], refuse);
  const models: Record<string, unknown> = {};
  for (const [id, own] of Object.entries(written.models)) {
    const table = isRecord(own) ? ((await read(own.prices)) ?? (own.prices === null ? undefined : shared)) : undefined;
    models[id] = table === undefined ? own : { ...(own as Record<string, unknown>), prices: table };
  }
  return { ...root, models };
}

function configFrom(written: unknown, refuse: Refuse): RuntimeConfig {
  const root = named(asRecord(written, [], refuse), Object.keys(runtimeConfig.shape), [], refuse);
  if (root.models === undefined) throw refuse([], 'expected `models`, with the options of one iModel or more by id');
  const config: Record<string, unknown> = { ...root };
  if (root.nats !== undefined) config.nats = natsFrom(root.nats, refuse);
  if (root.gateway !== undefined) config.gateway = gatewayFrom(root.gateway, refuse);
  const models = Object.entries(asRecord(root.models, ['models'], refuse, 'iModels by their id'));
  config.models = Object.fromEntries(models.map(([id, own]) => [id, modelFrom(own, ['models', id], refuse)]));
  const checked = check(runtimeConfig, config, [], refuse);
  // The schema types an iModel's options as a plain record; the constructor of iModel checks what was not checked here.
  return checked as RuntimeConfig;
}

function sectionFrom(
  written: unknown,
  schema: z.ZodObject,
  path: readonly string[],
  refuse: Refuse,
): Record<string, unknown> {
  return named(asRecord(written, path, refuse), Object.keys(schema.shape), path, refuse);
}

function gatewayFrom(written: unknown, refuse: Refuse): Record<string, unknown> {
  const gateway = sectionFrom(written, gatewayConfig, ['gateway'], refuse);
  if (gateway.callers === undefined) return gateway;
  const path = ['gateway', 'callers'];
  const callers = Object.entries(asRecord(gateway.callers, path, refuse, 'callers by their name')).map(
    ([name, own]) => {
      // Where a key was written in the settings' place it is not printed.
      if (typeof own === 'string') throw refuse([...path, name], 'expected settings, such as `key_hashes`');
      return [name, sectionFrom(own, callerConfig, [...path, name], refuse)];
    },
  );
  return { ...gateway, callers: Object.fromEntries(callers) };
}

function natsFrom(written: unknown, refuse: Refuse): Record<string, unknown> {
  const nats = sectionFrom(written, natsConfig, ['nats'], refuse);
  const path = ['nats', 'tls'];
  if (nats.tls === undefined) return nats;
  return { ...nats, tls: named(asRecord(nats.tls, path, refuse), tlsNames, path, refuse) };
}

function modelFrom(written: unknown, path: readonly string[], refuse: Refuse): Record<string, unknown> {
  const options = asRecord(written, path, refuse);
  for (const [name, value] of Object.entries(options)) {
    const snake = toSnakeCase(name);
    if (unwritable.includes(snake)) throw refuse([...path, name], 'cannot be given in a file', value);
    if (snake !== name && ownOptionNames.includes(name)) throw refuse([...path, name], `expected \`${snake}\``, value);
  }
  const inner = Object.entries(sections)
    .filter(([name]) => (options[name] ?? null) !== null)
    .map(([name, schema]) => [name, sectionFrom(options[name], schema, [...path, name], refuse)]);
  const hooks = hooksFrom(options.hooks, [...path, 'hooks'], refuse);
  const decoded = writtenOptions.decode({ ...options, ...hooks, ...Object.fromEntries(inner) });
  check(modelOptions, decoded, path, refuse);
  check(endpointOptions, decoded, path, refuse);
  return decoded;
}

/** Only the names are looked at: what they hold is checked with the rest. */
function hooksFrom(written: unknown, path: readonly string[], refuse: Refuse): Record<string, unknown> {
  if (!Array.isArray(written)) return {};
  const hooks = written.map((hook: unknown, index) => {
    const at = [...path, String(index)];
    return named(asRecord(hook, at, refuse), askedHookNames, at, refuse);
  });
  return { hooks };
}

/** Turns the keys of a record into camelCase, and refuses those that are not in the list. */
function named(
  written: Record<string, unknown>,
  names: readonly string[],
  path: readonly string[],
  refuse: Refuse,
): Record<string, unknown> {
  const known = new Map(names.map((name) => [toSnakeCase(name), name]));
  return Object.fromEntries(
    Object.entries(written).map(([key, value]) => {
      const name = known.get(key);
      if (name !== undefined) return [name, value];
      const like = nearest(key, [...known.keys()]);
      const hint = like === null ? `known are ${[...known.keys()].join(', ')}` : `did you mean \`${like}\`?`;
      throw refuse([...path, key], `unknown name; ${hint}`, value);
    }),
  );
}

function check<S extends z.ZodType>(schema: S, value: unknown, path: readonly string[], refuse: Refuse): z.infer<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const inner = (issue?.path ?? []).map(String);
  let got = value;
  for (const key of inner) got = (got as Record<string, unknown> | undefined)?.[key];
  const isKey = issue?.code === 'invalid_key';
  const message = (isKey ? issue.issues[0]?.message : issue?.message) ?? 'another value';
  const expected = message.replace(/^Invalid (?:input|option): expected /, '').replace(/, received .*$/, '');
  const full = [...path, ...inner.map((key) => (knownNames.has(key) ? toSnakeCase(key) : key))];
  throw refuse(full, `expected ${expected}`, isKey ? inner.at(-1) : got);
}

function asRecord(
  value: unknown,
  path: readonly string[],
  refuse: Refuse,
  expected = 'names with values',
): Record<string, unknown> {
  if (isRecord(value)) return value;
  throw refuse(path, `expected ${expected}`, value ?? null);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Lists and mappings may hold secrets and are long: only what they are is said. */
function printShort(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return typeof value === 'object' && value !== null ? 'a mapping' : printValue(value);
}
