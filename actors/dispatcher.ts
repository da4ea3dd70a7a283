import { Alarm } from './alarm.ts';
import { Answers } from './answers.ts';
import { Attempts } from './attempts.ts';
import { BackingOff } from './backing-off.ts';
import { closedFailure, interruptedFailure, queueFullFailure, timeoutFailure } from './call-failures.ts';
import type { CallRow, CallRun } from './call-row.ts';
import type { Clock } from './clock.ts';
import { Deadlines } from './deadlines.ts';
import type { DispatcherEvent } from './dispatcher-events.ts';
import type { DispatcherInput, DispatcherJournal, DispatcherLimits } from './dispatcher-input.ts';
import {
  type DispatcherParts,
  type DispatcherState,
  type RestoredDispatcher,
  restoreParts,
  writeParts,
} from './dispatcher-state.ts';
import { type Blocked, type DispatcherView, noCalls } from './dispatcher-view.ts';
import { Edges } from './edges.ts';
import { Endings } from './endings.ts';
import { LiveRows } from './live-rows.ts';
import { Upstream } from './upstream.ts';
import { WaitingCalls } from './waiting-calls.ts';

/**
 * Admission, queue, limits and deadlines of one iModel: the state behind {@link dispatcherLogic}. Only {@link Dispatcher.receive} changes it; the getters are for looking.
 */
export class Dispatcher {
  #limits: DispatcherLimits;
  readonly #answers: Answers;
  readonly #clock: Clock;
  readonly #moment = { at: 0 };
  readonly #journal: DispatcherJournal | null;
  /** What the machine hears. */
  readonly #edges: Edges;
  readonly #alarm: Alarm;
  readonly #parts: DispatcherParts;
  readonly #live: LiveRows;
  readonly #waiting: WaitingCalls;
  readonly #backingOff: BackingOff;
  readonly #deadlines: Deadlines;
  readonly #upstream: Upstream;
  readonly #endings: Endings;
  readonly #attempts: Attempts;
  #gateOpen = false;
  #refusing = false;

  constructor(input: DispatcherInput, self: { send(event: DispatcherEvent): void }) {
    const { limits, resilience, effects, clock, journal = null } = input;
    this.#limits = limits;
    this.#answers = new Answers(input);
    this.#clock = clock;
    this.#journal = journal;
    this.#edges = new Edges(input.machine);
    this.#alarm = new Alarm(clock, () => self.send({ type: 'clock.tick' }));
    const { breaker } = resilience;
    const waiting = new WaitingCalls();
    this.#parts = {
      live: new LiveRows(waiting),
      waiting,
      backingOff: new BackingOff(),
      deadlines: new Deadlines(),
      upstream: new Upstream({ limits: limits.window, breaker, moment: this.#moment, edges: this.#edges }),
      counters: noCalls(),
    };
    ({
      live: this.#live,
      waiting: this.#waiting,
      backingOff: this.#backingOff,
      deadlines: this.#deadlines,
      upstream: this.#upstream,
    } = this.#parts);
    this.#endings = new Endings(this.#parts, effects, this.#answers);
    this.#attempts = new Attempts({
      ...{ parts: this.#parts, endings: this.#endings, effects, answers: this.#answers },
      ...{ retry: resilience.retry, moment: this.#moment },
    });
  }

  get limits(): DispatcherLimits {
    return this.#limits;
  }

  /** Whether the vendor has asked to be left alone: what has not been written yet should not be. */
  get isCooling(): boolean {
    return this.#upstream.cooling.isCooling(this.#clock.now());
  }

  /** How many calls have not ended. */
  get size(): number {
    return this.#live.size;
  }

  /** All calls that have not ended, oldest first. */
  rows(): CallRow[] {
    return this.#live.all();
  }

  /** The call with this id, by a walk through all others. */
  find(id: string): CallRow | undefined {
    for (const row of this.#live) if (row.id === id) return row;
    return undefined;
  }

  /** The oldest that have begun and the oldest that wait, so many of each at most. */
  oldest(most: number): { readonly begun: CallRow[]; readonly waiting: CallRow[] } {
    return this.#live.oldest(most);
  }

  view(): DispatcherView {
    const now = this.#clock.now();
    const { window, cooling } = this.#upstream;
    window.expire(now);
    const { nextExpiryAt } = window;
    const coolingUntil = cooling.until;
    return {
      waiting: this.#waiting.size,
      outside: this.#waiting.outside,
      running: this.#live.running,
      blocked: this.#edges.blocked,
      coolingUntil: coolingUntil > now ? coolingUntil : null,
      backingOff: this.#backingOff.size,
      usedRequests: window.usedRequests,
      usedTokens: window.usedTokens,
      nextRefreshAt: nextExpiryAt === Number.POSITIVE_INFINITY ? null : nextExpiryAt,
      limits: this.#limits,
      counters: this.#parts.counters,
    };
  }

  /** Everything it knows, as plain data that shares nothing with it; instants are epoch milliseconds. */
  write(): DispatcherState {
    const { window, coolAt } = this.#upstream;
    window.expire(this.#clock.now());
    return {
      is_gate_open: this.#gateOpen,
      blocked: this.#edges.blocked,
      cool_at: this.#edges.blocked === 'cooling' ? coolAt : null,
      is_full: this.#edges.isFull,
      ...writeParts(this.#parts),
    };
  }

  /** Takes one event. While it does, time stands still. */
  receive(event: DispatcherEvent): void {
    const now = this.#clock.now();
    this.#moment.at = now;
    this.#journal?.begin(event, now);
    this.#take(event);
    this.#journal?.end(event, now);
  }

  #take(event: DispatcherEvent): void {
    switch (event.type) {
      case 'call.submit':
        this.#submit(event.row);
        break;
      case 'call.sent':
        if (this.#attempts.sent(event.row)) this.#arm();
        break;
      case 'call.answer':
        if (this.#attempts.answered(event.row)) this.#pump();
        break;
      case 'call.withhold':
        this.#attempts.withheld(event.row);
        this.#freed();
        break;
      case 'call.settle':
        this.#attempts.settled(event.row, event);
        this.#freed();
        break;
      case 'call.hook':
        if (event.row.run !== null) event.row.run.isHooked = event.isRunning;
        break;
      case 'call.finish':
        this.#endings.release(event.row, event.failure);
        this.#freed();
        break;
      case 'call.end':
        this.#endings.end(event.row, event.failure);
        this.#freed();
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
        for (const row of this.#live.all()) this.#endings.end(row, closedFailure());
        this.#freed();
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
        this.#upstream.window.restore(event.window, [], this.#moment.at);
        this.#pump();
        break;
      case 'limits.learned':
        this.#upstream.cooling.learn(event.limits, this.#moment.at);
        break;
      case 'limits.reset':
        this.#upstream.reset();
        this.#pump();
        break;
      case 'clock.tick':
        this.#tick();
        break;
      default:
        event satisfies never;
    }
  }

  #restore(restored: RestoredDispatcher): void {
    const { state } = restored;
    restoreParts(this.#parts, restored, this.#moment.at);
    this.#gateOpen = state.is_gate_open;
    this.#edges.restore(state.blocked, state.is_full, this.#upstream.breaker?.state ?? 'closed');
  }

  /** The time has passed that nobody watched: deadlines too, and limits may be others. */
  #interrupt(): void {
    const interrupted = interruptedFailure();
    for (const row of this.#live.all()) {
      const { run } = row;
      if (run === null) continue;
      this.#backingOff.remove(row, run);
      this.#upstream.lost(row, run);
      this.#endings.abandon(row, run, interrupted);
    }
    this.#refuseTooLarge();
    this.#tick();
  }

  #submit(row: CallRow): void {
    this.#parts.counters.submitted += 1;
    if (this.#refusing) {
      this.#endings.finish(row, 'call.skip', closedFailure());
      return;
    }
    const tooLarge = this.#upstream.tooLarge(row);
    if (tooLarge !== null) {
      this.#endings.finish(row, 'call.skip', tooLarge);
      return;
    }
    const capacity = this.#limits.queueCapacity;
    const isFull = this.#waiting.size >= capacity;
    if (isFull && this.#limits.onFull === 'reject') {
      this.#endings.finish(row, 'call.skip', queueFullFailure(capacity));
      return;
    }
    row.queuedAt = this.#moment.at;
    const dueAt = Math.min(row.deadlineAt, row.queueDeadlineAt);
    if (dueAt <= this.#moment.at) {
      this.#endings.finish(row, 'call.abort', timeoutFailure(row, this.#edges.blocked));
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

  /** Takes on other limits, for calls that wait too. */
  #change(limits: Partial<DispatcherLimits>): void {
    const countedTokens = this.#limits.window.tokens !== null;
    this.#limits = { ...this.#limits, ...limits };
    this.#upstream.window.change(this.#limits.window, this.#moment.at);
    if (!countedTokens && this.#limits.window.tokens !== null) this.#estimateAll();
    this.#refuseTooLarge();
    this.#pump();
  }

  /** Calls that came while tokens were not limited were not estimated. */
  #estimateAll(): void {
    for (const row of this.#live.all()) {
      if (!waitsForUnits(row)) continue;
      const tokens = this.#answers.estimate(row);
      if (tokens >= 0) row.tokens = tokens;
    }
  }

  /** A lowered limit must not leave a call in the first place that can never start, and all others behind it. */
  #refuseTooLarge(): void {
    if (this.#limits.window.tokens === null) return;
    for (const row of this.#live.all()) {
      const tooLarge = waitsForUnits(row) ? this.#upstream.tooLarge(row) : null;
      if (tooLarge !== null) this.#endings.end(row, tooLarge);
    }
  }

  /** Something has ended, and somebody may take its place. */
  #freed(): void {
    this.#pump();
    this.#reportIdle();
  }

  /** Starts all that may start, then arms the clock for what may come by itself. */
  #pump(): void {
    this.#waiting.admit(this.#limits.queueCapacity);
    const blocked = this.#gateOpen ? this.#startAll() : 'paused';
    this.#edges.block(this.#waiting.size === 0 && !this.#backingOff.isAnyDue ? null : blocked);
    this.#edges.fill(this.#waiting.size, this.#limits.queueCapacity);
    this.#arm();
  }

  #startAll(): Blocked {
    for (let row = this.#backingOff.peek(); row !== null; row = this.#backingOff.peek()) {
      const blocked = this.#upstream.blockedFor(row);
      if (blocked !== null) return blocked;
      this.#backingOff.shift();
      if (row.run !== null) this.#attempts.start(row, row.run);
    }
    const { concurrency } = this.#limits;
    for (let row = this.#waiting.peek(); row !== null; row = this.#waiting.peek()) {
      if (concurrency !== null && this.#live.running >= concurrency) return 'concurrency';
      const blocked = this.#upstream.isTripped ? null : this.#upstream.blockedFor(row);
      if (blocked !== null) return blocked;
      const isAdmitted = this.#upstream.admits();
      const run = this.#begin(row);
      if (isAdmitted) this.#attempts.start(row, run);
      else this.#attempts.reject(row, run);
    }
    return null;
  }

  /** Takes the call at the head of the queue into a slot. */
  #begin(row: CallRow): CallRun {
    this.#waiting.shift();
    this.#waiting.admit(this.#limits.queueCapacity);
    return this.#attempts.begin(row);
  }

  #refuse(): void {
    this.#refusing = true;
    this.#attempts.makeLast();
    for (const row of this.#waiting.clear()) this.#endings.finish(row, 'call.abort', closedFailure());
    this.#freed();
  }

  #reportIdle(): void {
    if (this.#refusing && this.#live.size === 0) this.#edges.idle();
  }

  #tick(): void {
    this.#alarm.rang();
    const { at } = this.#moment;
    for (const row of this.#deadlines.take(at)) this.#endings.end(row, timeoutFailure(row, this.#edges.blocked));
    this.#backingOff.wake(at);
    this.#freed();
  }

  /** Sets the alarm to whatever comes first by itself. */
  #arm(): void {
    if (this.#live.size === 0) {
      this.#alarm.clear();
      return;
    }
    const readyAt = this.#upstream.readyAt(this.#edges.blocked);
    this.#alarm.set(Math.min(this.#deadlines.nextAt, this.#backingOff.nextAt, readyAt));
  }
}

/** Whether a call waits for its first attempt or for another one. */
function waitsForUnits({ run }: CallRow): boolean {
  return run === null || run.retry !== null;
}
