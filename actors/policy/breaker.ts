import type { Failure, FailureCode } from '../../schemas/failure.ts';
import type { WrittenBreakerState } from '../../schemas/live-state.ts';

/** When a breaker opens and how it closes again. */
export interface BreakerPolicy {
  /** Calls in a row that must fail. */
  readonly failureThreshold: number;
  /** How long it stays open before it lets a trial through, in milliseconds. */
  readonly recoveryMs: number;
  /** Trials at a time. */
  readonly halfOpenMaxCalls: number;
  /** Failures that say nothing about the vendor's health. */
  readonly excludeCodes: readonly FailureCode[];
}

/** `closed` lets all pass, `tripped` none, `trial` a few. */
export type BreakerState = 'closed' | 'tripped' | 'trial';

/**
 * Stops calling a vendor that fails call after call, and finds out by single trials when it is back.
 *
 * Only consecutive failures count, and only those worth retrying: a wrong request says nothing about the vendor. Only calls that began in
 * the present state count, so a late failure does not prolong an outage. A trial that ends without a verdict gives its place back.
 */
export class CircuitBreaker {
  readonly #policy: BreakerPolicy;
  #state: BreakerState = 'closed';
  #failures = 0;
  #trials = 0;
  #reopensAt = Number.POSITIVE_INFINITY;
  /** Counts changes of state; a call is judged by the state it began in. */
  #epoch = 0;

  constructor(policy: BreakerPolicy) {
    this.#policy = policy;
  }

  get state(): BreakerState {
    return this.#state;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** When the next trial may be made, epoch milliseconds; Infinity unless tripped. */
  get reopensAt(): number {
    return this.#reopensAt;
  }

  /** Whether a call may begin now; one that may during a trial takes a trial's place. */
  admit(now: number): boolean {
    if (this.#state === 'tripped' && now >= this.#reopensAt) this.#enter('trial');
    if (this.#state === 'closed') return true;
    if (this.#state === 'tripped' || this.#trials >= this.#policy.halfOpenMaxCalls) return false;
    this.#trials += 1;
    return true;
  }

  /**
   * Judges a call that has ended.
   *
   * @param epoch - {@link epoch} when it began.
   * @param failure - Null after success; undefined when it was ended by its own side and so says nothing.
   */
  judge(epoch: number, failure: Failure | null | undefined, now: number): void {
    if (epoch !== this.#epoch) return;
    if (this.#state === 'trial') this.#trials -= 1;
    if (failure === null) {
      this.#failures = 0;
      if (this.#state === 'trial') this.#enter('closed');
      return;
    }
    if (failure === undefined || !failure.retryable || this.#policy.excludeCodes.includes(failure.code)) return;
    this.#failures += 1;
    if (this.#state !== 'trial' && this.#failures < this.#policy.failureThreshold) return;
    this.#enter('tripped');
    this.#reopensAt = now + this.#policy.recoveryMs;
  }

  write(): WrittenBreakerState {
    const reopensAt = this.#reopensAt === Number.POSITIVE_INFINITY ? null : this.#reopensAt;
    return {
      state: this.#state,
      failures: this.#failures,
      trials: this.#trials,
      reopens_at: reopensAt,
      epoch: this.#epoch,
    };
  }

  /** Goes on where {@link write} was called. It stays open no longer than one that opens now: clocks may have been set. */
  restore({ state, failures, trials, reopens_at: reopensAt, epoch }: WrittenBreakerState, now: number): void {
    const { recoveryMs } = this.#policy;
    this.#state = state;
    this.#failures = failures;
    this.#trials = trials;
    this.#reopensAt =
      state === 'tripped' ? Math.min(reopensAt ?? now + recoveryMs, now + recoveryMs) : Number.POSITIVE_INFINITY;
    this.#epoch = epoch;
  }

  #enter(state: BreakerState): void {
    this.#state = state;
    this.#failures = 0;
    this.#trials = 0;
    this.#reopensAt = Number.POSITIVE_INFINITY;
    this.#epoch += 1;
  }
}
