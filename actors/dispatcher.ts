import type { ActorLogic, ActorScope, AnyActorRef, Snapshot } from 'xstate';
import { type Failure, failureOf, type TimeoutPhase } from '../schemas/failure.ts';
import { type CallEvent, callState, hasEnded, isRunning, stepCall } from './call.ts';
import { type CallRow, type CallVerdict, LiveRows, type RetryWait } from './call-row.ts';
import type { Clock } from './clock.ts';
import {
  type DispatcherParts,
  type DispatcherState,
  type RestoredDispatcher,
  restoreParts,
  writeParts,
} from './dispatcher-state.ts';
import { type BreakerPolicy, type BreakerState, CircuitBreaker } from './policy/breaker.ts';
import { Cooling, type VendorLimits } from './policy/cooling.ts';
import { DueHeap } from './policy/heap.ts';
import { FairQueue } from './policy/queue.ts';
import { type RetryPolicy, retryDelayMs } from './policy/retry.ts';
import { RollingWindow, type WindowLimits } from './policy/window.ts';

/** What bounds the calls of one iModel. */
export interface DispatcherLimits {
  /** Calls that may wait; at least 1. Running calls do not count. */
  readonly queueCapacity: number;
  /** What happens to a call that finds the queue full: it waits outside for a place, or it is refused. */
  readonly onFull: 'wait' | 'reject';
  /** Calls that may run at once; null is no limit. */
  readonly concurrency: number | null;
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

/** What a dispatcher is made from. */
export interface DispatcherInput {
  readonly limits: DispatcherLimits;
  readonly resilience: ResiliencePolicy;
  readonly effects: DispatcherEffects;
  readonly clock: Clock;
  /** Chance, for backoff: a number from 0 to below 1. */
  readonly random: () => number;
  /** Hears {@link DispatcherEdge}s. */
  readonly machine: AnyActorRef | null;
}

/** What a dispatcher hears. */
export type DispatcherEvent =
  | { readonly type: 'call.submit'; readonly row: CallRow }
  /** The request was written to an open connection. */
  | { readonly type: 'call.sent'; readonly row: CallRow }
  | { readonly type: 'call.answer'; readonly row: CallRow }
  /** The call's work is over and its transport gone. `tokens` is what the upstream reported, null when it did not. */
  | {
      readonly type: 'call.settle';
      readonly row: CallRow;
      readonly failure: Failure | null;
      readonly tokens: number | null;
      /** Whether the caller has seen something of this attempt, so that another would repeat it. */
      readonly isDelivered?: boolean;
    }
  /** A hook begins or ends to run before the first attempt. */
  | { readonly type: 'call.hook'; readonly row: CallRow; readonly isRunning: boolean }
  /** What had to be done before this call's end is done. A failure makes a call fail that would have completed. */
  | { readonly type: 'call.finish'; readonly row: CallRow; readonly failure: Failure | null }
  /** What a vendor's headers said. */
  | { readonly type: 'limits.learned'; readonly limits: VendorLimits }
  /** End this call: as `cancelled`, `aborted` or `failed`, by the failure's code. A waiting call ends at once. */
  | { readonly type: 'call.end'; readonly row: CallRow; readonly failure: Failure }
  | { readonly type: 'gate.open' }
  | { readonly type: 'gate.shut' }
  /** Take no more calls, end those that wait, and say `dispatcher.idle` when the last running one has ended. */
  | { readonly type: 'calls.refuse' }
  /** End every running call. */
  | { readonly type: 'calls.stop' }
  /** Go on where another dispatcher was written down; for one that has heard nothing yet. */
  | { readonly type: 'calls.restore'; readonly restored: RestoredDispatcher }
  /** The process that ran the running calls is gone: they have failed, and are not sent again. */
  | { readonly type: 'calls.interrupt' }
  | { readonly type: 'limits.set'; readonly limits: Partial<DispatcherLimits> }
  /** Forget what was used of the limits. */
  | { readonly type: 'limits.reset' }
  | { readonly type: 'clock.tick' };

/** What the iModel machine hears: changes only, never a message per call. */
export type DispatcherEdge =
  | { readonly type: 'limit.hit' }
  | { readonly type: 'window.refreshed' }
  | { readonly type: 'queue.full' }
  | { readonly type: 'queue.drained' }
  | { readonly type: 'cooling.begun' }
  | { readonly type: 'cooling.ended' }
  | { readonly type: 'breaker.tripped' }
  | { readonly type: 'breaker.trial' }
  | { readonly type: 'breaker.closed' }
  | { readonly type: 'dispatcher.idle' };

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

/** Numbers for people and gauges; reading them takes constant time. */
export interface DispatcherView {
  /** Calls with a place in the queue. */
  readonly waiting: number;
  /** Calls that wait for a place. */
  readonly outside: number;
  readonly running: number;
  readonly blocked: Blocked;
  /** Epoch milliseconds until which nothing starts, by the vendor's wish; null when it has none. */
  readonly coolingUntil: number | null;
  /** Running calls that wait for their next attempt. */
  readonly backingOff: number;
  readonly usedRequests: number;
  readonly usedTokens: number;
  /** Epoch milliseconds when the next unit comes free; null when none is used. */
  readonly nextRefreshAt: number | null;
  readonly limits: DispatcherLimits;
  readonly counters: Readonly<DispatcherCounters>;
}

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
    snapshot.dispatcher.receive(event);
    return snapshot;
  },
  getPersistedSnapshot: (snapshot) => ({ ...snapshot }),
};

/** Half-full is when the machine hears that a full queue has drained: a queue that hovers at its limit sends no message per call. */
const drainedShare = 0.5;

/**
 * The state behind {@link dispatcherLogic}. Only {@link Dispatcher.receive} changes it; the getters are for looking.
 */
export class Dispatcher {
  #limits: DispatcherLimits;
  readonly #effects: DispatcherEffects;
  readonly #clock: Clock;
  readonly #machine: AnyActorRef | null;
  readonly #self: { send(event: DispatcherEvent): void };

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
  #blocked: Blocked = null;
  /** When the cool-down that blocks ends. */
  #coolAt = Number.POSITIVE_INFINITY;
  #breakerSeen: BreakerState = 'closed';
  #full = false;
  #tickAt = Number.POSITIVE_INFINITY;
  #timer: unknown;

  constructor(input: DispatcherInput, self: { send(event: DispatcherEvent): void }) {
    this.#limits = input.limits;
    this.#effects = input.effects;
    this.#clock = input.clock;
    this.#machine = input.machine;
    this.#self = self;
    this.#window = new RollingWindow(input.limits.window);
    this.#resilience = input.resilience;
    this.#random = input.random;
    this.#breaker = input.resilience.breaker === null ? null : new CircuitBreaker(input.resilience.breaker);
  }

  get limits(): DispatcherLimits {
    return this.#limits;
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
      blocked: this.#blocked,
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
      blocked: this.#blocked,
      cool_at: this.#blocked === 'cooling' ? this.#coolAt : null,
      is_full: this.#full,
      ...writeParts(this.#parts()),
    };
  }

  /** Takes one event. */
  receive(event: DispatcherEvent): void {
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
      case 'limits.learned':
        this.#cooling.learn(event.limits, this.#clock.now());
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
    this.#running = restoreParts(this.#parts(), restored, this.#clock.now());
    this.#gateOpen = state.is_gate_open;
    this.#blocked = state.blocked;
    this.#coolAt = state.cool_at ?? Number.POSITIVE_INFINITY;
    this.#full = state.is_full;
    this.#breakerSeen = this.#breaker?.state ?? 'closed';
    // The machine's regions follow.
    this.#reportBlocked(null);
    if (this.#full) this.#tell({ type: 'queue.full' });
    if (this.#breakerSeen !== 'closed') this.#tell({ type: 'breaker.tripped' });
    if (this.#breakerSeen === 'trial') this.#tell({ type: 'breaker.trial' });
  }

  /** The time has passed that nobody watched: deadlines too, and limits may be others. */
  #interrupt(): void {
    const now = this.#clock.now();
    const interrupted = failureOf(
      'interrupted',
      'The process that ran the call is gone; the vendor may have served it',
      {},
    );
    for (const row of [...this.#live]) {
      if (!isRunning(row.state)) continue;
      // It may have been written until now.
      if (row.grant !== null) this.#window.sent(row.grant, now);
      if (row.retry?.isDue === true) this.#again.remove(row);
      else if (row.retry !== null) this.#retries.remove(row.retry);
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
      this.#finish(
        row,
        'call.skip',
        failureOf('queue_full', `The queue is full: ${capacity} calls wait`, { capacity }),
      );
      return;
    }
    row.queuedAt = this.#clock.now();
    const dueAt = Math.min(row.deadlineAt, row.queueDeadlineAt);
    if (dueAt <= row.queuedAt) {
      this.#finish(row, 'call.abort', this.#timeout(row));
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
    if (limit === null || tokens <= limit) return null;
    const message = `The request needs about ${tokens} tokens, but \`limitTokens\` is ${limit}`;
    return failureOf('estimate_too_large', message, { tokens, limit });
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
    const wasBlocked = this.#blocked;
    this.#admit();
    this.#blocked = this.#gateOpen ? this.#startAll() : 'paused';
    if (this.#queue.size === 0 && this.#again.size === 0) this.#blocked = null;
    if (this.#blocked !== wasBlocked) this.#reportBlocked(wasBlocked);
    this.#reportFullness();
    this.#arm();
  }

  #reportBlocked(before: Blocked): void {
    if (before === 'rate') this.#tell({ type: 'window.refreshed' });
    if (before === 'cooling') this.#tell({ type: 'cooling.ended' });
    if (this.#blocked === 'rate') this.#tell({ type: 'limit.hit' });
    if (this.#blocked === 'cooling') this.#tell({ type: 'cooling.begun' });
  }

  #reportBreaker(): void {
    const state = this.#breaker?.state ?? 'closed';
    if (state === this.#breakerSeen) return;
    this.#breakerSeen = state;
    this.#tell({ type: `breaker.${state}` });
  }

  #reportFullness(): void {
    const { queueCapacity } = this.#limits;
    if (!this.#full && this.#queue.size >= queueCapacity) {
      this.#full = true;
      this.#tell({ type: 'queue.full' });
    } else if (this.#full && this.#queue.size <= queueCapacity * drainedShare) {
      this.#full = false;
      this.#tell({ type: 'queue.drained' });
    }
  }

  #startAll(): Blocked {
    for (let row = this.#again.peek(); row !== null; row = this.#again.peek()) {
      const now = this.#clock.now();
      const blocked = this.#unitsFor(row, now);
      if (blocked !== null) return blocked;
      this.#again.shift();
      this.#attempt(row, now);
    }
    const { concurrency } = this.#limits;
    for (let row = this.#queue.peek(); row !== null; row = this.#queue.peek()) {
      if (concurrency !== null && this.#running >= concurrency) return 'concurrency';
      const now = this.#clock.now();
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
    this.#reportBreaker();
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
    const retryAfterMs = Math.max(0, (this.#breaker?.reopensAt ?? now) - now);
    const after = Number.isFinite(retryAfterMs) ? { retryAfterMs } : {};
    this.#begin(row, now);
    row.state = stepCall(row.state, 'call.dispatch');
    // It began after the state it would be judged in.
    row.breakerEpoch = -1;
    this.#fail(row, failureOf('circuit_open', 'The breaker is open: the vendor has failed too often', after));
  }

  #sent(row: CallRow): void {
    if (row.grant === null) return;
    this.#window.sent(row.grant, this.#clock.now());
    this.#arm();
  }

  #answer(row: CallRow): void {
    const next = stepCall(row.state, 'call.answer');
    if (next < 0) return;
    row.state = next;
    if (row.grant !== null) this.#window.answered(row.grant, this.#clock.now());
    if (row.isProbe) this.#resolveProbe(row, true);
    else if (row.grant !== null) this.#arm();
  }

  #settle(
    row: CallRow,
    { failure, tokens, isDelivered = false }: Extract<DispatcherEvent, { type: 'call.settle' }>,
  ): void {
    if (!isRunning(row.state) || row.retry !== null || row.verdict !== null) return;
    const now = this.#clock.now();
    if (row.grant !== null) {
      // A request that was never written still counts: units are not given back once a call was dispatched.
      this.#window.sent(row.grant, now);
      if (tokens !== null) this.#window.settle(row.grant, tokens);
    }
    if (failure?.retryAfterMs !== undefined) this.#cooling.coolUntil(now + failure.retryAfterMs, now);
    if (row.isProbe) this.#resolveProbe(row, failure === null);
    if (row.stopping !== null) this.#complete(row, row.stopping, undefined);
    else if (failure === null) this.#complete(row, null, null);
    else if (isDelivered || row.isRescued || !this.#backOff(row, failure, now)) this.#fail(row, failure, isDelivered);
    this.#pump();
    this.#reportIdle();
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
    row.state = stepCall(row.state, 'call.retry');
    row.retry = { row, isDue: false, dueAt: now + delayMs, heapIndex: -1 };
    this.#retries.push(row.retry);
    this.#effects.retrying(row, failure, delayMs);
    return true;
  }

  /** All attempts have failed: somebody else may carry the call on, else it ends. */
  #fail(row: CallRow, failure: Failure, isDelivered = false): void {
    if (isDelivered || row.isRescued) {
      this.#complete(row, failure, failure);
      return;
    }
    row.isRescued = true;
    this.#breaker?.judge(row.breakerEpoch, failure, this.#clock.now());
    row.breakerEpoch = -1;
    this.#reportBreaker();
    if (!this.#effects.rescue(row, failure)) this.#complete(row, failure, failure);
  }

  /** @param verdict - What the end says about the vendor; see {@link CircuitBreaker.judge}. */
  #complete(row: CallRow, failure: Failure | null, verdict: Failure | null | undefined): void {
    this.#breaker?.judge(row.breakerEpoch, verdict, this.#clock.now());
    this.#reportBreaker();
    const reason = row.stopping ?? failure;
    const event = row.stopping !== null ? endingOf(row.stopping) : failure === null ? 'call.complete' : 'call.fail';
    if (this.#effects.ending?.(row, event, reason) === true) row.verdict = { event, failure: reason };
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
    if (this.#refusing && this.#live.size === 0) this.#tell({ type: 'dispatcher.idle' });
  }

  #tick(): void {
    const now = this.#clock.now();
    this.#tickAt = Number.POSITIVE_INFINITY;
    const due: CallRow[] = [];
    for (let row = this.#deadlines.peek(); row !== undefined && row.dueAt <= now; row = this.#deadlines.peek()) {
      this.#deadlines.remove(row);
      due.push(row);
    }
    // The heap does not say which of several comes first, and a replay must come to the same.
    if (due.length > 1) due.sort((one, other) => one.order - other.order);
    for (const row of due) this.#end(row, this.#timeout(row));
    for (let wait = this.#retries.peek(); wait !== undefined && wait.dueAt <= now; wait = this.#retries.peek()) {
      this.#retries.remove(wait);
      wait.isDue = true;
      this.#again.push(wait.row);
    }
    this.#pump();
  }

  #timeout(row: CallRow): Failure {
    const phase = this.#phaseOf(row);
    const dueAt = Math.min(row.deadlineAt, isRunning(row.state) ? Infinity : row.queueDeadlineAt);
    const timeoutMs = Math.max(0, Math.round(dueAt - row.queuedAt));
    return failureOf('timed_out', `The call's time of ${timeoutMs} ms ran out (${phaseText[phase]})`, {
      phase,
      timeoutMs,
    });
  }

  #phaseOf(row: CallRow): TimeoutPhase {
    if (row.state === callState.queued) return this.#blocked === 'cooling' ? 'rate' : (this.#blocked ?? 'queue');
    if (row.state === callState.backingOff) return 'backoff';
    if (!isRunning(row.state)) return 'queue';
    if (row.isHooked) return 'hook';
    return row.state === callState.answering && row.streaming ? 'stream' : 'attempt';
  }

  /** One timer, for whatever comes first. A timer that fires early finds nothing to do and arms the next. */
  #arm(): void {
    const rateAt = this.#blocked === 'rate' ? this.#window.nextExpiryAt : Number.POSITIVE_INFINITY;
    const coolAt = this.#blocked === 'cooling' ? this.#coolAt : Number.POSITIVE_INFINITY;
    const at = Math.min(this.#deadlines.nextAt, this.#retries.nextAt, rateAt, coolAt);
    if (at >= this.#tickAt) {
      if (this.#live.size === 0) this.#disarm();
      return;
    }
    this.#clock.clearTimeout(this.#timer);
    this.#tickAt = at;
    const delayMs = Math.ceil(at - this.#clock.now());
    this.#timer = this.#clock.setTimeout(() => this.#self.send({ type: 'clock.tick' }), Math.max(0, delayMs));
  }

  #disarm(): void {
    if (this.#tickAt === Number.POSITIVE_INFINITY) return;
    this.#clock.clearTimeout(this.#timer);
    this.#tickAt = Number.POSITIVE_INFINITY;
  }

  #tell(edge: DispatcherEdge): void {
    this.#machine?.send(edge);
  }
}

const endCounter = {
  'call.complete': 'completed',
  'call.fail': 'failed',
  'call.cancel': 'cancelled',
  'call.abort': 'aborted',
  'call.skip': 'skipped',
} as const satisfies Partial<Record<CallEvent, keyof DispatcherCounters>>;

const phaseText: Partial<Record<TimeoutPhase, string>> = {
  queue: 'waiting for a place in the queue',
  paused: 'waiting while the model takes no calls',
  concurrency: 'waiting for a running call to end',
  rate: 'waiting for the rate limit',
  backoff: 'waiting for the next attempt',
  hook: 'waiting for a hook',
  attempt: 'waiting for the upstream',
  stream: 'reading the stream',
};

function endingOf({ code }: Failure): 'call.cancel' | 'call.abort' | 'call.fail' {
  if (code === 'cancelled') return 'call.cancel';
  return code === 'timed_out' || code === 'closed' ? 'call.abort' : 'call.fail';
}

function closedFailure(): Failure {
  return failureOf('closed', 'The model is closed and takes no calls', {});
}
