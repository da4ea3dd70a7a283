import type { HookPoint } from '../../schemas/hook.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { IModelError, printValue } from '../errors.ts';
import type { CallClass } from './hook.ts';

/** What one call says of one hook, in place of the defaults. */
export interface HookSettings {
  /** @defaultValue the iModel's `exitHook` */
  readonly exit?: boolean | null;
  /** Seconds. @defaultValue 10 before creation, 30 before and after invocation */
  readonly timeout?: number | null;
  /** Handed to the hook beside `exit` and `signal`. */
  readonly params?: Fields | null;
}

/** What one call says of its hooks. */
export type HookOverrides = { readonly [P in HookPoint]?: HookSettings } & {
  /** The class of the call that is made. */
  readonly callClass?: CallClass;
};

/** A request without what it said of hooks, and that. */
export interface SplitRequest {
  readonly request: Fields;
  readonly overrides: HookOverrides | null;
}

const prefixes = {
  create_event: 'pre_event_create',
  pre_invoke_event: 'pre_invocation',
  post_invoke_event: 'post_invocation',
} as const satisfies Record<string, HookPoint>;

const suffixes = { exit_hook: 'exit', hook_timeout: 'timeout', hook_params: 'params' } as const;

interface Setting {
  readonly point: HookPoint;
  readonly name: keyof HookSettings;
}

/** Request fields that are about hooks, in the reference's spelling and in camelCase. */
const settings = new Map<string, Setting>();
for (const [prefix, point] of Object.entries(prefixes)) {
  for (const [suffix, name] of Object.entries(suffixes)) {
    const field = `${prefix}_${suffix}`;
    settings.set(field, { point, name });
    settings.set(toCamelCase(field), { point, name });
  }
}

const classFields: ReadonlySet<string> = new Set(['create_event_type', 'createEventType']);

/** Whether a field of a request says something of hooks. */
export function isOverride(field: string): boolean {
  return settings.has(field) || classFields.has(field);
}

/**
 * Takes out of a request what it says of hooks, which no vendor must see. A request that says nothing is returned as it is.
 *
 * @throws IModelError `invalid_request`, naming the field, for a value that is no flag, no time or no object.
 */
export function takeOverrides(request: Fields): SplitRequest {
  for (const field in request) if (isOverride(field)) return split(request);
  return { request, overrides: null };
}

function split(request: Fields): SplitRequest {
  const rest: Record<string, unknown> = {};
  const overrides: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(request)) {
    const setting = settings.get(field);
    if (classFields.has(field)) {
      if (value != null) overrides.callClass = value;
    } else if (setting === undefined) {
      rest[field] = value;
    } else if (value != null) {
      checkSetting(field, setting.name, value);
      overrides[setting.point] = { ...(overrides[setting.point] as HookSettings | undefined), [setting.name]: value };
    }
  }
  return { request: rest, overrides };
}

function checkSetting(field: string, name: keyof HookSettings, value: unknown): void {
  if (name === 'exit' && typeof value !== 'boolean') throw invalid(field, value, 'true or false');
  if (name === 'timeout' && !(typeof value === 'number' && value > 0)) throw invalid(field, value, 'seconds above 0');
  if (name === 'params' && (typeof value !== 'object' || Array.isArray(value)))
    throw invalid(field, value, 'an object');
}

function invalid(path: string, value: unknown, expected: string): IModelError {
  const got = printValue(value);
  return IModelError.of('invalid_request', `Expected \`${path}\` to be ${expected}, got ${got}`, { path, value: got });
}

function toCamelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}
