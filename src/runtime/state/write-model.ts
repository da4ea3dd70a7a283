import { type ModelOptions, writtenOptions } from '../../../schemas/imodel.ts';
import {
  dictVersion,
  type EndpointConfigDict,
  type ModelDict,
  type ModelDictOptions,
  modelDictOptions,
} from '../../../schemas/snapshot.ts';
import { isCredentialName } from '../../endpoints/credential-name.ts';
import type { Endpoint, Fields } from '../../endpoints/endpoint.ts';
import { requestJsonSchema } from '../../endpoints/request-json-schema.ts';
import { isLoopbackHost } from '../../http/address-guard.ts';
import type { LiveModel } from '../model/live-model.ts';
import { resilienceOf } from '../policies.ts';
import { copyWithoutSecrets, textWithoutSecrets } from './copy-without-secrets.ts';
import { credentialsIn, redacted, setAt, withoutCredentials } from './credentials.ts';
import { type EndpointRecipe, recipeOf, secretsIn } from './endpoint-recipe.ts';
import { limitsOnly } from './limits-only.ts';
import { writeValue } from './written.ts';

/** What goes into a dict beside the essentials. */
export interface ToDictOptions {
  /** Adds the JSON Schema of requests. @defaultValue false */
  readonly includeRequestOptions?: boolean;
  /** Writes queue, limits and concurrency. @defaultValue true */
  readonly includeProcessorConfig?: boolean;
  /** Writes the agent session that the next call resumes. @defaultValue false, but true with `state` */
  readonly includeSession?: boolean;
  /**
   * Writes what it is doing too: calls that wait and that run, with their requests, what is used of its limits, cool-down, breaker,
   * counters. @defaultValue false
   */
  readonly state?: boolean;
}

/** The parts of an iModel that are written down. */
export interface WritableModel {
  readonly id: string;
  readonly createdAt: number;
  readonly providerMetadata: Fields;
  readonly endpoint: Endpoint;
  readonly exitHook: boolean;
  readonly providerSessionId: string | null;
  readonly live: LiveModel;
  readonly fallbacks: readonly { readonly live: LiveModel; toDict(options: ToDictOptions): ModelDict }[];
}

/** Writes an iModel down; see `iModel.toDict`. */
export function writeModel(model: WritableModel, settings: ModelOptions, options: ToDictOptions): ModelDict {
  return copyWithoutSecrets(withState(model, settings, options), secretsIn(model.endpoint)) as ModelDict;
}

/**
 * As {@link writeModel}, as JSON.
 *
 * @param generation - Which log holds what happens from now on; see {@link ModelDict}.
 */
export function writeModelText(
  model: WritableModel,
  settings: ModelOptions,
  options: ToDictOptions,
  generation?: number,
): string {
  const dict = withState(model, settings, options);
  if (dict.state !== undefined && generation !== undefined) dict.state.generation = generation;
  return textWithoutSecrets(dict, secretsIn(model.endpoint));
}

function withState(model: WritableModel, settings: ModelOptions, options: ToDictOptions): ModelDict {
  const dict = draft(model, settings, options);
  if (options.state === true) dict.state = model.live.writeState();
  return dict;
}

/** The whole but for `state`, and with secrets that its endpoint was given. */
function draft(model: WritableModel, settings: ModelOptions, options: ToDictOptions): ModelDict {
  const { endpoint } = model;
  const recipe = recipeOf(endpoint);
  const { session_id: session, ...metadata } = model.providerMetadata;
  const keepsSession = session !== undefined && !endpoint.isCli;
  const own = ownOptions(settings, recipe);
  return {
    schema_version: dictVersion,
    id: model.id,
    created_at: model.createdAt,
    provider_metadata: plainRecord(keepsSession ? model.providerMetadata : metadata),
    endpoint: {
      retry_config: retryOf(settings, endpoint),
      circuit_breaker: breakerOf(settings, endpoint),
      config: configOf(endpoint, settings, recipe, options.includeRequestOptions === true),
    },
    ...(options.includeProcessorConfig === false ? {} : { processor_config: processorOf(model, settings) }),
    exit_hook: model.exitHook,
    ...(Object.keys(own).length === 0 ? {} : { options: own }),
    ...((options.includeSession ?? options.state) ? { session_id: model.providerSessionId } : {}),
    ...(model.fallbacks.length === 0 ? {} : { fallbacks: model.fallbacks.map((own) => fallbackOf(own, options)) }),
  };
}

/** Its calls are ours, or others' that have their own place; what it has used of its limits is its own. */
function fallbackOf(fallback: WritableModel['fallbacks'][number], options: ToDictOptions): ModelDict {
  const { state, ...dict } = fallback.toDict(options);
  return state === undefined ? dict : { ...dict, state: limitsOnly(state, fallback.live.view().limits.window) };
}

function configOf(
  endpoint: Endpoint,
  settings: ModelOptions,
  recipe: EndpointRecipe | undefined,
  withSchema: boolean,
): EndpointConfigDict {
  const { config } = endpoint;
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(config.defaultHeaders)) {
    headers[name] = isCredentialName(name) ? redacted : value;
  }
  for (const name of recipe?.withheldHeaders ?? []) headers[name] = redacted;
  const whole: EndpointConfigDict = {
    name: config.name,
    provider: config.provider,
    base_url: config.baseUrl === null ? null : withoutCredentials(config.baseUrl),
    endpoint: config.endpoint,
    method: config.method,
    params: {},
    content_type: config.contentType,
    auth_type: config.authType,
    default_headers: headers,
    request_options: withSchema ? requestJsonSchema(endpoint) : null,
    timeout: config.timeout,
    max_retries: resilienceOf(settings, endpoint).retry?.maxRetries ?? 0,
    openai_compatible: false,
    requires_tokens: config.requiresTokens,
    context_window: config.contextWindow,
    kwargs: defaultsOf(config.kwargs, recipe),
    client_kwargs: {},
    allow_local_network: recipe?.allowsLocalNetwork === true || isLocal(config.baseUrl),
  };
  return Object.fromEntries(Object.entries(whole).filter(([, value]) => value !== null)) as EndpointConfigDict;
}

/** Request defaults, without the credentials in them. */
function defaultsOf(kwargs: Fields, recipe: EndpointRecipe | undefined): Record<string, unknown> {
  const written = plainRecord(kwargs);
  const paths = [...credentialsIn(written).map(({ path }) => path), ...(recipe?.withheldFields ?? [])];
  for (const path of paths) setAt(written, path, redacted);
  return written;
}

function retryOf(settings: ModelOptions, endpoint: Endpoint): ModelDict['endpoint']['retry_config'] {
  if (settings.retry === undefined) return null;
  const { retry } = resilienceOf({ ...settings, retry: settings.retry ?? { maxRetries: 0 } }, endpoint);
  if (retry === null) return null;
  return {
    max_retries: retry.maxRetries,
    base_delay: retry.baseDelayMs / 1_000,
    max_delay: retry.maxDelayMs / 1_000,
    backoff_factor: retry.backoffFactor,
    jitter: settings.retry?.jitter ?? true,
    jitter_factor: settings.retry?.jitterFactor ?? 1,
  };
}

function breakerOf(settings: ModelOptions, endpoint: Endpoint): ModelDict['endpoint']['circuit_breaker'] {
  const { breaker } = resilienceOf(settings, endpoint);
  if (breaker === null) return null;
  return {
    failure_threshold: breaker.failureThreshold,
    recovery_time: breaker.recoveryMs / 1_000,
    half_open_max_calls: breaker.halfOpenMaxCalls,
    name: 'default',
  };
}

function processorOf({ live }: WritableModel, settings: ModelOptions): ModelDict['processor_config'] {
  const { queueCapacity, concurrency, window } = live.view().limits;
  return {
    queue_capacity: queueCapacity,
    capacity_refresh_time: settings.capacityRefreshTime ?? 60,
    interval: settings.interval ?? null,
    limit_requests: window.requests,
    limit_tokens: window.tokens,
    concurrency_limit: concurrency,
  };
}

function ownOptions(settings: ModelOptions, recipe: EndpointRecipe | undefined): ModelDictOptions {
  const { onFull, windowMargin, fallbackOn, retry, breaker, hooks, traceContent, prices, cache } = settings;
  return {
    ...(onFull === undefined ? {} : { on_full: onFull }),
    ...(windowMargin === undefined ? {} : { window_margin: windowMargin }),
    ...(fallbackOn === undefined ? {} : { fallback_on: [...fallbackOn] }),
    ...(retry?.excludeCodes === undefined ? {} : { retry_exclude_codes: [...retry.excludeCodes] }),
    ...(breaker?.excludeCodes === undefined ? {} : { breaker_exclude_codes: [...breaker.excludeCodes] }),
    ...(hooks === undefined || hooks.length === 0 ? {} : written({ hooks })),
    ...(prices == null ? {} : written({ prices })),
    ...(cache == null ? {} : written({ cache })),
    ...(traceContent === undefined ? {} : { trace_content: traceContent }),
    ...recipe?.options,
  };
}

function written(options: Pick<ModelOptions, 'hooks' | 'prices' | 'cache'>): ModelDictOptions {
  return modelDictOptions.parse(writtenOptions.encode(options));
}

/** A copy as JSON can hold it; what it cannot (functions, bytes) is left out. */
function plainRecord(record: Fields): Record<string, unknown> {
  const plain = Object.entries(record).filter(([, value]) => typeof value !== 'function' && value !== undefined);
  return writeValue(Object.fromEntries(plain)) as Record<string, unknown>;
}

function isLocal(baseUrl: string | null): boolean {
  return baseUrl !== null && URL.canParse(baseUrl) && isLoopbackHost(new URL(baseUrl).hostname);
}
