import { isDeepStrictEqual } from 'node:util';
import type { RuntimeConfig } from './runtime.ts';

type ModelEntry = RuntimeConfig['models'][string];

/** Options that a live iModel takes on: how many calls, and how often. */
export const limitNames = [
  'queueCapacity',
  'onFull',
  'concurrencyLimit',
  'limitRequests',
  'limitTokens',
  'interval',
  'capacityRefreshTime',
  'windowMargin',
] as const;

/** Options that say whose limits an iModel keeps. */
const upstreamNames = ['provider', 'model', 'endpoint', 'endpointName', 'baseUrl', 'apiKey'] as const;

/** Settings that a process takes on while it runs; it has the others as long as it lives. */
const passingNames: readonly string[] = ['models', 'gateway', 'drainTimeout'] satisfies (keyof RuntimeConfig)[];

/** What one configuration has that another has not; ids of iModels, in the order of the configuration. */
export interface ConfigChanges {
  readonly added: readonly string[];
  /** Other than by a limit alone. */
  readonly changed: readonly string[];
  /** By a limit alone. */
  readonly limited: readonly string[];
  readonly removed: readonly string[];
  /** Settings that are not of an iModel and hold for as long as the process lives. */
  readonly lasting: readonly string[];
}

/** Compares two configurations. */
export function configChanges(before: RuntimeConfig, after: RuntimeConfig): ConfigChanges {
  const ids = Object.keys(after.models);
  const both = ids.filter((id) => Object.hasOwn(before.models, id));
  const differing = both.filter((id) => !isDeepStrictEqual(before.models[id], after.models[id]));
  const isLimitsAlone = (id: string): boolean =>
    isDeepStrictEqual(without(before.models[id], limitNames), without(after.models[id], limitNames));
  return {
    added: ids.filter((id) => !both.includes(id)),
    changed: differing.filter((id) => !isLimitsAlone(id)),
    limited: differing.filter(isLimitsAlone),
    removed: Object.keys(before.models).filter((id) => !both.includes(id)),
    lasting: lastingNames(before, after).filter((name) => !isDeepStrictEqual(before[name], after[name])),
  };
}

/** A configuration with those settings of the one before that last. */
export function withLasting(before: RuntimeConfig, after: RuntimeConfig): RuntimeConfig {
  const lasting = lastingNames(before, after).map((name) => [name, before[name]]);
  return { ...after, ...(Object.fromEntries(lasting) as Partial<RuntimeConfig>) };
}

function lastingNames(...configs: readonly RuntimeConfig[]): (keyof RuntimeConfig)[] {
  const names = new Set(configs.flatMap((config) => Object.keys(config)));
  return [...names].filter((name) => !passingNames.includes(name)) as (keyof RuntimeConfig)[];
}

/** Whether two iModels ask the same upstream with the same key, so that what one has used of its limits the other has used too. */
export function haveSameUpstream(one: ModelEntry, other: ModelEntry): boolean {
  return upstreamNames.every((name) => isDeepStrictEqual(one[name], other[name]));
}

function without(entry: ModelEntry | undefined, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(entry ?? {}).filter(([name]) => !names.includes(name)));
}
