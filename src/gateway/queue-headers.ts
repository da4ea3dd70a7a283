import type { Failure } from '../../schemas/failure.ts';
import type { ModelState } from '../../schemas/state.ts';
import type { ApiCalling } from '../runtime/api-calling.ts';
import type { Dialect } from './dialect.ts';

/** Tells a caller how its iModel's limits stand. */
export function limitHeaders({ budget }: ModelState, dialect: Dialect, now: number): Record<string, string> {
  const { requests, tokens, refreshes_at: refreshesAt } = budget;
  if (requests.limit === null && tokens.limit === null) return {};
  const resetMs = refreshesAt === null ? 0 : Math.max(0, refreshesAt - now);
  return dialect.limitHeaders({ requests, tokens, resetMs, now });
}

/**
 * Tells a caller how long its call waited.
 *
 * @param position - How many calls stood before it when it came.
 */
export function waitHeaders(call: ApiCalling, position: number): Record<string, string> {
  const { queuedAt, startedAt } = call.timing;
  return {
    'imodel-queue-position': String(position),
    ...(queuedAt === null || startedAt === null ? {} : { 'imodel-wait-ms': String(Math.round(startedAt - queuedAt)) }),
  };
}

/**
 * The soonest a call could start that comes now, in milliseconds, as far as the iModel's own limit on requests says so: no window of its length
 * holds more starts than the limit. 0 when the limit is not what calls wait for.
 */
export function soonestStartMs(state: ModelState, now: number): number {
  const { requests, refreshes_at: refreshesAt, window_ms: windowMs } = state.budget;
  if (requests.limit === null || requests.remaining !== 0 || refreshesAt === null) return 0;
  const before = state.queue.waiting + state.queue.outside;
  return Math.max(0, refreshesAt - now) + Math.floor(before / requests.limit) * windowMs;
}

/**
 * Tells a client when to try again, and whether at all: its own opinion would be made of the status alone.
 *
 * @param waitMs - When there may be room, where the failure does not say.
 */
export function retryHeaders(failure: Failure, status: number, waitMs: number): Record<string, string> {
  const again = failure.retryable || status === 429;
  const afterMs = failure.retryAfterMs ?? (status === 429 ? Math.max(1_000, waitMs) : undefined);
  return {
    'x-should-retry': String(again),
    ...(afterMs === undefined || !again
      ? {}
      : { 'retry-after': String(Math.ceil(afterMs / 1_000)), 'retry-after-ms': String(Math.ceil(afterMs)) }),
  };
}
