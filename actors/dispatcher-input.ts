import type { Failure } from '../schemas/failure.ts';
import type { CallRow, CallVerdict } from './call-row.ts';
import type { Clock } from './clock.ts';
import type { DispatcherEdge, DispatcherEvent } from './dispatcher-events.ts';
import type { BreakerPolicy } from './policy/breaker.ts';
import type { RetryPolicy } from './policy/retry.ts';
import type { WindowLimits } from './policy/window.ts';

/** What bounds the calls of one iModel. */
export interface DispatcherLimits {
  /** Calls that may wait; at least 1. Running calls do not count. */
  readonly queueCapacity: number;
  /** What happens to a call that finds the queue full: it waits outside for a place, or it is refused. */
  readonly onFull: 'wait' | 'reject';
  /** Calls that may run at once; null is no limit. */
  readonly concurrency: number | null;
  /** How many requests and tokens any window may hold. */
  readonly window: WindowLimits;
}

/** How failures of a vendor are met. */
export interface ResiliencePolicy {
  /** Null makes no second attempt. */
  readonly retry: RetryPolicy | null;
  /** Null lets every call try. */
  readonly breaker: BreakerPolicy | null;
}

/**
 * What the dispatcher has others do. Called synchronously while it decides: an effect may send events to the dispatcher (they are taken
 * up afterwards), and must not throw.
 */
export interface DispatcherEffects {
  /** Begin an attempt of this call. It must lead to exactly one `call.settle`. */
  start(row: CallRow): void;
  /** How many tokens this call will need; asked when tokens come to be limited while it waits. @defaultValue what is known stays */
  estimate?(row: CallRow): number;
  /** This attempt has failed and another follows after a delay. */
  retrying(row: CallRow, failure: Failure, delayMs: number): void;
  /**
   * All attempts of this call have failed. Whoever can carry it on some other way returns true, and it then leads to one more `call.settle`,
   * which is final.
   */
  rescue(row: CallRow, failure: Failure): boolean;
  /** End this running call; it still leads to its `call.settle`, once its transport is gone, or to its `call.finish`. */
  stop(row: CallRow, failure: Failure): void;
  /**
   * This call, which has begun, is about to end so. Whoever has something to do before returns true, and it then leads to exactly one
   * `call.finish`; until then it keeps its slot.
   */
  ending?(row: CallRow, event: CallVerdict['event'], failure: Failure | null): boolean;
  /** This call has come to its end. Its state is final; `failure` is why, or null after success. */
  ended(row: CallRow, failure: Failure | null): void;
}

/** Writes down what a dispatcher hears and what it is told, so that it can be replayed. Must not throw, nor send events. */
export interface DispatcherJournal {
  /** An event is about to be taken, at this instant, which is the only one the dispatcher sees while it takes it. */
  begin(event: DispatcherEvent, now: number): void;
  /** What chance or an effect has answered meanwhile, in the order of asking. */
  answered(answer: number | boolean): void;
  /** That event has been taken. */
  end(event: DispatcherEvent, now: number): void;
}

/** What a dispatcher is made from. */
export interface DispatcherInput {
  /** What bounds its calls; can be changed later. */
  readonly limits: DispatcherLimits;
  /** How failures are met. */
  readonly resilience: ResiliencePolicy;
  /** Who does what it decides. */
  readonly effects: DispatcherEffects;
  /** Where time comes from. */
  readonly clock: Clock;
  /** Chance, for backoff: a number from 0 to below 1. */
  readonly random: () => number;
  /** Hears every `DispatcherEdge`. */
  readonly machine: { send(edge: DispatcherEdge): void } | null;
  /** @defaultValue nothing is written down */
  readonly journal?: DispatcherJournal | null;
}
