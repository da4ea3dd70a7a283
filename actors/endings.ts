import type { Failure } from '../schemas/failure.ts';
import type { Answers } from './answers.ts';
import { type CallEvent, callState, hasEnded, stepCall } from './call.ts';
import { endingOf } from './call-failures.ts';
import type { CallRow, CallRun } from './call-row.ts';
import type { DispatcherEffects } from './dispatcher-input.ts';
import type { DispatcherParts } from './dispatcher-state.ts';
import type { DispatcherCounters } from './dispatcher-view.ts';

/** How calls come to their end, each exactly once: by themselves, before their time, or held back until somebody has had a last word. */
export class Endings {
  readonly #parts: DispatcherParts;
  readonly #effects: DispatcherEffects;
  readonly #answers: Answers;

  constructor(parts: DispatcherParts, effects: DispatcherEffects, answers: Answers) {
    this.#parts = parts;
    this.#effects = effects;
    this.#answers = answers;
  }

  /** A running call has what it was made for. */
  complete(row: CallRow, run: CallRun): void {
    this.#parts.upstream.judge(run, null);
    this.#decide(row, run, null);
  }

  /**
   * All attempts of a running call have failed: somebody else may carry it on, else it ends.
   *
   * @param isDelivered - Its reader has something of the answer already; then nobody else can.
   */
  fail(row: CallRow, run: CallRun, failure: Failure, isDelivered: boolean): void {
    const isLast = isDelivered || run.isRescued;
    run.isRescued ||= !isDelivered;
    this.#parts.upstream.judge(run, failure);
    run.breakerEpoch = -1;
    if (isLast || !this.#answers.isRescued(row, failure)) this.#decide(row, run, failure);
  }

  /** A running call ends for a reason that says nothing about its vendor. */
  abandon(row: CallRow, run: CallRun, failure: Failure): void {
    this.#parts.upstream.judge(run, undefined);
    this.#decide(row, run, failure);
  }

  /** Ends a call before its time: a waiting one at once, a running one by stopping it. */
  end(row: CallRow, failure: Failure): void {
    if (hasEnded(row.state)) return;
    if (row.run !== null) {
      this.#stop(row, row.run, failure);
      return;
    }
    if (row.state === callState.created) this.#parts.counters.submitted += 1;
    else this.#parts.waiting.remove(row);
    const ending = endingOf(failure);
    // What has not begun cannot fail: it is refused.
    this.finish(row, ending === 'call.fail' ? 'call.skip' : ending, failure);
  }

  /**
   * Ends a call that was held back before its end.
   *
   * @param failure - What went wrong meanwhile; spoils a success.
   */
  release(row: CallRow, failure: Failure | null): void {
    const verdict = row.run?.verdict ?? null;
    if (hasEnded(row.state) || verdict === null) return;
    if (failure !== null && verdict.failure === null) this.finish(row, 'call.fail', failure);
    else this.finish(row, verdict.event, verdict.failure);
  }

  /** The end itself. */
  finish(row: CallRow, event: CallEvent, failure: Failure | null): void {
    const next = stepCall(row.state, event);
    if (next < 0) return;
    row.state = next;
    this.#parts.live.remove(row);
    this.#parts.deadlines.forget(row);
    this.#parts.counters[endCounter[event as keyof typeof endCounter]] += 1;
    this.#effects.ended(row, failure);
    row.run = null;
  }

  #decide(row: CallRow, run: CallRun, outcome: Failure | null): void {
    const { stopping } = run;
    const failure = stopping ?? outcome;
    const event = stopping !== null ? endingOf(stopping) : failure === null ? 'call.complete' : 'call.fail';
    if (this.#answers.isHeld(row, event, failure)) run.verdict = { event, failure };
    else this.finish(row, event, failure);
  }

  #stop(row: CallRow, run: CallRun, failure: Failure): void {
    if (run.stopping !== null) return;
    if (run.verdict !== null) {
      // Its end is told already; whoever holds it back should hurry.
      this.#effects.stop(row, failure);
      return;
    }
    run.stopping = failure;
    if (run.retry === null) {
      this.#effects.stop(row, failure);
      return;
    }
    // Between two attempts nothing runs that would have to be stopped.
    this.#parts.backingOff.remove(row, run);
    this.abandon(row, run, failure);
  }
}

const endCounter = {
  'call.complete': 'completed',
  'call.fail': 'failed',
  'call.cancel': 'cancelled',
  'call.abort': 'aborted',
  'call.skip': 'skipped',
} as const satisfies Partial<Record<CallEvent, keyof DispatcherCounters>>;
