import { IModelError, printField } from './errors.ts';

/** What must be able to do what, of all that is handed over as code and used as it is. */
const requiredMethods = {
  endpoint: ['prepare', 'estimateTokens', 'run', 'close'],
  clock: ['now', 'setTimeout', 'clearTimeout'],
  bus: ['publish', 'subscribe', 'request'],
  env: [],
  models: ['get', 'has', 'values', 'forEach'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

/**
 * Refuses what cannot be what its name says, before anything is begun with it. What has no required methods passes.
 *
 * @throws IModelError `config`, naming the field and the method that is missing.
 */
export function refuseStranger(field: string, value: unknown): void {
  if (!Object.hasOwn(requiredMethods, field)) return;
  refuseNoObject(field, value);
  const methods: readonly string[] = requiredMethods[field as keyof typeof requiredMethods];
  const missing = methods.find((name) => typeof Reflect.get(value as object, name) !== 'function');
  if (missing !== undefined) throw stranger(field, `to have a method \`${missing}\``, value);
}

/** @throws IModelError `config` for what has no fields, where somebody hands over fields by name. */
export function refuseNoObject(field: string, value: unknown): void {
  if (typeof value !== 'object' || value === null) throw stranger(field, 'to be an object', value);
}

/** @throws IModelError `config` for what is no text. */
export function refuseNoText(field: string, value: unknown): void {
  if (typeof value !== 'string') throw stranger(field, 'to be a text', value);
}

/** @throws IModelError `config` for what cannot be called. */
export function refuseNoFunction(field: string, value: unknown): void {
  if (typeof value !== 'function') throw stranger(field, 'to be a function', value);
}

function stranger(field: string, expected: string, got: unknown): IModelError {
  const value = printField({ [field]: got }, [field]);
  return IModelError.of('config', `Expected \`${field}\` ${expected}, got ${value}`, { field, value });
}
