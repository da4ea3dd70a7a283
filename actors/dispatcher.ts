import type { ActorLogic, ActorScope, Snapshot } from 'xstate';
import type { Failure } from '../schemas/failure.ts';
import { Alarm } from './alarm.ts';
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
import { type CallRow, type CallVerdict, LiveRows, type RetryWait } from './call-row.ts';
import type { Clock } from './clock.ts';
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
import { CircuitBreaker } from './policy/breaker.ts';
import { Cooling } from './policy/cooling.ts';
import { DueHeap } from './policy/heap.ts';
import { FairQueue } from './policy/queue.ts';
import { retryDelayMs } from './policy/retry.ts';
import { RollingWindow } from './policy/window.ts';

/** The snapshot is one object for the actor's whole life: the state inside is changed in place, never copied per event. */
export type DispatcherSnapshot = Snapshot<undefined> & { readonly dispatcher: Dispatcher };

/** Admission, queue, limits and deadlines of one iModel, as XState actor logic. About 0.1 µs an event beside the work itself. */
export type DispatcherLogic = ActorLogic<DispatcherSnapshot, DispatcherEvent, DispatcherInput>;

/** See {@link DispatcherLogic}. */
export const dispatcherLogic: DispatcherLogic = {
  getInitialSnapshot: (scope, input) => ({
    status: 'active',
    output: undefined,
    error: undefined,
    dispatcher: new Dispatcher(input, scope.self),
  }),
  transition: (snapshot, event, _scope: ActorScope<DispatcherSnapshot, DispatcherEvent>) => {
    // XState tells every logic that its actor stops.
    if ((event as { readonly type: string }).type !== 'xstate.stop') snapshot.dispatcher.receive(event);
    return snapshot;
  },
  getPersistedSnapshot: (snapshot) => ({ ...snapshot }),
};

/**
 * The state behind {@link dispatcherLogic}. Only {@link Dispatcher.receive} changes it; the getters are for looking.
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
  readonly #queue = new FairQueue<CallRow>();
  /** Calls that found the queue full, in the order of their coming. */
  readonly #outside = new FairQueue<CallRow>();
  readonly #deadlines = new DueHeap<CallRow>();
  readonly #window: RollingWindow;
  readonly #resilience: ResiliencePolicy;
  readonly #random: () => number;
  readonly #cooling = new Cooling();
  readonly #breaker: CircuitBreaker | null;
  /** Calls between two attempts; they keep their slot. */
  readonly #retries = new DueHeap<RetryWait>();
  /** Those whose delay has passed: they go before all that wait in the queue. */
  readonly #again = new FairQueue<CallRow>();
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
      waiting: this.#queue.size,
      outside: this.#outside.size,
      running: this.#running,
      blocked: this.#edges.blocked,
      coolingUntil: coolingUntil > now ? coolingUntil : null,
      backingOff: this.#retries.size + this.#again.size,
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
        event.row.isHooked = event.isRunning;
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
        this.#limits = { ...this.#limits, ...event.limits };
        this.#window.limits = this.#limits.window;
        this.#refuseTooLarge();
        this.#pump();
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
      queue: this.#queue,
      outside: this.#outside,
      again: this.#again,
      retries: this.#retries,
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
    for (const row of this.#live) if (isOnItsWay(row)) this.#cooling.flew(row.tokens);
    this.#gateOpen = state.is_gate_open;
    this.#coolAt = state.cool_at ?? Number.POSITIVE_INFINITY;
    this.#edges.restore(state.blocked, state.is_full, this.#breaker?.state ?? 'closed');
  }

  /** The time has passed that nobody watched: deadlines too, and limits may be others. */
  #interrupt(): void {
    const now = this.#now;
    const interrupted = interruptedFailure();
    for (const row of [...this.#live]) {
      if (!isRunning(row.state)) continue;
      // It may have been written until now.
      if (row.grant !== null) this.#window.sent(row.grant, now);
      if (row.retry?.isDue === true) this.#again.remove(row);
      else if (row.retry !== null) this.#retries.remove(row.retry);
      this.#land(row);
      if (row.isProbe) this.#cooling.resolved(false);
      this.#complete(row, interrupted, undefined);
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
    const isFull = this.#queue.size >= capacity;
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
    if (dueAt !== Number.POSITIVE_INFINITY) this.#deadlines.move(row, dueAt);
    if (isFull) {
      row.state = stepCall(row.state, 'call.hold');
      this.#outside.push(row);
      this.#arm();
    } else {
      this.#enqueue(row);
      this.#pump();
    }
  }

  /** Why no window can ever grant this call its tokens; null when one can. */
  #tooLarge({ tokens }: CallRow): Failure | null {
    const { tokens: limit } = this.#limits.window;
    return limit === null || tokens <= limit ? null : tooLargeFailure(tokens, limit);
  }

  /** A lowered limit must not leave a call at the head of the queue that can never start, and all others behind it. */
  #refuseTooLarge(): void {
    for (const row of [...this.#queue, ...this.#outside]) {
      const tooLarge = this.#tooLarge(row);
      if (tooLarge !== null) this.#end(row, tooLarge);
    }
  }

  #enqueue(row: CallRow): void {
    row.state = stepCall(row.state, 'call.enqueue');
    this.#queue.push(row);
  }

  /** Lets in from outside as many as the queue has places for. */
  #admit(): void {
    while (this.#outside.size > 0 && this.#queue.size < this.#limits.queueCapacity) {
      this.#enqueue(this.#outside.shift() as CallRow);
    }
  }

  /** Starts all that may start, then arms the clock for what may come by itself. Every event that can free something ends here. */
  #pump(): void {
    this.#admit();
    const blocked = this.#gateOpen ? this.#startAll() : 'paused';
    this.#edges.block(this.#queue.size === 0 && this.#again.size === 0 ? null : blocked);
    this.#edges.fill(this.#queue.size, this.#limits.queueCapacity);
    this.#arm();
  }

  #startAll(): Blocked {
    for (let row = this.#again.peek(); row !== null; row = this.#again.peek()) {
      const now = this.#now;
      const blocked = this.#unitsFor(row, now);
      if (blocked !== null) return blocked;
      this.#again.shift();
      this.#attempt(row, now);
    }
    const { concurrency } = this.#limits;
    for (let row = this.#queue.peek(); row !== null; row = this.#queue.peek()) {
      if (concurrency !== null && this.#running >= concurrency) return 'concurrency';
      const now = this.#now;
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
      this.#begin(row, now);
      this.#attempt(row, now);
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

  /** Takes a call from the queue into a slot. */
  #begin(row: CallRow, now: number): void {
    this.#queue.shift();
    this.#admit();
    row.startedAt = now;
    row.breakerEpoch = this.#breaker?.epoch ?? 0;
    if (row.dueAt !== row.deadlineAt) {
      this.#deadlines.remove(row);
      if (row.deadlineAt !== Number.POSITIVE_INFINITY) this.#deadlines.move(row, row.deadlineAt);
    }
    this.#running += 1;
    this.#counters.started += 1;
    this.#edges.break(this.#breaker?.state ?? 'closed');
  }

  /** Sends a call that has its slot. */
  #attempt(row: CallRow, now: number): void {
    row.state = stepCall(row.state, 'call.dispatch');
    row.grant = this.#window.take(row.tokens);
    row.isProbe = this.#cooling.started(row.tokens, now);
    row.retry = null;
    row.attempts += 1;
    if (row.attempts > 1) this.#counters.retried += 1;
    this.#effects.start(row);
  }

  /** The breaker lets no call through: it fails at once, and nothing is sent. */
  #reject(row: CallRow, now: number): void {
    this.#begin(row, now);
    row.state = stepCall(row.state, 'call.dispatch');
    // It began after the state it would be judged in.
    row.breakerEpoch = -1;
    this.#fail(row, circuitOpenFailure(Math.max(0, (this.#breaker?.reopensAt ?? now) - now)));
  }

  #sent(row: CallRow): void {
    if (row.grant === null) return;
    this.#window.sent(row.grant, this.#now);
    this.#arm();
  }

  #answer(row: CallRow): void {
    const next = stepCall(row.state, 'call.answer');
    if (next < 0) return;
    this.#land(row);
    row.state = next;
    if (row.grant !== null) this.#window.answered(row.grant, this.#now);
    if (row.isProbe) this.#resolveProbe(row, true);
    else if (row.grant !== null) this.#arm();
  }

  /** An attempt that was not made: its call waits with the others for the end of the cool-down. */
  #withhold(row: CallRow): void {
    if (!isOnItsWay(row)) return;
    this.#land(row);
    if (row.isProbe) this.#resolveProbe(row, false);
    if (row.grant !== null) this.#window.release(row.grant);
    row.grant = null;
    row.attempts -= 1;
    if (row.stopping !== null) this.#complete(row, row.stopping, undefined);
    else if (this.#refusing) this.#complete(row, closedFailure(), undefined);
    else this.#wait(row, Math.max(this.#now, this.#cooling.until));
    this.#pump();
    this.#reportIdle();
  }

  #settle(
    row: CallRow,
    { failure, tokens, isDelivered = false }: Extract<DispatcherEvent, { type: 'call.settle' }>,
  ): void {
    if (!isRunning(row.state) || row.retry !== null || row.verdict !== null) return;
    const now = this.#now;
    this.#land(row);
    if (row.grant !== null) {
      // A request that was never written still counts: units are not given back once a call was dispatched.
      this.#window.sent(row.grant, now);
      // What a stand-in used is on its own account.
      if (tokens !== null && !row.isRescued) this.#window.settle(row.grant, tokens);
    }
    if (failure !== null && !row.isRescued) this.#heed(failure, row.isProbe, now);
    if (row.isProbe) this.#resolveProbe(row, failure === null);
    if (row.stopping !== null) this.#complete(row, row.stopping, undefined);
    else if (failure === null) this.#complete(row, null, null);
    else if (isDelivered || row.isRescued || !this.#backOff(row, failure, now)) this.#fail(row, failure, isDelivered);
    this.#pump();
    this.#reportIdle();
  }

  /** The request of a call is no longer on its way. */
  #land(row: CallRow): void {
    if (isOnItsWay(row)) this.#cooling.landed(row.tokens);
  }

  /** Takes note of a vendor that wants to be left alone. */
  #heed({ code, retryAfterMs }: Failure, isProbe: boolean, now: number): void {
    // One that goes on refusing without a word does not mean "at once".
    const waitMs = retryAfterMs ?? (isProbe && code === 'rate_limited' ? 0 : null);
    if (waitMs !== null) this.#cooling.coolUntil(now + waitMs, now, isProbe);
  }

  #resolveProbe(row: CallRow, isTaken: boolean): void {
    row.isProbe = false;
    this.#cooling.resolved(isTaken);
    this.#pump();
  }

  /** Lets a failed call wait for another attempt. @returns False when there will be none. */
  #backOff(row: CallRow, failure: Failure, now: number): boolean {
    const delayMs = retryDelayMs(this.#resilience.retry, failure, row.attempts, this.#random);
    if (delayMs === null || now + delayMs >= row.deadlineAt || this.#refusing) return false;
    this.#wait(row, now + delayMs);
    this.#effects.retrying(row, failure, delayMs);
    return true;
  }

  /** Lets a running call wait for its next attempt. */
  #wait(row: CallRow, dueAt: number): void {
    row.state = stepCall(row.state, 'call.retry');
    row.retry = { row, isDue: false, dueAt, heapIndex: -1 };
    this.#retries.push(row.retry);
  }

  /** All attempts have failed: somebody else may carry the call on, else it ends. */
  #fail(row: CallRow, failure: Failure, isDelivered = false): void {
    if (isDelivered || row.isRescued) {
      this.#complete(row, failure, failure);
      return;
    }
    row.isRescued = true;
    this.#breaker?.judge(row.breakerEpoch, failure, this.#now);
    row.breakerEpoch = -1;
    this.#edges.break(this.#breaker?.state ?? 'closed');
    if (!this.#noted(this.#effects.rescue(row, failure))) this.#complete(row, failure, failure);
  }

  /** @param verdict - What the end says about the vendor; see {@link CircuitBreaker.judge}. */
  #complete(row: CallRow, failure: Failure | null, verdict: Failure | null | undefined): void {
    this.#breaker?.judge(row.breakerEpoch, verdict, this.#now);
    this.#edges.break(this.#breaker?.state ?? 'closed');
    const reason = row.stopping ?? failure;
    const event = row.stopping !== null ? endingOf(row.stopping) : failure === null ? 'call.complete' : 'call.fail';
    if (this.#noted(this.#effects.ending?.(row, event, reason) === true)) row.verdict = { event, failure: reason };
    else this.#conclude(row, event, reason);
  }

  /** Ends a call that was held back before its end. */
  #close(row: CallRow, failure: Failure | null): void {
    if (hasEnded(row.state) || row.verdict === null) return;
    const isSpoiled = failure !== null && row.verdict.failure === null;
    if (isSpoiled) this.#conclude(row, 'call.fail', failure);
    else this.#conclude(row, row.verdict.event, row.verdict.failure);
    this.#pump();
    this.#reportIdle();
  }

  #conclude(row: CallRow, event: CallVerdict['event'], failure: Failure | null): void {
    this.#running -= 1;
    this.#finish(row, event, failure);
  }

  /** Ends a call before its time: a waiting one at once, a running one by stopping it. */
  #end(row: CallRow, failure: Failure): void {
    if (hasEnded(row.state) || row.stopping !== null) return;
    if (row.verdict !== null) {
      // Its end is told already; whoever holds it back should hurry.
      this.#effects.stop(row, failure);
      return;
    }
    if (isRunning(row.state)) {
      row.stopping = failure;
      if (row.retry === null) {
        this.#effects.stop(row, failure);
        return;
      }
      // Between two attempts nothing runs that would have to be stopped.
      if (row.retry.isDue) this.#again.remove(row);
      else this.#retries.remove(row.retry);
      this.#complete(row, failure, undefined);
      this.#reportIdle();
      return;
    }
    if (row.state === callState.created) this.#counters.submitted += 1;
    if (row.state === callState.outside) this.#outside.remove(row);
    else this.#queue.remove(row);
    const ending = endingOf(failure);
    // What has not begun cannot fail: it is refused.
    this.#finish(row, ending === 'call.fail' ? 'call.skip' : ending, failure);
  }

  #finish(row: CallRow, event: CallEvent, failure: Failure | null): void {
    const next = stepCall(row.state, event);
    if (next < 0) return;
    row.state = next;
    this.#live.remove(row);
    this.#deadlines.remove(row);
    this.#counters[endCounter[event as keyof typeof endCounter]] += 1;
    this.#effects.ended(row, failure);
  }

  #refuse(): void {
    this.#refusing = true;
    for (const queue of [this.#outside, this.#queue]) {
      for (let row = queue.shift(); row !== null; row = queue.shift()) this.#finish(row, 'call.abort', closedFailure());
    }
    this.#pump();
    this.#reportIdle();
  }

  #reportIdle(): void {
    if (this.#refusing && this.#live.size === 0) this.#edges.idle();
  }

  #tick(): void {
    const now = this.#now;
    this.#alarm.rang();
    const due: CallRow[] = [];
    for (let row = this.#deadlines.peek(); row !== undefined && row.dueAt <= now; row = this.#deadlines.peek()) {
      this.#deadlines.remove(row);
      due.push(row);
    }
    // The heap does not say which of several comes first, and a replay must come to the same.
    if (due.length > 1) due.sort((one, other) => one.order - other.order);
    for (const row of due) this.#end(row, timeoutFailure(row, this.#edges.blocked));
    for (let wait = this.#retries.peek(); wait !== undefined && wait.dueAt <= now; wait = this.#retries.peek()) {
      this.#retries.remove(wait);
      wait.isDue = true;
      this.#again.push(wait.row);
    }
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
    this.#alarm.set(Math.min(this.#deadlines.nextAt, this.#retries.nextAt, rateAt, coolAt));
  }
}

/** Whether the latest attempt of a call was sent, and nothing was heard of it yet. */
function isOnItsWay({ state, isRescued, verdict }: CallRow): boolean {
  return state === callState.sending && !isRescued && verdict === null;
}

const endCounter = {
  'call.complete': 'completed',
  'call.fail': 'failed',
  'call.cancel': 'cancelled',
  'call.abort': 'aborted',
  'call.skip': 'skipped',
} as const satisfies Partial<Record<CallEvent, keyof DispatcherCounters>>;
