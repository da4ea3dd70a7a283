import { z } from 'zod';

/** Who reported a failure: the model's vendor, the bus, a tool or child program, or this runtime itself. */
export const failureSources = ['provider', 'bus', 'tool', 'runtime'] as const;

/** Where a call stood when its time ran out. */
export const timeoutPhases = [
  'queue',
  'paused',
  'concurrency',
  'rate',
  'hook',
  'connect',
  'attempt',
  'backoff',
  'stream',
  'reply',
] as const;

/** See {@link timeoutPhases}. */
export type TimeoutPhase = (typeof timeoutPhases)[number];

const common = {
  /** What happened, in one sentence for people. Never holds a key or a header value. */
  message: z.string(),
  /** Whether the same request can succeed later without being changed. */
  retryable: z.boolean(),
  source: z.enum(failureSources),
  /** How long to wait before trying again, in milliseconds, where somebody said so. */
  retryAfterMs: z.number().nonnegative().optional(),
};

/** The vendor's own words about a refusal, as far as it gave them. */
const vendor = {
  /** HTTP status of the reply, absent when the failure came inside a stream or from a child process. */
  status: z.number().int().optional(),
  /** The vendor's machine-readable code or error type. */
  reason: z.string().optional(),
  /** The vendor's name for the request, for its support desk. */
  requestId: z.string().optional(),
  /** At most 2,000 characters of the vendor's body. */
  body: z.string().optional(),
  /** How many times the request was sent. */
  attempts: z.number().int().positive().optional(),
};

const of = <C extends string, S extends z.ZodRawShape>(code: C, own: S) =>
  z.object({ code: z.literal(code), ...common, ...own });

/**
 * Why a call, a message or a construction did not succeed. A closed union on `code`: new codes are never made from data,
 * so a `switch` over them can be complete. It is plain data, since it crosses the bus and statecharts decide on it.
 */
export const failure = z.discriminatedUnion('code', [
  /** The vendor says wait. */
  of('rate_limited', vendor),
  /** The vendor has no capacity at the moment. */
  of('overloaded', vendor),
  /** No connection, a reset, or a 5xx. */
  of('unavailable', vendor),
  /** A deadline or an idle limit passed. */
  of('timed_out', { phase: z.enum(timeoutPhases), timeoutMs: z.number().nonnegative() }),
  /** Nobody listens on the subject. */
  of('no_responder', { subject: z.string() }),
  /** The caller took the call back. */
  of('cancelled', { reason: z.string().optional() }),
  /** The key was refused. */
  of('unauthorized', { ...vendor, variable: z.string().optional() }),
  /** No key was found; `variable` names where it was looked for. */
  of('missing_api_key', { variable: z.string() }),
  /** The vendor refused the request. */
  of('rejected', vendor),
  /** More tokens than the model takes. */
  of('context_overflow', {
    ...vendor,
    tokens: z.number().int().optional(),
    limit: z.number().int().optional(),
  }),
  /** A content filter stopped the answer. */
  of('filtered', vendor),
  /** A reply did not parse; `excerpt` holds at most 200 characters of it. */
  of('malformed', { path: z.string().optional(), excerpt: z.string().max(200).optional() }),
  /** The caller's request or message is not one we take; nothing was sent. */
  of('invalid_request', { path: z.string().optional(), value: z.string().optional() }),
  /** The call, or its id, is already in use. */
  of('conflict', { callId: z.string().optional() }),
  /** The queue is full and the model was told not to wait. */
  of('queue_full', { capacity: z.number().int() }),
  /** The iModel takes no more calls, or ended this one while closing. */
  of('closed', {}),
  /** The request needs more tokens than its limit grants in a whole window. */
  of('estimate_too_large', { tokens: z.number(), limit: z.number() }),
  /** A hook refused the call. */
  of('vetoed', { hook: z.string().optional() }),
  /** The breaker is open. */
  of('circuit_open', {}),
  /** A body is larger than the limit. */
  of('payload_too_large', { sizeBytes: z.number(), limitBytes: z.number() }),
  /** The process that ran the call is gone; the vendor may or may not have served it. */
  of('interrupted', {}),
  /** The iModel cannot be built from these options. */
  of('config', { field: z.string().optional(), value: z.string().optional() }),
  /** A fault of this program. */
  of('internal', {}),
]);

/** See {@link failure}. */
export type Failure = z.infer<typeof failure>;

/** The names a failure can have. */
export type FailureCode = Failure['code'];

/** One member of the union, by its code. */
export type FailureOf<C extends FailureCode> = Extract<Failure, { code: C }>;

interface CodeFacts {
  /** The HTTP status the gateway answers with. */
  readonly http: number;
  /** The value of `Nats-Service-Error-Code` on a bus reply. */
  readonly nats: number;
  /** Whether such a failure is worth another try when nothing more is known. */
  readonly retryable: boolean;
  readonly source: (typeof failureSources)[number];
}

/** One row for every code: how it is spoken over HTTP and NATS, and its defaults. */
export const failureCodes = {
  rate_limited: { http: 429, nats: 429, retryable: true, source: 'provider' },
  overloaded: { http: 503, nats: 503, retryable: true, source: 'provider' },
  unavailable: { http: 502, nats: 502, retryable: true, source: 'provider' },
  timed_out: { http: 504, nats: 504, retryable: false, source: 'runtime' },
  no_responder: { http: 503, nats: 521, retryable: true, source: 'bus' },
  cancelled: { http: 499, nats: 499, retryable: false, source: 'runtime' },
  unauthorized: { http: 401, nats: 401, retryable: false, source: 'provider' },
  missing_api_key: { http: 401, nats: 401, retryable: false, source: 'runtime' },
  rejected: { http: 400, nats: 400, retryable: false, source: 'provider' },
  context_overflow: { http: 400, nats: 400, retryable: false, source: 'provider' },
  filtered: { http: 400, nats: 400, retryable: false, source: 'provider' },
  malformed: { http: 502, nats: 502, retryable: false, source: 'provider' },
  invalid_request: { http: 400, nats: 400, retryable: false, source: 'runtime' },
  conflict: { http: 409, nats: 409, retryable: false, source: 'runtime' },
  queue_full: { http: 429, nats: 429, retryable: true, source: 'runtime' },
  closed: { http: 503, nats: 503, retryable: true, source: 'runtime' },
  estimate_too_large: { http: 413, nats: 413, retryable: false, source: 'runtime' },
  vetoed: { http: 403, nats: 403, retryable: false, source: 'runtime' },
  circuit_open: { http: 503, nats: 503, retryable: true, source: 'runtime' },
  payload_too_large: { http: 413, nats: 413, retryable: false, source: 'bus' },
  interrupted: { http: 503, nats: 503, retryable: true, source: 'runtime' },
  config: { http: 500, nats: 500, retryable: false, source: 'runtime' },
  internal: { http: 500, nats: 500, retryable: false, source: 'runtime' },
} as const satisfies Record<FailureCode, CodeFacts>;

/** What a failure says beyond what its code already implies. */
export type FailureDetails<C extends FailureCode> = Omit<FailureOf<C>, 'code' | 'message' | 'retryable' | 'source'> & {
  readonly retryable?: boolean;
  readonly source?: Failure['source'];
};

/**
 * Builds the plain data of a failure, with `retryable` and `source` taken from the code unless given.
 *
 * @param code - One of the closed set in `schemas/failure.ts`.
 * @param message - One sentence for people; must not hold a key or a header value.
 * @param details - The code's own fields.
 */
export function failureOf<C extends FailureCode>(code: C, message: string, details: FailureDetails<C>): FailureOf<C> {
  const { retryable, source } = failureCodes[code];
  // The spread of a generic rest type is not seen as the union's member; the parameter types above guarantee it.
  return { code, message, retryable, source, ...details } as unknown as FailureOf<C>;
}
