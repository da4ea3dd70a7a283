import type { LimitView } from '../../actors/policy/meter.ts';
import type { Failure } from '../../schemas/failure.ts';
import type { Caller } from '../callers/caller.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';
import type { Backlog } from '../runtime/model/model-state.ts';
import type { Dialect, LimitStanding } from './dialect.ts';

/** Tells a caller how the limits stand: of requests and of tokens each the one of which less is left, its iModel's or its own. */
export function limitHeaders({ budget }: Backlog, dialect: Dialect, caller: Caller | null): Record<string, string> {
  const own = caller?.gate.view();
  const isLimited = budget.requests.limit !== null || budget.tokens.limit !== null;
  if (!isLimited && (own?.requests.limit ?? null) === null && (own?.tokens.limit ?? null) === null) return {};
  const now = Date.now();
  const of = (name: 'requests' | 'tokens'): LimitStanding => {
    const { limit, remaining } = budget[name];
    return closer({ limit, remaining, resetMs: msUntil(budget.refreshes_at, now) }, own?.[name], now);
  };
  return dialect.limitHeaders({ requests: of('requests'), tokens: of('tokens'), now });
}

function closer(model: LimitStanding, own: LimitView | undefined, now: number): LimitStanding {
  if (own === undefined || own.limit === null) return model;
  const remaining = Math.max(0, own.limit - own.used);
  if (model.remaining !== null && model.remaining <= remaining) return model;
  return { limit: own.limit, remaining, resetMs: msUntil(own.resetsAt, now) };
}

function msUntil(at: number | null, now: number): number {
  return at === null ? 0 : Math.max(0, at - now);
}

/** How a call has waited. */
export interface Wait {
  /** How many stood before it when it came. */
  readonly position: number;
  /** Milliseconds until the limits of its caller let it in. */
  readonly waitedMs: number;
}

/** Tells a caller how long its call waited. @param call - Null while it is not let in. */
export function waitHeaders(call: ApiCalling | null, { position, waitedMs }: Wait): Record<string, string> {
  const headers: Record<string, string> = { 'imodel-queue-position': String(position) };
  if (call === null) return headers;
  const { queuedAt, startedAt } = call.timing;
  if (queuedAt !== null && startedAt !== null) {
    headers['imodel-wait-ms'] = String(Math.round(waitedMs + startedAt - queuedAt));
  }
  return headers;
}

/**
 * The soonest a call could start that comes now, in milliseconds, as far as the iModel's own limit on requests says so: no window of its length
 * holds more starts than the limit. 0 when the limit is not what calls wait for.
 *
 * @param mayOvertake - Whether it may start before those that wait already.
 */
export function soonestStartMs({ budget, queue }: Backlog, now: number, { mayOvertake = false } = {}): number {
  const { requests, refreshes_at: refreshesAt, window_ms: windowMs } = budget;
  if (requests.limit === null || requests.remaining !== 0 || refreshesAt === null) return 0;
  const before = mayOvertake ? 0 : queue.waiting + queue.outside;
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
