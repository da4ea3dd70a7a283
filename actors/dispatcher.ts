import type { ActorLogic, ActorScope, AnyActorRef, Snapshot } from 'xstate';
import { type Failure, failureOf, type TimeoutPhase } from '../schemas/failure.ts';
import { type CallEvent, callState, hasEnded, isRunning, stepCall } from './call.ts';
import { type CallRow, LiveRows } from './call-row.ts';
import type { Clock } from './clock.ts';
import { DueHeap } from './policy/heap.ts';
import { FairQueue } from './policy/queue.ts';
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

/**
 * What the dispatcher has others do. Called synchronously while it decides: an effect may send events to the dispatcher (they are taken
 * up afterwards), and must not throw.
 */
export interface DispatcherEffects {
  /** Begin this call. It must lead to exactly one `call.settle`. */
  start(row: CallRow): void;
  /** End this running call; it still leads to its `call.settle`, once its transport is gone. */
  stop(row: CallRow, failure: Failure): void;
  /** This call has come to its end. Its state is final; `failure` is why, or null after success. */
  ended(row: CallRow, failure: Failure | null): void;
}

/** What a dispatcher is made from. */
export interface DispatcherInput {
  readonly limits: DispatcherLimits;
  readonly effects: DispatcherEffects;
  readonly clock: Clock;
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
    }
  /** End this call: as `cancelled`, `aborted` or `failed`, by the failure's code. A waiting call ends at once. */
  | { readonly type: 'call.end'; readonly row: CallRow; readonly failure: Failure }
  | { readonly type: 'gate.open' }
  | { readonly type: 'gate.shut' }
  /** Take no more calls, end those that wait, and say `dispatcher.idle` when the last running one has ended. */
  | { readonly type: 'calls.refuse' }
  /** End every running call. */
  | { readonly type: 'calls.stop' }
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
  | { readonly type: 'dispatcher.idle' };

/** Why the head of the queue does not start. */
export type Blocked = 'rate' | 'concurrency' | 'paused' | null;

/** Counts since the iModel was made. */
export interface DispatcherCounters {
  submitted: number;
  started: number;
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
  readonly #counters: DispatcherCounters = {
    submitted: 0,
    started: 0,
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
  }

  get limits(): DispatcherLimits {
    return this.#limits;
  }

  /** All calls that have not ended, oldest first. */
  rows(): Iterable<CallRow> {
    return this.#live;
  }

  view(): DispatcherView {
    this.#window.expire(this.#clock.now());
    const { nextExpiryAt } = this.#window;
    return {
      waiting: this.#queue.size,
      outside: this.#outside.size,
      running: this.#running,
      blocked: this.#blocked,
      usedRequests: this.#window.usedRequests,
      usedTokens: this.#window.usedTokens,
      nextRefreshAt: nextExpiryAt === Number.POSITIVE_INFINITY ? null : nextExpiryAt,
      limits: this.#limits,
      counters: this.#counters,
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
        this.#settle(event.row, event.failure, event.tokens);
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
        break;
      case 'limits.set':
        this.#limits = { ...this.#limits, ...event.limits };
        this.#window.limits = this.#limits.window;
        this.#refuseTooLarge();
        this.#pump();
        break;
      case 'limits.reset':
        this.#window.reset();
        this.#pump();
        break;
      case 'clock.tick':
        this.#tick();
        break;
      default:
        event satisfies never;
    }
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
    if (this.#queue.size === 0) this.#blocked = null;
    if (this.#blocked === 'rate' && wasBlocked !== 'rate') this.#tell({ type: 'limit.hit' });
    if (this.#blocked !== 'rate' && wasBlocked === 'rate') this.#tell({ type: 'window.refreshed' });
    this.#reportFullness();
    this.#arm();
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
    const { concurrency } = this.#limits;
    for (let row = this.#queue.peek(); row !== null; row = this.#queue.peek()) {
      if (concurrency !== null && this.#running >= concurrency) return 'concurrency';
      const now = this.#clock.now();
      if (!this.#window.fits(row.tokens, now)) return 'rate';
      this.#queue.shift();
      this.#admit();
      this.#start(row, now);
    }
    return null;
  }

  #start(row: CallRow, now: number): void {
    row.state = stepCall(row.state, 'call.dispatch');
    row.startedAt = now;
    row.grant = this.#window.take(row.tokens);
    if (row.dueAt !== row.deadlineAt) {
      this.#deadlines.remove(row);
      if (row.deadlineAt !== Number.POSITIVE_INFINITY) this.#deadlines.move(row, row.deadlineAt);
    }
    this.#running += 1;
    this.#counters.started += 1;
    this.#effects.start(row);
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
    if (row.grant === null) return;
    this.#window.answered(row.grant, this.#clock.now());
    this.#arm();
  }

  #settle(row: CallRow, failure: Failure | null, tokens: number | null): void {
    if (!isRunning(row.state)) return;
    this.#running -= 1;
    if (row.grant !== null) {
      // A request that was never written still counts: units are not given back once a call was dispatched.
      this.#window.sent(row.grant, this.#clock.now());
      if (tokens !== null) this.#window.settle(row.grant, tokens);
    }
    if (row.stopping !== null) this.#finish(row, endingOf(row.stopping), row.stopping);
    else this.#finish(row, failure === null ? 'call.complete' : 'call.fail', failure);
    this.#pump();
    this.#reportIdle();
  }

  /** Ends a call before its time: a waiting one at once, a running one by stopping it. */
  #end(row: CallRow, failure: Failure): void {
    if (hasEnded(row.state) || row.stopping !== null) return;
    if (isRunning(row.state)) {
      row.stopping = failure;
      this.#effects.stop(row, failure);
      return;
    }
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
    for (let row = this.#deadlines.peek(); row !== undefined && row.dueAt <= now; row = this.#deadlines.peek()) {
      this.#deadlines.remove(row);
      this.#end(row, this.#timeout(row));
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
    if (row.state === callState.queued) return this.#blocked ?? 'queue';
    if (!isRunning(row.state)) return 'queue';
    return row.state === callState.answering && row.streaming ? 'stream' : 'attempt';
  }

  /** One timer, for whatever comes first. A timer that fires early finds nothing to do and arms the next. */
  #arm(): void {
    const rateAt = this.#blocked === 'rate' ? this.#window.nextExpiryAt : Number.POSITIVE_INFINITY;
    const at = Math.min(this.#deadlines.nextAt, rateAt);
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
