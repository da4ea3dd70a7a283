import type { Failure, FailureCode } from '../../schemas/failure.ts';

/** When and how often a failed attempt is made again. */
export interface RetryPolicy {
  /** Attempts after the first. 0 is none. */
  readonly maxRetries: number;
  /** The first delay's ceiling, in milliseconds. */
  readonly baseDelayMs: number;
  /** No ceiling grows beyond this, in milliseconds. */
  readonly maxDelayMs: number;
  /** What each further ceiling is multiplied by, at least 1. */
  readonly backoffFactor: number;
  /** How much of a delay is left to chance, 0 to 1: 1 draws from the whole of it, 0 from nothing. */
  readonly jitterFactor: number;
  /** Failures that are final whatever else is said of them. */
  readonly excludeCodes: readonly FailureCode[];
}

/** A wait that no caller has asked for is not made longer than this; the attempt then fails with what its vendor said. In milliseconds. */
export const longestWaitMs = 600_000;

/**
 * How long to wait before the next attempt.
 *
 * Exponential backoff with full jitter (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/, read 2026-11), with the vendor's
 * own word as a floor.
 *
 * @param attempts - Attempts made so far, at least 1.
 * @param random - A number from 0 to below 1.
 * @returns Milliseconds, or null when there must not be another attempt.
 */
export function retryDelayMs(
  policy: RetryPolicy | null,
  failure: Failure,
  attempts: number,
  random: () => number,
): number | null {
  if (policy === null || !failure.retryable || attempts > policy.maxRetries) return null;
  if (policy.excludeCodes.includes(failure.code)) return null;
  const ceiling = Math.min(policy.maxDelayMs, policy.baseDelayMs * policy.backoffFactor ** (attempts - 1));
  const delayMs = Math.max(ceiling * (1 - policy.jitterFactor * random()), failure.retryAfterMs ?? 0);
  return delayMs > longestWaitMs ? null : delayMs;
}
