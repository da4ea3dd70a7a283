import { type ModelOptions, writtenOptions } from '../../../schemas/imodel.ts';
import type { LiveState } from '../../../schemas/live-state.ts';
import {
  dictVersion,
  type EndpointConfigDict,
  type ModelDict,
  type ModelDictOptions,
  modelDict,
  modelDictOptions,
} from '../../../schemas/snapshot.ts';
import type { Endpoint } from '../../endpoints/endpoint.ts';
import { IModelError, printValue } from '../../errors.ts';
import type { IModelFunctions } from '../../imodel-options.ts';
import type { EndpointOptions } from '../../providers/endpoint-options.ts';
import { matchEndpoint } from '../../providers/match.ts';
import { checked } from '../checked.ts';
import { remoteEndpoint } from '../resolve-endpoint.ts';
import { redacted, setAt, withheldIn } from './credentials.ts';
import { makeByRecipe, secretsOf } from './endpoint-recipe.ts';
import { plainCopy } from './plain-copy.ts';
import { readDict } from './read-dict.ts';

/** What no dict holds, given again when an iModel is read from one. */
export interface FromDictOptions extends Omit<IModelFunctions, 'endpoint'> {
  /** The key, or the name of the variable that holds it. @defaultValue the provider's variable, read at call time */
  readonly apiKey?: string | undefined;
  /** The base URL, for a dict that holds it without a credential of its query. */
  readonly baseUrl?: string | undefined;
  /** An endpoint of your own, for a dict whose endpoint is not in the provider list. */
  readonly endpoint?: Endpoint | undefined;
  /** What is written down of what its actor hears: a dict of unknown origin must not name files. @defaultValue the latest entries, in memory */
  readonly journal?: ModelOptions['journal'];
}

/** An iModel as it was written down, ready to be made. */
export interface ReadModel {
  readonly options: ModelOptions;
  readonly endpoint: Endpoint;
  readonly sessionId: string | null;
  /** Dicts of the models that stand in for it; not checked yet. */
  readonly fallbacks: readonly unknown[];
  readonly state: LiveState | undefined;
}

/** Names a configuration may hold; every other one is a request default. */
const configNames: ReadonlySet<string> = new Set(Object.keys(modelDict.shape.endpoint.shape.config.shape));

/**
 * Reads what `toDict` of this program or of the reference has written.
 *
 * @throws IModelError `config`, naming the path in the dict, for one that is malformed or of a later version.
 */
export function readModel(data: unknown, given: FromDictOptions): ReadModel {
  const dict = checkedDict(data);
  if (typeof given !== 'object' || given === null) {
    throw IModelError.of('config', `Expected \`given\` to be an object, got ${printValue(given)}`, { field: 'given' });
  }
  const own = checked(modelDictOptions, dict.options ?? {}, 'dict options', 'config');
  const { processor_config: processor, provider_metadata: metadata } = dict;
  const options: Record<string, unknown> = {
    id: dict.id,
    createdAt: dict.created_at,
    providerMetadata: metadata ?? undefined,
    exitHook: dict.exit_hook,
    queueCapacity: processor?.queue_capacity ?? undefined,
    capacityRefreshTime: processor?.capacity_refresh_time ?? undefined,
    interval: processor?.interval ?? undefined,
    limitRequests: processor?.limit_requests ?? undefined,
    limitTokens: processor?.limit_tokens ?? undefined,
    concurrencyLimit: processor?.concurrency_limit ?? undefined,
    onFull: own.on_full,
    windowMargin: own.window_margin,
    traceContent: own.trace_content,
    fallbackOn: own.fallback_on,
    ...(own.hooks === undefined ? {} : writtenOptions.decode({ hooks: own.hooks })),
    ...(own.prices === undefined ? {} : writtenOptions.decode({ prices: own.prices })),
    ...(own.cache === undefined ? {} : writtenOptions.decode({ cache: own.cache })),
    retry: retryOf(dict, own),
    breaker: breakerOf(dict, own),
  };
  return {
    // The constructor checks them once more, codes of failures among them.
    options: Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as ModelOptions,
    endpoint: given.endpoint ?? namingPath('endpoint.config', () => endpointOf(dict.endpoint.config, own, given)),
    sessionId: dict.session_id ?? null,
    fallbacks: dict.fallbacks ?? [],
    state: dict.state,
  };
}

function checkedDict(data: unknown): ModelDict {
  if (typeof data !== 'object' || data === null || Array.isArray(data) || Object.keys(data).length === 0) {
    throw IModelError.of('config', `Expected the dict of an iModel, got ${printValue(data)}`, {
      value: printValue(data),
    });
  }
  refuseLaterVersion(data, 'The dict');
  return readDict(data);
}

/** @param name - How to call the dict. @throws IModelError `config` for a dict that a later version of this program wrote. */
export function refuseLaterVersion(data: object, name: string): void {
  const { schema_version: version } = data as { readonly schema_version?: unknown };
  if (typeof version !== 'number' || version <= dictVersion) return;
  const message = `${name} has \`schema_version\` ${version}; this program reads up to ${dictVersion}. A later version of it wrote it`;
  throw IModelError.of('config', message, { field: 'schema_version', value: printValue(version) });
}

function endpointOf(config: EndpointConfigDict, own: ModelDictOptions, given: FromDictOptions): Endpoint {
  const kwargs = ownFields({ ...unknownOf(config), ...config.kwargs });
  if (own.endpoint_name !== undefined) {
    const options: ModelOptions = { provider: config.provider, endpoint: 'remote', endpointName: own.endpoint_name };
    return remoteEndpoint(options, given, kwargs);
  }
  const withheld = withheldIn(kwargs).map(({ path }) => path);
  for (const path of withheld) setAt(kwargs, path, undefined);
  const written = Object.entries(config.default_headers ?? {});
  const headers = Object.fromEntries(written.filter(([, value]) => value !== redacted));
  const options: EndpointOptions = {
    kwargs,
    ...baseUrlOf(config, given),
    ...(config.auth_type == null ? {} : { authType: config.auth_type }),
    ...(config.timeout == null ? {} : { timeout: config.timeout }),
    ...(config.context_window == null ? {} : { contextWindow: config.context_window }),
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    ...(config.allow_local_network === true ? { allowLocalNetwork: true } : {}),
    ...(own.idle_timeout === undefined ? {} : { idleTimeout: own.idle_timeout }),
    ...(own.passthrough === undefined ? {} : { passthrough: own.passthrough }),
    ...(own.trace_vendor === undefined ? {} : { traceVendor: own.trace_vendor }),
    ...(own.allow_private_network === undefined ? {} : { allowPrivateNetwork: own.allow_private_network }),
    ...(own.fit_to_model === undefined ? {} : { fitToModel: own.fit_to_model }),
    ...(given.apiKey === undefined ? {} : { apiKey: given.apiKey }),
    ...(given.env === undefined ? {} : { env: given.env }),
    ...(given.clock === undefined ? {} : { clock: given.clock }),
  };
  const { idle_timeout, passthrough, trace_vendor, allow_private_network, fit_to_model } = own;
  const kept = { idle_timeout, passthrough, trace_vendor, allow_private_network, fit_to_model };
  return makeByRecipe({
    make: () => matchEndpoint(config.provider, config.endpoint ?? 'chat', options),
    options: Object.fromEntries(Object.entries(kept).filter(([, value]) => value !== undefined)),
    allowsLocalNetwork: config.allow_local_network ?? false,
    secrets: () => secretsOf({ provider: config.provider, apiKey: given.apiKey, env: given.env }),
    withheldHeaders: written.filter(([, value]) => value === redacted).map(([name]) => name),
    withheldFields: withheld,
  });
}

/** The request defaults of a dict; nobody who edits that changes them. */
function ownFields(kwargs: Record<string, unknown>): Record<string, unknown> {
  try {
    return plainCopy(kwargs, null) as Record<string, unknown>;
  } catch (cause) {
    const message = 'Expected `kwargs` to be plain data, as JSON can hold it';
    throw IModelError.of('config', message, { field: 'kwargs' }, { cause });
  }
}

function baseUrlOf({ base_url: written }: EndpointConfigDict, given: FromDictOptions): { readonly baseUrl?: string } {
  if (given.baseUrl !== undefined) return { baseUrl: given.baseUrl };
  if (written == null) return {};
  if (!written.includes(redacted)) return { baseUrl: written };
  const message = 'Expected `baseUrl` to be given again: the dict holds it without the credential in its query';
  throw IModelError.of('config', message, { field: 'base_url', value: printValue(written) });
}

function unknownOf(config: EndpointConfigDict): Record<string, unknown> {
  return Object.fromEntries(Object.entries(config).filter(([name]) => !configNames.has(name)));
}

function retryOf({ endpoint: { retry_config: written } }: ModelDict, own: ModelDictOptions): unknown {
  const codes = own.retry_exclude_codes === undefined ? {} : { excludeCodes: own.retry_exclude_codes };
  if (written == null) return undefined;
  return defined({
    maxRetries: written.max_retries,
    baseDelay: written.base_delay,
    maxDelay: written.max_delay,
    backoffFactor: written.backoff_factor,
    jitter: written.jitter,
    jitterFactor: written.jitter_factor,
    ...codes,
  });
}

function breakerOf({ endpoint: { circuit_breaker: written } }: ModelDict, own: ModelDictOptions): unknown {
  const codes = own.breaker_exclude_codes === undefined ? {} : { excludeCodes: own.breaker_exclude_codes };
  if (written == null) return undefined;
  return defined({
    failureThreshold: written.failure_threshold,
    recoveryTime: written.recovery_time,
    halfOpenMaxCalls: written.half_open_max_calls,
    ...codes,
  });
}

function defined(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}

/**
 * Says where in a dict a mistake is that was found by whoever was given a part of it.
 *
 * @param part - The path of that part.
 */
export function namingPath<T>(part: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!IModelError.is(error) || error.failure.code !== 'config') throw error;
    const { code: _code, message, field, ...details } = error.failure;
    const path = field === undefined ? part : `${part}.${field}`;
    throw IModelError.of('config', `Dict \`${path}\`: ${message}`, { ...details, field: path }, { cause: error });
  }
}
