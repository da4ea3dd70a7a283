import type { Failure } from '../../../schemas/failure.ts';

/** What runs for a call at the moment: an attempt, its hooks and an attempt, or a fallback. */
export interface Running {
  readonly isDelivered: boolean;
  /** True when it left its request unwritten. */
  readonly isWithheld?: boolean;
  /** True when a hook ended it, so that its end says nothing of the upstream. */
  readonly isVetoed?: boolean;
  stop(failure: Failure): void;
  release?(): void;
}

/**
 * A running call: what runs, and what is known of its end.
 *
 * It hangs on its call and in no map: a map whose entries come and go is rebuilt every few calls, and each table it leaves behind keeps calls
 * that have ended until the next full collection. That was half of the time of a call.
 */
export interface CallEntry {
  readonly running: Running;
  /** What was thrown, kept as the cause. */
  error: unknown;
  graceTimer: unknown;
}
