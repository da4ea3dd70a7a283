import { z } from 'zod';
import { liveState } from './live-state.ts';

/** The version of {@link modelDict} that is written; higher ones are refused. */
export const dictVersion = 1;

const fields = z.record(z.string(), z.unknown());
const text = z.string('a text');
const limit = z.int('a whole number').min(1, 'at least 1').nullish();
const seconds = z.number('a number').positive('above 0');

/** How failed attempts are made again, in the reference's keys; times in seconds. */
const retryConfig = z.object({
  max_retries: z.int('a whole number').min(0, 'at least 0').optional(),
  base_delay: seconds.optional(),
  max_delay: z.number('a number').nonnegative('at least 0').optional(),
  backoff_factor: z.number('a number').min(1, 'at least 1').optional(),
  jitter: z.boolean('true or false').optional(),
  jitter_factor: z.number('a number').min(0, 'at least 0').max(1, 'at most 1').optional(),
});

/** When a breaker opens and closes, in the reference's keys; times in seconds. */
const circuitBreaker = z.object({
  failure_threshold: z.int('a whole number').min(1, 'at least 1').optional(),
  recovery_time: seconds.optional(),
  half_open_max_calls: z.int('a whole number').min(1, 'at least 1').optional(),
  name: text.optional(),
});

/** An endpoint's configuration, in the reference's keys; null ones are left out. Unknown ones are request defaults. */
export const endpointConfigDict = z.looseObject({
  name: text.nullish(),
  provider: text.min(1, 'a provider'),
  base_url: text.nullish(),
  endpoint: text.nullish(),
  endpoint_params: z.array(text).nullish(),
  method: text.nullish(),
  params: fields.nullish(),
  content_type: text.nullish(),
  auth_type: z.enum(['bearer', 'x-api-key', 'none'], '`bearer`, `x-api-key` or `none`').nullish(),
  default_headers: z.record(z.string(), text).nullish(),
  /** A JSON Schema of requests, for readers; never read back. */
  request_options: z.unknown().optional(),
  timeout: seconds.nullish(),
  max_retries: z.int('a whole number').min(0, 'at least 0').nullish(),
  openai_compatible: z.boolean('true or false').nullish(),
  requires_tokens: z.boolean('true or false').nullish(),
  context_window: limit,
  kwargs: fields.nullish(),
  client_kwargs: fields.nullish(),
  allow_local_network: z.boolean('true or false').nullish(),
  /** The reference writes these since 0.36; what they switch on there, an endpoint here does where its vendor takes it. Never read back. */
  idempotent_retries: z.unknown().optional(),
  prompt_caching: z.unknown().optional(),
  serialize_by_alias: z.unknown().optional(),
});

/** See {@link endpointConfigDict}. */
export type EndpointConfigDict = z.infer<typeof endpointConfigDict>;

/** What bounds an iModel's calls, in the reference's keys. */
const processorConfig = z.object({
  queue_capacity: limit,
  capacity_refresh_time: seconds.nullish(),
  interval: seconds.nullish(),
  limit_requests: limit,
  limit_tokens: limit,
  concurrency_limit: limit,
});

/**
 * An iModel as plain data: the reference's keys, and beside them `schema_version`, `exit_hook` and `options`, which the reference skips.
 *
 * Holds no key, no function and no hook, and nothing of the calls unless `state` was asked for.
 */
export const modelDict = z.object({
  /** Absent in the reference's own. */
  schema_version: z.int('a whole number').min(1, 'at least 1').optional(),
  id: text.optional(),
  /** Epoch seconds; whole numbers too. */
  created_at: z.number('a number').optional(),
  provider_metadata: fields.nullish(),
  endpoint: z.object({
    retry_config: retryConfig.nullish(),
    circuit_breaker: circuitBreaker.nullish(),
    config: endpointConfigDict,
  }),
  processor_config: processorConfig.nullish(),
  exit_hook: z.boolean('true or false').optional(),
  /** Options of ours that the reference has no key for, in snake_case. */
  options: fields.optional(),
  /** The agent session, where it was asked for. */
  session_id: text.nullish(),
  /** The models that stand in for this one, in the order in which they are asked. */
  fallbacks: z.array(fields).optional(),
  /** What it is doing, where that was asked for. */
  state: liveState.optional(),
});

/** See {@link modelDict}. */
export type ModelDict = z.infer<typeof modelDict>;

/** What stands in `options` of a {@link modelDict}. Times in seconds. */
export const modelDictOptions = z.strictObject({
  on_full: z.enum(['wait', 'reject']).optional(),
  window_margin: z.number().nonnegative('at least 0').optional(),
  fallback_on: z.array(text).optional(),
  retry_exclude_codes: z.array(text).optional(),
  breaker_exclude_codes: z.array(text).optional(),
  /** The hooks on the bus that it asks, with their keys in snake_case. */
  hooks: z.array(fields).optional(),
  /** What tokens cost, by model; keys of the entries in snake_case. */
  prices: fields.optional(),
  /** How long answers are used again; keys in snake_case. None of them is in a dict. */
  cache: fields.optional(),
  idle_timeout: seconds.optional(),
  passthrough: z.boolean('true or false').optional(),
  trace_vendor: z.boolean('true or false').optional(),
  trace_content: z.boolean('true or false').optional(),
  allow_private_network: z.boolean('true or false').optional(),
  fit_to_model: z.boolean('true or false').optional(),
  /** The name under which another process serves the endpoint. */
  endpoint_name: text.optional(),
});

/** See {@link modelDictOptions}. */
export type ModelDictOptions = z.infer<typeof modelDictOptions>;
