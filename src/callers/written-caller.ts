import { type CallerConfig, callerConfig } from '../../schemas/caller.ts';
import { toSnakeCase } from '../../schemas/imodel.ts';
import { checked } from '../runtime/checked.ts';

const names = new Map(Object.keys(callerConfig.shape).map((name) => [toSnakeCase(name), name]));

/**
 * Reads a caller from the snake_case in which files and buckets have it.
 *
 * @throws IModelError `config`, naming the field.
 */
export function readCaller(written: unknown): CallerConfig {
  const isRecord = typeof written === 'object' && written !== null && !Array.isArray(written);
  const config = isRecord
    ? Object.fromEntries(Object.entries(written).map(([key, value]) => [names.get(key) ?? key, value]))
    : written;
  return checked(callerConfig, config, 'caller', 'config');
}

/** The other way round. */
export function writeCaller(config: CallerConfig): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(config).flatMap(([name, value]) => (value === undefined ? [] : [[toSnakeCase(name), value]])),
  );
}
