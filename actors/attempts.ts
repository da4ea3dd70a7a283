import type { Failure } from '../schemas/failure.ts';
import type { Answers } from './answers.ts';
import { isRunning, stepCall } from './call.ts';
import { closedFailure } from './call-failures.ts';
import type { CallRow, CallRun } from './call-row.ts';
import type { Moment } from './clock.ts';
import type { DispatcherEvent } from './dispatcher-events.ts';
import type { DispatcherEffects } from './dispatcher-input.ts';
import type { DispatcherParts } from './dispatcher-state.ts';
import type { Endings } from './endings.ts';
import { type RetryPolicy, retryDelayMs } from './policy/retry.ts';
import { isOnItsWay } from './upstream.ts';

/** Whom attempts are made for, and who hears of them. */
export interface AttemptsInit {
  readonly parts: DispatcherParts;
  readonly endings: Endings;
  readonly effects: DispatcherEffects;
  readonly answers: Answers;
  /** Null makes no second attempt. */
  readonly retry: RetryPolicy | null;
  readonly moment: Moment;
}

/** The attempts of running calls, from the first, which begins the call, to the last, which ends it. */
export class Attempts {
  readonly #parts: DispatcherParts;
  readonly #endings: Endings;
  readonly #effects: DispatcherEffects;
  readonly #answers: Answers;
  readonly #retry: RetryPolicy | null;
  readonly #moment: Moment;
  #areLast = false;

  constructor({ parts, endings, effects, answers, retry, moment }: AttemptsInit) {
    this.#parts = parts;
    this.#endings = endings;
    this.#effects = effects;
    this.#answers = answers;
    this.#retry = retry;
    this.#moment = moment;
  }

  /** From now on none follows another. */
  makeLast(): void {
    this.#areLast = true;
  }

  /** A call begins, and holds a slot from now on. */
  begin(row: CallRow): CallRun {
    const { live, deadlines, counters, upstream } = this.#parts;
    const run = upstream.begin();
    // First of all: it waits no more, and whatever fails from here on must not lose it.
    live.begin(row, run);
    row.startedAt = this.#moment.at;
    deadlines.watchEnd(row);
    counters.started += 1;
    upstream.begun();
    return run;
  }

  /** Sends a call that has its slot. */
  start(row: CallRow, run: CallRun): void {
    row.state = stepCall(row.state, 'call.dispatch');
    this.#parts.upstream.take(row, run);
    row.attempts += 1;
    if (row.attempts > 1) this.#parts.counters.retried += 1;
    this.#effects.start(row);
  }

  /** The breaker lets a call not through that has begun: it fails at once, and nothing is sent. */
  reject(row: CallRow, run: CallRun): void {
    row.state = stepCall(row.state, 'call.dispatch');
    // It began after the state it would be judged in.
    run.breakerEpoch = -1;
    this.#endings.fail(row, run, this.#parts.upstream.tripped(), false);
  }

  /** The request was written. @returns Whether that changes when its units come free. */
  sent({ run }: CallRow): boolean {
    if (run === null || run.grant === null) return false;
    this.#parts.upstream.sent(run);
    return true;
  }

  /** The answer has begun. @returns Whether others may go for that, now or sooner. */
  answered(row: CallRow): boolean {
    const { run } = row;
    const next = stepCall(row.state, 'call.answer');
    if (run === null || next < 0) return false;
    const isCounted = run.isProbe || run.grant !== null;
    this.#parts.upstream.answered(row, run);
    row.state = next;
    return isCounted;
  }

  /** One was not made: its call waits with the others for the end of the cool-down. */
  withheld(row: CallRow): void {
    const { run } = row;
    if (run === null || !isOnItsWay(row, run)) return;
    const { upstream } = this.#parts;
    upstream.withheld(row, run);
    row.attempts -= 1;
    const reason = run.stopping ?? (this.#areLast ? closedFailure() : null);
    if (reason === null) this.#wait(row, run, Math.max(this.#moment.at, upstream.cooling.until));
    else this.#endings.abandon(row, run, reason);
  }

  /** One has ended. Another follows, or the call ends too. */
  settled(row: CallRow, event: Extract<DispatcherEvent, { type: 'call.settle' }>): void {
    const { run } = row;
    if (run === null || !isRunning(row.state) || run.retry !== null || run.verdict !== null) return;
    const { failure, isDelivered = false, isUnasked = false } = event;
    if (isUnasked) this.#parts.upstream.unasked(row, run, failure);
    else this.#parts.upstream.settled(row, event);
    if (run.stopping !== null) this.#endings.abandon(row, run, run.stopping);
    else if (failure === null) this.#endings.complete(row, run);
    else if (isDelivered || run.isRescued || !this.#backOff(row, run, failure))
      this.#endings.fail(row, run, failure, isDelivered);
  }

  /** Lets a failed call wait for another attempt. @returns False when there will be none. */
  #backOff(row: CallRow, run: CallRun, failure: Failure): boolean {
    const now = this.#moment.at;
    const delayMs = retryDelayMs(this.#retry, failure, row.attempts, this.#answers.random);
    if (delayMs === null || now + delayMs >= row.deadlineAt || this.#areLast) return false;
    // The limit was lowered while it ran: it would never have its turn, and all others with it.
    if (this.#parts.upstream.tooLarge(row) !== null) return false;
    this.#wait(row, run, now + delayMs);
    this.#effects.retrying(row, failure, delayMs);
    return true;
  }

  /** Lets a running call wait for its next attempt. */
  #wait(row: CallRow, run: CallRun, dueAt: number): void {
    row.state = stepCall(row.state, 'call.retry');
    this.#parts.backingOff.add(row, run, dueAt);
  }
}
