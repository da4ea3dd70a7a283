import { z } from 'zod';

const count = z.number().int().nonnegative();

const budget = z.object({
  limit: z.number().int().positive().nullable(),
  used: z.number().nonnegative(),
  /** Null when there is no limit. */
  remaining: z.number().nonnegative().nullable(),
});

/** What one iModel is doing now, in one process. */
export const modelState = z.object({
  id: z.string(),
  provider: z.string(),
  endpoint: z.string(),
  /** How the endpoint stands with its upstream. */
  endpoint_status: z.enum(['connecting', 'ready', 'degraded', 'closed']),
  model: z.string(),
  /** Epoch seconds. */
  created_at: z.number(),
  /** The strictest of the regions, in one word for people. */
  mode: z.enum(['closed', 'draining', 'paused', 'tripped', 'cooling', 'throttled', 'full', 'busy', 'idle']),
  regions: z.object({ life: z.string(), rate: z.string(), breaker: z.string(), queue: z.string() }),
  queue: z.object({
    waiting: count,
    /** Callers that wait for a place in the full queue. */
    outside: count,
    capacity: count,
    on_full: z.enum(['wait', 'reject']),
  }),
  running: count,
  concurrency_limit: z.number().int().positive().nullable(),
  /** Why the head of the queue does not start; null when it could. */
  blocked: z.enum(['rate', 'cooling', 'concurrency', 'paused']).nullable(),
  /** Epoch milliseconds until which the vendor wants no requests; null when it does not mind. */
  cooling_until: z.number().nullable(),
  /** Calls between two attempts. */
  backing_off: count,
  budget: z.object({
    window_ms: z.number().positive(),
    requests: budget,
    tokens: budget,
    /** Epoch milliseconds when the next unit comes free; null when none is used. */
    refreshes_at: z.number().nullable(),
  }),
  /** Since the iModel was made. */
  counters: z.object({
    submitted: count,
    started: count,
    /** Attempts after the first. */
    retried: count,
    completed: count,
    failed: count,
    cancelled: count,
    aborted: count,
    skipped: count,
  }),
});

/** See {@link modelState}. */
export type ModelState = z.infer<typeof modelState>;
