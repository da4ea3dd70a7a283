import type { Failure } from '../schemas/failure.ts';
import type { ActorState } from '../schemas/live-state.ts';
import { callState } from './call.ts';
import { circuitOpenFailure, tooLargeFailure } from './call-failures.ts';
import { type CallRow, CallRun } from './call-row.ts';
import type { Moment } from './clock.ts';
import type { Blocked } from './dispatcher-view.ts';
import type { Edges } from './edges.ts';
import { type BreakerPolicy, CircuitBreaker } from './policy/breaker.ts';
import { Cooling } from './policy/cooling.ts';
import { type Grant, RollingWindow, type WindowLimits } from './policy/window.ts';

/** What a vendor is known by, and who is told of it. */
export interface UpstreamInit {
  readonly limits: WindowLimits;
  /** Null lets every call try. */
  readonly breaker: BreakerPolicy | null;
  readonly moment: Moment;
  readonly edges: Edges;
}

/**
 * The vendor as an iModel sees it: what its limits leave, how long it wants to be left alone, and whether it is worth a try. Hears of each
 * attempt at all of its stations.
 */
export class Upstream {
  readonly window: RollingWindow;
  readonly cooling = new Cooling();
  readonly breaker: CircuitBreaker | null;
  readonly #moment: Moment;
  readonly #edges: Edges;
  #coolAt = Number.POSITIVE_INFINITY;

  constructor({ limits, breaker, moment, edges }: UpstreamInit) {
    this.window = new RollingWindow(limits);
    this.breaker = breaker === null ? null : new CircuitBreaker(breaker);
    this.#moment = moment;
    this.#edges = edges;
  }

  /** When the cool-down ends that was the last to block a call; epoch milliseconds, Infinity when none did. */
  get coolAt(): number {
    return this.#coolAt;
  }

  /** Whether every call fails before it is sent. */
  get isTripped(): boolean {
    return this.breaker !== null && this.breaker.state === 'tripped' && this.#moment.at < this.breaker.reopensAt;
  }

  /** Why no window can ever grant this call its tokens; null when one can. */
  tooLarge({ tokens }: CallRow): Failure | null {
    const { tokens: limit } = this.window.limits;
    return limit === null || tokens <= limit ? null : tooLargeFailure(tokens, limit);
  }

  /** What keeps the units of one attempt from this call now; null when nothing does. */
  blockedFor({ tokens }: CallRow): Blocked {
    const now = this.#moment.at;
    const readyAt = this.cooling.readyAt(tokens, now);
    if (readyAt > now) {
      this.#coolAt = readyAt;
      return 'cooling';
    }
    return this.window.fits(tokens, now) ? null : 'rate';
  }

  /** When a call that is blocked so may go by itself; Infinity when it may not. */
  readyAt(blocked: Blocked): number {
    if (blocked === 'rate') return this.window.nextExpiryAt;
    return blocked === 'cooling' ? this.#coolAt : Number.POSITIVE_INFINITY;
  }

  /** Asks whether one more call may try; while the breaker is on trial, few may. */
  admits(): boolean {
    return this.breaker?.admit(this.#moment.at) ?? true;
  }

  /** What a call is known by that begins now; {@link begun} is to follow. */
  begin(): CallRun {
    return new CallRun(this.breaker?.epoch ?? 0);
  }

  /** A call has begun: it may be a trial. */
  begun(): void {
    this.#tellBreaker();
  }

  /** An attempt takes its units. */
  take(row: CallRow, run: CallRun): void {
    run.grant = this.window.take(row.tokens, this.#moment.at);
    run.isProbe = this.cooling.started(row.tokens, this.#moment.at);
  }

  /** The request of an attempt was written. */
  sent({ grant }: CallRun): void {
    if (grant !== null) this.window.sent(grant, this.#moment.at);
  }

  /** The answer to an attempt has begun. */
  answered(row: CallRow, run: CallRun): void {
    this.#land(row, run);
    if (run.grant !== null) this.window.answered(run.grant, this.#moment.at);
    if (run.isProbe) this.#resolve(run, true);
  }

  /** An attempt was not made. */
  withheld(row: CallRow, run: CallRun): void {
    this.#land(row, run);
    if (run.isProbe) this.#resolve(run, false);
    if (run.grant !== null) this.window.release(run.grant);
    run.grant = null;
  }

  /**
   * An attempt has ended.
   *
   * @param failure - Why it failed; null when it did not.
   * @param tokens - What it used; null when that is not known.
   */
  settled(
    row: CallRow,
    { failure, tokens }: { readonly failure: Failure | null; readonly tokens: number | null },
  ): void {
    const { run } = row;
    if (run === null) return;
    const now = this.#moment.at;
    this.#land(row, run);
    // A request that was never written still counts: units are not given back once a call was dispatched.
    this.sent(run);
    // What a stand-in used and what it was told is on its own account.
    if (!run.isRescued) {
      if (tokens !== null && run.grant === null) this.window.spend(tokens, now);
      else if (tokens !== null && run.grant !== null) this.window.settle(run.grant, tokens);
      if (failure !== null) this.#heed(failure, run.isProbe);
    }
    if (run.isProbe) this.#resolve(run, failure === null);
  }

  /** An attempt has ended without the vendor: it has no verdict on that, and an answer from this side used nothing of its limits. */
  unasked(row: CallRow, run: CallRun, failure: Failure | null): void {
    this.judge(run, undefined);
    run.breakerEpoch = -1;
    if (failure === null) {
      this.withheld(row, run);
      return;
    }
    this.#land(row, run);
    this.sent(run);
    if (run.isProbe) this.#resolve(run, false);
  }

  /** Nobody will ever hear how an attempt ended. */
  lost(row: CallRow, run: CallRun): void {
    // It may have been written until now.
    this.sent(run);
    this.#land(row, run);
    if (run.isProbe) this.cooling.resolved(false);
  }

  /** @param verdict - What the end of a call says about the vendor; see {@link CircuitBreaker.judge}. */
  judge(run: CallRun, verdict: Failure | null | undefined): void {
    this.breaker?.judge(run.breakerEpoch, verdict, this.#moment.at);
    this.#tellBreaker();
  }

  /** Why a call fails while the breaker is open. */
  tripped(): Failure {
    const now = this.#moment.at;
    return circuitOpenFailure(Math.max(0, (this.breaker?.reopensAt ?? now) - now));
  }

  /** Forgets what was used and asked for. */
  reset(): void {
    this.window.reset();
    this.cooling.reset();
  }

  /** @param held - The grants of calls that have not ended. */
  write(held: ReadonlySet<Grant>): Pick<ActorState, 'window' | 'cooling' | 'breaker'> {
    return { window: this.window.write(held), cooling: this.cooling.write(), breaker: this.breaker?.write() ?? null };
  }

  /** Goes on where {@link write} was called, with the calls that had not ended then. */
  restore(state: Omit<ActorState, 'life'>, rows: readonly CallRow[], now: number): void {
    const held = rows.flatMap(({ run }) => run?.grant ?? []);
    this.window.restore(state.window, held, now);
    this.cooling.restore(state.cooling, now);
    if (state.breaker !== null) this.breaker?.restore(state.breaker, now);
    this.#coolAt = state.cool_at ?? Number.POSITIVE_INFINITY;
    for (const row of rows) if (row.run !== null && isOnItsWay(row, row.run)) this.cooling.flew(row.tokens);
  }

  #tellBreaker(): void {
    this.#edges.break(this.breaker?.state ?? 'closed');
  }

  /** The request of a call is no longer on its way. */
  #land(row: CallRow, run: CallRun): void {
    if (isOnItsWay(row, run)) this.cooling.landed(row.tokens);
  }

  /** Takes note of a vendor that wants to be left alone. */
  #heed({ code, retryAfterMs }: Failure, isProbe: boolean): void {
    const now = this.#moment.at;
    // One that goes on refusing without a word does not mean "at once".
    const waitMs = retryAfterMs ?? (isProbe && code === 'rate_limited' ? 0 : null);
    if (waitMs !== null) this.cooling.coolUntil(now + waitMs, now, isProbe);
  }

  #resolve(run: CallRun, isTaken: boolean): void {
    run.isProbe = false;
    this.cooling.resolved(isTaken);
  }
}

/** Whether the latest attempt of a call was sent, and nothing was heard of it yet. */
export function isOnItsWay({ state }: CallRow, { isRescued, verdict }: CallRun): boolean {
  return state === callState.sending && !isRescued && verdict === null;
}
