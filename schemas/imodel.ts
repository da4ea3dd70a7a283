import { z } from 'zod';
import { type FailureCode, failureCodes } from './failure.ts';
import { hookPoints } from './hook.ts';
import { price, priceTable } from './prices.ts';

const positiveInteger = z.number().int('a whole number').min(1, 'at least 1');

/** What ids of iModels and calls are made of. */
export const idPattern = /^[A-Za-z0-9_-]{1,64}$/;

/** An iModel's id: one token of a subject. */
export const modelId = z.string().regex(idPattern, '1 to 64 of the characters A-Z a-z 0-9 _ -');

const failureCode = z.enum(Object.keys(failureCodes) as [FailureCode, ...FailureCode[]]);

/** How failed attempts are made again. Times in seconds. */
export const retryOptions = z.strictObject({
  /** Attempts after the first. @defaultValue 3 */
  maxRetries: z.number().int('a whole number').min(0, 'at least 0').max(100, 'at most 100').optional(),
  /** Ceiling of the first delay. @defaultValue 1 */
  baseDelay: z.number().positive('above 0').optional(),
  /** No ceiling grows beyond it. @defaultValue 60 */
  maxDelay: z.number().nonnegative('at least 0').optional(),
  /** @defaultValue 2 */
  backoffFactor: z.number().min(1, 'at least 1').optional(),
  /** Whether delays are left to chance. @defaultValue true */
  jitter: z.boolean().optional(),
  /** How much of a delay is left to chance, 0 to 1. @defaultValue 1 */
  jitterFactor: z.number().min(0, 'at least 0').max(1, 'at most 1').optional(),
  /** Failures that are final whatever else is said of them. */
  excludeCodes: z.array(failureCode).optional(),
});

/** When a breaker opens and closes. Times in seconds. */
export const breakerOptions = z.strictObject({
  /** Calls in a row that must fail. @defaultValue 5 */
  failureThreshold: positiveInteger.optional(),
  /** How long it stays open before a trial. @defaultValue 30 */
  recoveryTime: z.number().positive('above 0').optional(),
  /** Trials at a time. @defaultValue 1 */
  halfOpenMaxCalls: positiveInteger.optional(),
  /** Failures that say nothing about the vendor's health. */
  excludeCodes: z.array(failureCode).optional(),
});

/** How long earlier answers are used again, and how many are kept. */
export const cacheOptions = z.strictObject({
  /** Seconds. @defaultValue 300 */
  ttl: z.number('a number').positive('above 0').optional(),
  /** Bytes of answers, as JSON; those unused longest go first. @defaultValue 67,108,864 (64 MiB) */
  maxBytes: positiveInteger.optional(),
});

const askedHook = {
  /** Tells several hooks at one point apart; a part of the subject on which it is asked. @defaultValue none */
  name: modelId.optional(),
  /** Milliseconds an answer may take. @defaultValue 10,000 before creation and for chunks, 30,000 before and after invocation */
  timeoutMs: z.number('a number').positive('above 0').max(3_600_000, 'at most an hour').optional(),
  /**
   * What happens when it cannot be had: nobody listens, it is late, or its answer is none. `open` goes on as if it had let the call pass,
   * `closed` as if it had refused. @defaultValue 'closed'
   */
  onFailure: z.enum(['open', 'closed']).optional(),
};

/** A hook on the bus that an iModel asks; see `docs/hooks.md`. */
export const askedHookOptions = z.discriminatedUnion(
  'point',
  [
    z.strictObject({ point: z.enum(hookPoints), ...askedHook }),
    z.strictObject({
      point: z.literal('chunk'),
      ...askedHook,
      /**
       * `observe` shows chunks and waits for nothing; `hold-window` holds them until some have come or some time has passed; `hold-all` until
       * the answer is complete. @defaultValue 'hold-window'
       */
      mode: z.enum(['observe', 'hold-window', 'hold-all']).optional(),
      /** With `hold-window`: chunks of one question. @defaultValue 16 */
      holdChunks: positiveInteger.optional(),
      /** With `hold-window`: milliseconds after which fewer are asked for too. @defaultValue 250 */
      holdMs: z.number('a number').positive('above 0').optional(),
    }),
  ],
  '`pre_event_create`, `pre_invocation`, `post_invocation` or `chunk`',
);

/** See {@link askedHookOptions}. */
export type AskedHookOptions = z.infer<typeof askedHookOptions>;

/** What an iModel writes down of what its actor hears. */
export const journalOptions = z.strictObject({
  /** Entries in memory from which a replay can begin, at least; twice as many are kept at most. @defaultValue 1,024 */
  size: z.number().int('a whole number').min(16, 'at least 16').max(1_000_000, 'at most 1000000').optional(),
  /** A file that all entries are appended to, one JSON document a line. @defaultValue memory only */
  file: z.string().min(1, 'a path').optional(),
  /**
   * A JetStream stream that all entries go to once the iModel is served on a NATS server, at `<stream>.<id>`. It is made, on the server's disk and
   * without limits, where it is missing. @defaultValue none
   */
  stream: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, '1 to 64 of A-Z, a-z, 0-9, _ and -')
    .optional(),
  /** Whether requests are written down too, prompts included, so that a replay gives them back. @defaultValue false */
  requests: z.boolean().optional(),
});

/** See {@link journalOptions}. */
export type JournalOptions = z.infer<typeof journalOptions>;

/**
 * Our own options of an iModel, as TypeScript writes them. Whatever else stands beside them belongs to the provider (`model`, `temperature`, …)
 * and is checked by its endpoint.
 */
export const modelOptions = z.object({
  /** A vendor's name or alias. Taken from `model` up to its first slash when absent. */
  provider: z.string().nullish(),
  /** Replaces the vendor's own base URL: a proxy, a local server, any OpenAI-compatible host. */
  baseUrl: z.string().nullish(),
  /** Which of the provider's endpoints, or `remote` for one that is served on the bus. @defaultValue 'chat' */
  endpoint: z.string().optional(),
  /** With `endpoint: 'remote'`: the name it is served under. @defaultValue the provider */
  endpointName: modelId.optional(),
  /** The key itself, or the name of the environment variable that holds it. @defaultValue the provider's variable, read at call time */
  apiKey: z.string().min(1, 'a key or the name of a variable').nullish(),
  /** Calls that may wait. @defaultValue 100; agents bring their own */
  queueCapacity: positiveInteger.nullish(),
  /** Seconds of one rate window, unless `interval` is given. @defaultValue 60 */
  capacityRefreshTime: z.number().positive('above 0').optional(),
  /** Seconds of one rate window. @defaultValue `capacityRefreshTime` */
  interval: z.number().positive('above 0').nullish(),
  /** Starts per window. @defaultValue no limit */
  limitRequests: positiveInteger.nullish(),
  /** Tokens per window, reserved by an estimate and settled with the reported usage. @defaultValue no limit */
  limitTokens: positiveInteger.nullish(),
  /** Calls, streamed or not, that may run at once. @defaultValue no limit; agents bring their own */
  concurrencyLimit: positiveInteger.nullish(),
  /** Data of the caller's own, such as `{ session_id }`. */
  providerMetadata: z.record(z.string(), z.unknown()).nullish(),
  /** @defaultValue a new UUIDv4 */
  id: modelId.nullish(),
  /** Epoch seconds. @defaultValue now */
  createdAt: z.number().optional(),
  /** A call that finds the queue full waits for a place, or is refused with `queue_full`. @defaultValue 'wait' */
  onFull: z.enum(['wait', 'reject']).optional(),
  /** Whether a failure of a hook or chunk handler ends its call, unless the call says otherwise. @defaultValue false */
  exitHook: z.boolean().optional(),
  /** Hooks on the bus that are asked, in this order at each point, after those of `hookRegistry`. @defaultValue none */
  hooks: z.array(askedHookOptions, 'a list of hooks').optional(),
  /** How failed attempts are made again; null never. @defaultValue 3 retries with full jitter */
  retry: retryOptions.nullish(),
  /** Stops calling a vendor that keeps failing; `{}` for its defaults. @defaultValue none */
  breaker: breakerOptions.nullish(),
  /** Failures for which fallbacks are tried, beside all that are retryable. */
  fallbackOn: z.array(failureCode).optional(),
  /**
   * Seconds added to the rate window against jitter between here and the vendor. Unless it is 0, a unit of a vendor that replies promptly is
   * also held until its reply begins, at most a quarter of a second. @defaultValue 0.5 % of the window, at least 0.01
   */
  windowMargin: z.number().nonnegative('at least 0').optional(),
  /**
   * Whether the spans of its calls hold prompts and answers.
   * @defaultValue what `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` says; false without it
   */
  traceContent: z.boolean('true or false').optional(),
  /** What is written down of what the actor hears; null for nothing. @defaultValue the latest entries, in memory */
  journal: journalOptions.nullish(),
  /** What tokens cost: gives calls their `cost`. Fallbacks that are made here have it too. @defaultValue none, and every cost is null */
  prices: priceTable.nullish(),
  /**
   * Answers one-shot calls from earlier answers to the same payload; `{}` for its defaults. A call's own `cache_control: true` or `false` wins,
   * except at vendors that have a field of that name. @defaultValue none
   */
  cache: cacheOptions.nullish(),
});

/** See {@link modelOptions}. */
export type ModelOptions = z.infer<typeof modelOptions>;

/** Names of our own options, camelCase. */
export const modelOptionNames = Object.keys(modelOptions.shape) as readonly (keyof ModelOptions)[];

/**
 * Options of the endpoint that its provider does not see, as TypeScript writes them. They stand beside {@link modelOptions}, and a vendor's
 * own field of the same name wins.
 */
export const endpointOptions = z.object({
  /** How the key is sent. @defaultValue the provider's own */
  authType: z.enum(['bearer', 'x-api-key', 'none']).optional(),
  /** Seconds without the beginning of an answer, or between two pieces of one. @defaultValue 600; 300 for unknown hosts */
  timeout: z.number().positive('above 0').optional(),
  /** Seconds of silence in the middle of an answer. @defaultValue `timeout` */
  idleTimeout: z.number().positive('above 0').optional(),
  /** Tokens the model takes, where the built-in table is wrong or does not know it. */
  contextWindow: positiveInteger.optional(),
  /** Extra headers of every request. */
  headers: z.record(z.string(), z.string()).optional(),
  /** Sends request fields that the endpoint's schema does not know. @defaultValue false */
  passthrough: z.boolean().optional(),
  /** Sends the `traceparent` of the call to the vendor. @defaultValue false */
  traceVendor: z.boolean().optional(),
  /** Allows this machine's own addresses. @defaultValue false, unless `baseUrl` names this machine */
  allowLocalNetwork: z.boolean().optional(),
  /** Allows the local network's addresses too. @defaultValue false */
  allowPrivateNetwork: z.boolean().optional(),
  /** Changes or leaves out fields that the named model is known not to take. @defaultValue true */
  fitToModel: z.boolean().optional(),
});

/** `limitRequests` to `limit_requests`. */
export function toSnakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Names of all options that are ours, those of endpoints too, camelCase. */
export const ownOptionNames: readonly string[] = [...modelOptionNames, ...Object.keys(endpointOptions.shape)];

/** Options whose own keys change their spelling too. */
const nestedOptions = { retry: retryOptions, breaker: breakerOptions, cache: cacheOptions } as const;

/** Names within {@link askedHookOptions}, camelCase; a provider's field of such a name keeps its spelling. */
export const askedHookNames: readonly string[] = Object.keys(askedHookOptions.options[1].shape);

const allNames = [
  ...ownOptionNames,
  ...Object.values(nestedOptions).flatMap((schema) => Object.keys(schema.shape)),
  ...Object.keys(price.shape),
] as const;
const snakeToCamel = new Map<string, string>(allNames.map((name) => [toSnakeCase(name), name]));
const camelToSnake = new Map<string, string>(allNames.map((name) => [name, toSnakeCase(name)]));

const snakeToHook = new Map<string, string>(askedHookNames.map((name) => [toSnakeCase(name), name]));
const hookToSnake = new Map<string, string>(askedHookNames.map((name) => [name, toSnakeCase(name)]));

const fields = z.record(z.string(), z.unknown());

/**
 * The one place where our options change their spelling: snake_case in dicts, files and messages, camelCase in TypeScript. Fields of the
 * provider keep the vendor's spelling both ways. Values are not checked here: {@link modelOptions} does that.
 */
export const writtenOptions = z.codec(fields, fields, {
  decode: (written) => renameKeys(written, snakeToCamel, snakeToHook),
  encode: (options) => renameKeys(options, camelToSnake, hookToSnake),
});

function renameKeys(
  record: Record<string, unknown>,
  names: ReadonlyMap<string, string>,
  hookNames: ReadonlyMap<string, string>,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(record).map(([key, value]) => {
      const inner = (item: unknown) => (isRecord(item) ? renameKeys(item, names, hookNames) : item);
      if (key === 'fallbacks' && Array.isArray(value)) return [key, value.map(inner)];
      if (key === 'hooks' && Array.isArray(value)) {
        return [key, value.map((hook) => (isRecord(hook) ? renameKeys(hook, hookNames, hookNames) : hook))];
      }
      // Its own keys are names of models.
      if (key === 'prices' && isRecord(value)) {
        return [key, Object.fromEntries(Object.entries(value).map(([model, entry]) => [model, inner(entry)]))];
      }
      return [names.get(key) ?? key, key in nestedOptions ? inner(value) : value];
    }),
  );
}

/**
 * A W3C trace context: version, trace, parent and flags, in lower-case hexadecimal.
 *
 * @see {@link https://www.w3.org/TR/trace-context/#traceparent-header} (read 2026-11)
 */
export const traceParent = z
  .string()
  .regex(/^[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/, 'a W3C trace context');

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** How an iModel is closed. */
export const closeOptions = z.strictObject({
  /** Let running calls finish. @defaultValue false */
  drain: z.boolean().optional(),
  /** With `drain`: milliseconds after which running calls are ended after all. @defaultValue no limit */
  timeoutMs: z.number().min(0, 'at least 0').optional(),
});

/** See {@link closeOptions}. */
export type CloseOptions = z.infer<typeof closeOptions>;

/** What {@link closeOptions} is for closing, for a copy. The endpoint is code; whether it is one is for the iModel to see. */
export const copyOptions = z.strictObject({
  shareSession: z.boolean('true or false').optional(),
  endpoint: z.unknown().optional(),
});

/** What is written of an iModel; each is described where it has its default. */
export const dictOptions = z.strictObject({
  includeRequestOptions: z.boolean('true or false').optional(),
  includeProcessorConfig: z.boolean('true or false').optional(),
  includeSession: z.boolean('true or false').optional(),
  state: z.boolean('true or false').optional(),
});

/** Options of one call, beside its request. */
export const callOptions = z.strictObject({
  /** Ends the call when it aborts: status `cancelled`. */
  signal: z.instanceof(AbortSignal).optional(),
  /** Milliseconds from submission to the end of the call, waiting included. @defaultValue no limit */
  timeoutMs: z.number().positive('above 0').optional(),
  /** Milliseconds the call may wait before it is dispatched. @defaultValue no limit */
  queueTimeoutMs: z.number().positive('above 0').optional(),
  /** Higher is served first. @defaultValue 0 */
  priority: z.number().int('a whole number').min(-10, 'at least -10').max(10, 'at most 10').optional(),
  /** Who calls; callers within one priority get shares by their weight. @defaultValue '' */
  caller: z.string().max(256, 'at most 256 characters').optional(),
  /** How many shares the caller has. @defaultValue 1 */
  weight: z.number().min(1, 'at least 1').max(100, 'at most 100').optional(),
  /** The call's id: 1 to 64 of `[A-Za-z0-9_-]`. @defaultValue a new UUIDv4 */
  callId: modelId.optional(),
  /** The W3C trace context the call belongs to; passed on with its events and its reply. */
  traceparent: traceParent.optional(),
  /** The vendors' part of that trace context; without `traceparent` it means nothing. */
  tracestate: z.string().max(8_192, 'at most 8192 characters').optional(),
  /** Rejects with the call's error when it failed, instead of resolving with the failed call. @defaultValue false */
  raiseOnError: z.boolean().optional(),
});

/** See {@link callOptions}. */
export type CallOptions = z.infer<typeof callOptions>;
