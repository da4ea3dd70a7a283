import type { DispatcherLimits } from './dispatcher-input.ts';

/** Why the head of the queue does not start. */
export type Blocked = 'rate' | 'cooling' | 'concurrency' | 'paused' | null;

/** Counts since the iModel was made. */
export interface DispatcherCounters {
  submitted: number;
  started: number;
  /** Attempts after the first. */
  retried: number;
  completed: number;
  failed: number;
  cancelled: number;
  aborted: number;
  skipped: number;
}

/** What there is to count before anything has come. */
export function noCalls(): DispatcherCounters {
  return { submitted: 0, started: 0, retried: 0, completed: 0, failed: 0, cancelled: 0, aborted: 0, skipped: 0 };
}

/** Numbers for people and gauges; reading them takes constant time. */
export interface DispatcherView {
  /** Calls with a place in the queue. */
  readonly waiting: number;
  /** Calls that wait for a place. */
  readonly outside: number;
  /** Calls that hold a slot. */
  readonly running: number;
  /** Why the head of the queue does not start; null when nothing waits. */
  readonly blocked: Blocked;
  /** Epoch milliseconds until which nothing starts, by the vendor's wish; null when it has none. */
  readonly coolingUntil: number | null;
  /** Running calls that wait for their next attempt. */
  readonly backingOff: number;
  /** Requests in the window that ends now. */
  readonly usedRequests: number;
  /** Tokens in the window that ends now, reserved or settled. */
  readonly usedTokens: number;
  /** Epoch milliseconds when the next unit comes free; null when none is used. */
  readonly nextRefreshAt: number | null;
  /** What bounds its calls. */
  readonly limits: DispatcherLimits;
  /** What has happened so far. */
  readonly counters: Readonly<DispatcherCounters>;
}
