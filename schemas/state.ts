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

/** Where a call stands that has not ended, for people who watch. Holds no prompt and no answer. */
export const callView = z.object({
  id: z.string(),
  /** Who called; absent when nobody said. */
  caller: z.string().optional(),
  stage: z.enum(['outside', 'queued', 'sending', 'answering', 'backing_off']),
  /** 1 for the next to start; by priority, then by the time of coming. Only while it waits for its first start. */
  position: count.optional(),
  streaming: z.boolean(),
  /** Epoch milliseconds, as all times here. */
  queued_at: z.number(),
  started_at: z.number().optional(),
  first_chunk_at: z.number().optional(),
  /** Chunks of its stream so far. */
  chunks: count,
  attempts: count,
});

/** See {@link callView}. */
export type CallView = z.infer<typeof callView>;

/** Body of `state`; anything else means `{}`. */
export const stateRequest = z.object({
  /** How many of its calls to tell of, running ones first. @defaultValue none */
  calls: z.number().int().min(1).max(1_000).optional(),
});

/** Reply to `state`, from every node that serves the iModel. */
export const nodeState = modelState.extend({
  node: z.string(),
  /** As many as were asked for. */
  calls: z.array(callView).optional(),
});

/** See {@link nodeState}. */
export type NodeState = z.infer<typeof nodeState>;

/** See {@link modelState}. */
export type ModelState = z.infer<typeof modelState>;
