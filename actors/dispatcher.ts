import type { Failure } from '../schemas/failure.ts';
import { Alarm } from './alarm.ts';
import { BackingOff } from './backing-off.ts';
import { type CallEvent, callState, hasEnded, isRunning, stepCall } from './call.ts';
import {
  circuitOpenFailure,
  closedFailure,
  endingOf,
  interruptedFailure,
  queueFullFailure,
  timeoutFailure,
  tooLargeFailure,
} from './call-failures.ts';
import { type CallRow, CallRun, type CallVerdict } from './call-row.ts';
import type { Clock } from './clock.ts';
import { Deadlines } from './deadlines.ts';
import type { DispatcherEvent } from './dispatcher-events.ts';
import type {
  DispatcherEffects,
  DispatcherInput,
  DispatcherJournal,
  DispatcherLimits,
  ResiliencePolicy,
} from './dispatcher-input.ts';
import {
  type DispatcherParts,
  type DispatcherState,
  type RestoredDispatcher,
  restoreParts,
  writeParts,
} from './dispatcher-state.ts';
import type { Blocked, DispatcherCounters, DispatcherView } from './dispatcher-view.ts';
import { Edges } from './edges.ts';
import { LiveRows } from './live-rows.ts';
import { CircuitBreaker } from './policy/breaker.ts';
import { Cooling } from './policy/cooling.ts';
import { retryDelayMs } from './policy/retry.ts';
import { RollingWindow } from './policy/window.ts';
import { WaitingCalls } from './waiting-calls.ts';

/**
 * Admission, queue, limits and deadlines of one iModel: the state behind {@link dispatcherLogic}. Only {@link Dispatcher.receive} changes it; the getters are for looking.
 */
export class Dispatcher {
  #limits: DispatcherLimits;
  readonly #effects: DispatcherEffects;
  readonly #clock: Clock;
  readonly #journal: DispatcherJournal | null;
  /** When the present event came. */
  #now = 0;
  /** What the machine hears. */
  readonly #edges: Edges;
  readonly #alarm: Alarm;

  readonly #live = new LiveRows();
  readonly #waiting = new WaitingCalls();
  readonly #deadlines = new Deadlines();
  readonly #window: RollingWindow;
  readonly #resilience: ResiliencePolicy;
  readonly #random: () => number;
  readonly #cooling = new Cooling();
  readonly #breaker: CircuitBreaker | null;
  readonly #backingOff = new BackingOff();
  readonly #counters: DispatcherCounters = {
    submitted: 0,
    started: 0,
    retried: 0,
    completed: 0,
    failed: 0,
    cancelled: 0,
    aborted: 0,
    skipped: 0,
  };
  #running = 0;
  #gateOpen = false;
  #refusing = false;
  /** When the cool-down that blocks ends. */
  #coolAt = Number.POSITIVE_INFINITY;

  constructor(input: DispatcherInput, self: { send(event: DispatcherEvent): void }) {
    this.#limits = input.limits;
    this.#effects = input.effects;
    this.#clock = input.clock;
    this.#edges = new Edges(input.machine);
    this.#alarm = new Alarm(input.clock, () => self.send({ type: 'clock.tick' }));
    this.#window = new RollingWindow(input.limits.window);
    this.#resilience = input.resilience;
    this.#random = () => this.#noted(input.random());
    this.#journal = input.journal ?? null;
    this.#breaker = input.resilience.breaker === null ? null : new CircuitBreaker(input.resilience.breaker);
  }

  get limits(): DispatcherLimits {
    return this.#limits;
  }

  /** Whether the vendor has asked to be left alone: what has not been written yet should not be. */
  get isCooling(): boolean {
    return this.#cooling.isCooling(this.#clock.now());
  }

  /** How many calls have not ended. */
  get size(): number {
    return this.#live.size;
  }

  /** All calls that have not ended, oldest first. */
  rows(): Iterable<CallRow> {
    return this.#live;
  }

  view(): DispatcherView {
    const now = this.#clock.now();
    this.#window.expire(now);
    const { nextExpiryAt } = this.#window;
    const coolingUntil = this.#cooling.until;
    return {
      waiting: this.#waiting.size,
      outside: this.#waiting.outside,
      running: this.#running,
      blocked: this.#edges.blocked,
      coolingUntil: coolingUntil > now ? coolingUntil : null,
      backingOff: this.#backingOff.size,
      usedRequests: this.#window.usedRequests,
      usedTokens: this.#window.usedTokens,
      nextRefreshAt: nextExpiryAt === Number.POSITIVE_INFINITY ? null : nextExpiryAt,
      limits: this.#limits,
      counters: this.#counters,
    };
  }

  /** Everything it knows, as plain data that shares nothing with it; instants are epoch milliseconds. */
  write(): DispatcherState {
    this.#window.expire(this.#clock.now());
    return {
      is_gate_open: this.#gateOpen,
      blocked: this.#edges.blocked,
      cool_at: this.#edges.blocked === 'cooling' ? this.#coolAt : null,
      is_full: this.#edges.isFull,
      ...writeParts(this.#parts()),
    };
  }

  /** Takes one event. While it does, time stands still. */
  receive(event: DispatcherEvent): void {
    this.#now = this.#clock.now();
    const journal = this.#journal;
    journal?.begin(event, this.#now);
    this.#take(event);
    journal?.end();
  }

  #take(event: DispatcherEvent): void {
    switch (event.type) {
      case 'call.submit':
        this.#submit(event.row);
        break;
      case 'call.sent':
        this.#sent(event.row);
        break;
      case 'call.answer':
        this.#answer(event.row);
        break;
      case 'call.withhold':
        this.#withhold(event.row);
        break;
      case 'call.settle':
        this.#settle(event.row, event);
        break;
      case 'call.hook':
        if (event.row.run !== null) event.row.run.isHooked = event.isRunning;
        break;
      case 'call.finish':
        this.#close(event.row, event.failure);
        break;
      case 'call.end':
        this.#end(event.row, event.failure);
        this.#pump();
        break;
      case 'gate.open':
        this.#gateOpen = true;
        this.#pump();
        break;
      case 'gate.shut':
        this.#gateOpen = false;
        this.#pump();
        break;
      case 'calls.refuse':
        this.#refuse();
        break;
      case 'calls.stop':
        for (const row of [...this.#live]) this.#end(row, closedFailure());
        this.#pump();
        break;
      case 'calls.restore':
        this.#restore(event.restored);
        break;
      case 'calls.interrupt':
        this.#interrupt();
        break;
      case 'limits.set':
        this.#change(event.limits);
        break;
      case 'limits.inherit':
        this.#window.restore(event.window, [], this.#now);
        this.#pump();
        break;
      case 'limits.learned':
        this.#cooling.learn(event.limits, this.#now);
        break;
      case 'limits.reset':
        this.#window.reset();
        this.#cooling.reset();
        this.#pump();
        break;
      case 'clock.tick':
        this.#tick();
        break;
      default:
        event satisfies never;
    }
  }

  /** Notes what was decided elsewhere: a replay is told the same. */
  #noted<T extends number | boolean>(answer: T): T {
    this.#journal?.answered(answer);
    return answer;
  }

  #parts(): DispatcherParts {
    return {
      live: this.#live,
      waiting: this.#waiting,
      backingOff: this.#backingOff,
      deadlines: this.#deadlines,
      window: this.#window,
      cooling: this.#cooling,
      breaker: this.#breaker,
      counters: this.#counters,
    };
  }

  #restore(restored: RestoredDispatcher): void {
    const { state } = restored;
    this.#running = restoreParts(this.#parts(), restored, this.#now);
    for (const row of this.#live) if (row.run !== null && isOnItsWay(row, row.run)) this.#cooling.flew(row.tokens);
    this.#gateOpen = state.is_gate_open;
    this.#coolAt = state.cool_at ?? Number.POSITIVE_INFINITY;
    this.#edges.restore(state.blocked, state.is_full, this.#breaker?.state ?? 'closed');
  }

  /** The time has passed that nobody watched: deadlines too, and limits may be others. */
  #interrupt(): void {
    const now = this.#now;
    const interrupted = interruptedFailure();
    for (const row of [...this.#live]) {
      const { run } = row;
      if (run === null) continue;
      // It may have been written until now.
      if (run.grant !== null) this.#window.sent(run.grant, now);
      this.#backingOff.remove(row, run);
      this.#land(row, run);
      if (run.isProbe) this.#cooling.resolved(false);
      this.#complete(row, run, interrupted, undefined);
    }
    this.#refuseTooLarge();
    this.#tick();
  }

  #submit(row: CallRow): void {
    this.#counters.submitted += 1;
    if (this.#refusing) {
      this.#finish(row, 'call.skip', closedFailure());
      return;
    }
    const tooLarge = this.#tooLarge(row);
    if (tooLarge !== null) {
      this.#finish(row, 'call.skip', tooLarge);
      return;
    }
    const capacity = this.#limits.queueCapacity;
    const isFull = this.#waiting.size >= capacity;
    if (isFull && this.#limits.onFull === 'reject') {
      this.#finish(row, 'call.skip', queueFullFailure(capacity));
      return;
    }
    row.queuedAt = this.#now;
    const dueAt = Math.min(row.deadlineAt, row.queueDeadlineAt);
    if (dueAt <= row.queuedAt) {
      this.#finish(row, 'call.abort', timeoutFailure(row, this.#edges.blocked));
      return;
    }
    this.#live.add(row);
    this.#deadlines.watchBeginning(row);
    if (isFull) {
      this.#waiting.hold(row);
      this.#arm();
    } else {
      this.#waiting.enqueue(row);
      this.#pump();
    }
  }

  /** Why no window can ever grant this call its tokens; null when one can. */
  #tooLarge({ tokens }: CallRow): Failure | null {
    const { tokens: limit } = this.#limits.window;
    return limit === null || tokens <= limit ? null : tooLargeFailure(tokens, limit);
  }

  /** Takes on other limits, for calls that wait too. */
  #change(limits: Partial<DispatcherLimits>): void {
    const countedTokens = this.#limits.window.tokens !== null;
    this.#limits = { ...this.#limits, ...limits };
    this.#window.change(this.#limits.window, this.#now);
    if (!countedTokens && this.#limits.window.tokens !== null) this.#estimateAll();
    this.#refuseTooLarge();
    this.#pump();
  }

  /** Calls that came while tokens were not limited were not estimated. */
  #estimateAll(): void {
    for (const row of this.#live) {
      if (!waitsForUnits(row)) continue;
      const tokens = this.#noted(this.#effects.estimate?.(row) ?? -1);
      if (tokens >= 0) row.tokens = tokens;
    }
  }

  /** A lowered limit must not leave a call in the first place that can never start, and all others behind it. */
  #refuseTooLarge(): void {
    for (const row of [...this.#live]) {
      const tooLarge = waitsForUnits(row) ? this.#tooLarge(row) : null;
      if (tooLarge !== null) this.#end(row, tooLarge);
    }
  }

  /** Starts all that may start, then arms the clock for what may come by itself. Every event that can free something ends here. */
  #pump(): void {
    this.#waiting.admit(this.#limits.queueCapacity);
    const blocked = this.#gateOpen ? this.#startAll() : 'paused';
    this.#edges.block(this.#waiting.size === 0 && !this.#backingOff.isAnyDue ? null : blocked);
    this.#edges.fill(this.#waiting.size, this.#limits.queueCapacity);
    this.#arm();
  }

  #startAll(): Blocked {
    const now = this.#now;
    for (let row = this.#backingOff.peek(); row !== null; row = this.#backingOff.peek()) {
      const blocked = this.#unitsFor(row, now);
      if (blocked !== null) return blocked;
      this.#backingOff.shift();
      if (row.run !== null) this.#attempt(row, row.run, now);
    }
    const { concurrency } = this.#limits;
    for (let row = this.#waiting.peek(); row !== null; row = this.#waiting.peek()) {
      if (concurrency !== null && this.#running >= concurrency) return 'concurrency';
      if (this.#breaker?.state === 'tripped' && now < this.#breaker.reopensAt) {
        this.#reject(row, now);
        continue;
      }
      const blocked = this.#unitsFor(row, now);
      if (blocked !== null) return blocked;
      if (this.#breaker !== null && !this.#breaker.admit(now)) {
        this.#reject(row, now);
        continue;
      }
      this.#attempt(row, this.#begin(row, now), now);
    }
    return null;
  }

  /** What keeps the units of one attempt from this call now; null when nothing does. */
  #unitsFor({ tokens }: CallRow, now: number): Blocked {
    const readyAt = this.#cooling.readyAt(tokens, now);
    if (readyAt > now) {
      this.#coolAt = readyAt;
      return 'cooling';
    }
    return this.#window.fits(tokens, now) ? null : 'rate';
  }

  /** Takes the call at the head of the queue into a slot. */
  #begin(row: CallRow, now: number): CallRun {
    this.#waiting.shift();
    this.#waiting.admit(this.#limits.queueCapacity);
    this.#deadlines.watchEnd(row);
    this.#running += 1;
    this.#counters.started += 1;
    this.#edges.break(this.#breaker?.state ?? 'closed');
    row.startedAt = now;
    row.run = new CallRun(this.#breaker?.epoch ?? 0);
    return row.run;
  }

  /** Sends a call that has its slot. */
  #attempt(row: CallRow, run: CallRun, now: number): void {
    row.state = stepCall(row.state, 'call.dispatch');
    run.grant = this.#window.take(row.tokens, now);
    run.isProbe = this.#cooling.started(row.tokens, now);
    row.attempts += 1;
    if (row.attempts > 1) this.#counters.retried += 1;
    this.#effects.start(row);
  }

  /** The breaker lets no call through: it fails at once, and nothing is sent. */
  #reject(row: CallRow, now: number): void {
    const run = this.#begin(row, now);
    row.state = stepCall(row.state, 'call.dispatch');
    // It began after the state it would be judged in.
    run.breakerEpoch = -1;
    this.#fail(row, run, circuitOpenFailure(Math.max(0, (this.#breaker?.reopensAt ?? now) - now)));
  }

  #sent({ run }: CallRow): void {
    if (run === null || run.grant === null) return;
    this.#window.sent(run.grant, this.#now);
    this.#arm();
  }

  #answer(row: CallRow): void {
    const { run } = row;
    const next = stepCall(row.state, 'call.answer');
    if (run === null || next < 0) return;
    this.#land(row, run);
    row.state = next;
    if (run.grant !== null) this.#window.answered(run.grant, this.#now);
    if (run.isProbe) this.#resolveProbe(run, true);
    else if (run.grant !== null) this.#arm();
  }

  /** An attempt that was not made: its call waits with the others for the end of the cool-down. */
  #withhold(row: CallRow): void {
    const { run } = row;
    if (run === null || !isOnItsWay(row, run)) return;
    this.#land(row, run);
    if (run.isProbe) this.#resolveProbe(run, false);
    if (run.grant !== null) this.#window.release(run.grant);
    run.grant = null;
    row.attempts -= 1;
    if (run.stopping !== null) this.#complete(row, run, run.stopping, undefined);
    else if (this.#refusing) this.#complete(row, run, closedFailure(), undefined);
    else this.#wait(row, run, Math.max(this.#now, this.#cooling.until));
    this.#pump();
    this.#reportIdle();
  }

  #settle(
    row: CallRow,
    { failure, tokens, isDelivered = false }: Extract<DispatcherEvent, { type: 'call.settle' }>,
  ): void {
    const { run } = row;
    if (run === null || !isRunning(row.state) || run.retry !== null || run.verdict !== null) return;
    const now = this.#now;
    this.#land(row, run);
    if (run.grant !== null) {
      // A request that was never written still counts: units are not given back once a call was dispatched.
      this.#window.sent(run.grant, now);
    }
    // What a stand-in used is on its own account.
    if (tokens !== null && !run.isRescued) {
      if (run.grant === null) this.#window.spend(tokens, now);
      else this.#window.settle(run.grant, tokens);
    }
    if (failure !== null && !run.isRescued) this.#heed(failure, run.isProbe, now);
    if (run.isProbe) this.#resolveProbe(run, failure === null);
    if (run.stopping !== null) this.#complete(row, run, run.stopping, undefined);
    else if (failure === null) this.#complete(row, run, null, null);
    else if (isDelivered || run.isRescued || !this.#backOff(row, run, failure, now))
      this.#fail(row, run, failure, isDelivered);
    this.#pump();
    this.#reportIdle();
  }

  /** The request of a call is no longer on its way. */
  #land(row: CallRow, run: CallRun): void {
    if (isOnItsWay(row, run)) this.#cooling.landed(row.tokens);
  }

  /** Takes note of a vendor that wants to be left alone. */
  #heed({ code, retryAfterMs }: Failure, isProbe: boolean, now: number): void {
    // One that goes on refusing without a word does not mean "at once".
    const waitMs = retryAfterMs ?? (isProbe && code === 'rate_limited' ? 0 : null);
    if (waitMs !== null) this.#cooling.coolUntil(now + waitMs, now, isProbe);
  }

  #resolveProbe(run: CallRun, isTaken: boolean): void {
    run.isProbe = false;
    this.#cooling.resolved(isTaken);
    this.#pump();
  }

  /** Lets a failed call wait for another attempt. @returns False when there will be none. */
  #backOff(row: CallRow, run: CallRun, failure: Failure, now: number): boolean {
    const delayMs = retryDelayMs(this.#resilience.retry, failure, row.attempts, this.#random);
    if (delayMs === null || now + delayMs >= row.deadlineAt || this.#refusing) return false;
    // The limit was lowered while it ran: it would never have its turn, and all others with it.
    if (this.#tooLarge(row) !== null) return false;
    this.#wait(row, run, now + delayMs);
    this.#effects.retrying(row, failure, delayMs);
    return true;
  }

  /** Lets a running call wait for its next attempt. */
  #wait(row: CallRow, run: CallRun, dueAt: number): void {
    row.state = stepCall(row.state, 'call.retry');
    this.#backingOff.add(row, run, dueAt);
  }

  /** All attempts have failed: somebody else may carry the call on, else it ends. */
  #fail(row: CallRow, run: CallRun, failure: Failure, isDelivered = false): void {
    if (isDelivered || run.isRescued) {
      this.#complete(row, run, failure, failure);
      return;
    }
    run.isRescued = true;
    this.#breaker?.judge(run.breakerEpoch, failure, this.#now);
    run.breakerEpoch = -1;
    this.#edges.break(this.#breaker?.state ?? 'closed');
    if (!this.#noted(this.#effects.rescue(row, failure))) this.#complete(row, run, failure, failure);
  }

  /** @param verdict - What the end says about the vendor; see {@link CircuitBreaker.judge}. */
  #complete(row: CallRow, run: CallRun, failure: Failure | null, verdict: Failure | null | undefined): void {
    const { stopping } = run;
    this.#breaker?.judge(run.breakerEpoch, verdict, this.#now);
    this.#edges.break(this.#breaker?.state ?? 'closed');
    const reason = stopping ?? failure;
    const event = stopping !== null ? endingOf(stopping) : failure === null ? 'call.complete' : 'call.fail';
    if (this.#noted(this.#effects.ending?.(row, event, reason) === true)) run.verdict = { event, failure: reason };
    else this.#conclude(row, event, reason);
  }

  /** Ends a call that was held back before its end. */
  #close(row: CallRow, failure: Failure | null): void {
    const verdict = row.run?.verdict ?? null;
    if (hasEnded(row.state) || verdict === null) return;
    const isSpoiled = failure !== null && verdict.failure === null;
    if (isSpoiled) this.#conclude(row, 'call.fail', failure);
    else this.#conclude(row, verdict.event, verdict.failure);
    this.#pump();
    this.#reportIdle();
  }

  #conclude(row: CallRow, event: CallVerdict['event'], failure: Failure | null): void {
    this.#running -= 1;
    this.#finish(row, event, failure);
  }

  /** Ends a call before its time: a waiting one at once, a running one by stopping it. */
  #end(row: CallRow, failure: Failure): void {
    if (hasEnded(row.state)) return;
    if (row.run !== null) {
      this.#stop(row, row.run, failure);
      return;
    }
    if (row.state === callState.created) this.#counters.submitted += 1;
    else this.#waiting.remove(row);
    const ending = endingOf(failure);
    // What has not begun cannot fail: it is refused.
    this.#finish(row, ending === 'call.fail' ? 'call.skip' : ending, failure);
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
    this.#backingOff.remove(row, run);
    this.#complete(row, run, failure, undefined);
    this.#reportIdle();
  }

  #finish(row: CallRow, event: CallEvent, failure: Failure | null): void {
    const next = stepCall(row.state, event);
    if (next < 0) return;
    row.state = next;
    this.#live.remove(row);
    this.#deadlines.forget(row);
    this.#counters[endCounter[event as keyof typeof endCounter]] += 1;
    this.#effects.ended(row, failure);
    row.run = null;
  }

  #refuse(): void {
    this.#refusing = true;
    for (const row of this.#waiting.clear()) this.#finish(row, 'call.abort', closedFailure());
    this.#pump();
    this.#reportIdle();
  }

  #reportIdle(): void {
    if (this.#refusing && this.#live.size === 0) this.#edges.idle();
  }

  #tick(): void {
    this.#alarm.rang();
    for (const row of this.#deadlines.take(this.#now)) this.#end(row, timeoutFailure(row, this.#edges.blocked));
    this.#backingOff.wake(this.#now);
    this.#pump();
  }

  /** Sets the alarm to whatever comes first by itself. */
  #arm(): void {
    if (this.#live.size === 0) {
      this.#alarm.clear();
      return;
    }
    const { blocked } = this.#edges;
    const rateAt = blocked === 'rate' ? this.#window.nextExpiryAt : Number.POSITIVE_INFINITY;
    const coolAt = blocked === 'cooling' ? this.#coolAt : Number.POSITIVE_INFINITY;
    this.#alarm.set(Math.min(this.#deadlines.nextAt, this.#backingOff.nextAt, rateAt, coolAt));
  }
}

/** Whether a call waits for its first attempt or for another one. */
function waitsForUnits({ run }: CallRow): boolean {
  return run === null || run.retry !== null;
}

/** Whether the latest attempt of a call was sent, and nothing was heard of it yet. */
function isOnItsWay({ state }: CallRow, { isRescued, verdict }: CallRun): boolean {
  return state === callState.sending && !isRescued && verdict === null;
}

const endCounter = {
  'call.complete': 'completed',
  'call.fail': 'failed',
  'call.cancel': 'cancelled',
  'call.abort': 'aborted',
  'call.skip': 'skipped',
} as const satisfies Partial<Record<CallEvent, keyof DispatcherCounters>>;
