import { type Failure, failureOf } from '../schemas/failure.ts';
import type { CallerUseState } from '../schemas/live-state.ts';
import { Alarm } from './alarm.ts';
import type { CallerTicket, CallerUse } from './caller-ticket.ts';
import type { Clock } from './clock.ts';
import { DueHeap } from './policy/heap.ts';
import { inGrains, type LimitView, limitView, Meter } from './policy/meter.ts';
import { FairQueue } from './policy/queue.ts';
import { RollingWindow } from './policy/window.ts';

/** What one caller may do, whichever iModels it calls; null is no limit. */
export interface CallerLimits {
  /** Starts in any window of {@link windowMs}. */
  readonly requests: number | null;
  /** Tokens in any such window. */
  readonly tokens: number | null;
  /** Millionths of a US dollar in any window of {@link costWindowMs}. */
  readonly costMicros: number | null;
  /** Calls under way at once. */
  readonly concurrency: number | null;
  readonly windowMs: number;
  readonly costWindowMs: number;
  /** Requests that may wait. */
  readonly queueCapacity: number;
}

/** What a caller has used of its limits. */
export interface CallerGateView {
  readonly requests: LimitView;
  readonly tokens: LimitView;
  readonly costMicros: LimitView;
  readonly running: number;
  readonly waiting: number;
}

type LimitName = 'requests' | 'tokens' | 'cost' | 'concurrency';

/**
 * The limits of one caller: whoever is over them waits its turn here, before the queue of its iModel.
 *
 * A request counts from when it is let in. Tokens and cost are held by an estimate for as long as the call runs, and count with what was
 * reported for one window from its end on: a call that outlives a window escapes no limit.
 */
export class CallerGate {
  readonly #name: string;
  readonly #clock: Clock;
  readonly #alarm: Alarm;
  readonly #queue = new FairQueue<CallerTicket>();
  readonly #deadlines = new DueHeap<CallerTicket>();
  readonly #requests: RollingWindow;
  readonly #tokens: Meter;
  readonly #costs: Meter;
  #limits: CallerLimits;
  #running = 0;

  /** @param name - Of the caller, for the failures it is told. */
  constructor(name: string, limits: CallerLimits, clock: Clock) {
    this.#name = name;
    this.#limits = limits;
    this.#clock = clock;
    this.#requests = new RollingWindow(startsOf(limits));
    this.#tokens = new Meter(limits.tokens, limits.windowMs);
    this.#costs = new Meter(limits.costMicros, limits.costWindowMs);
    this.#alarm = new Alarm(clock, () => this.#tick());
  }

  get limits(): CallerLimits {
    return this.#limits;
  }

  /** Takes on other limits, for requests that wait too. */
  set limits(limits: CallerLimits) {
    this.#limits = limits;
    const now = this.#clock.now();
    this.#requests.change(startsOf(limits), now);
    this.#tokens.limitTo(limits.tokens, limits.windowMs, now);
    this.#costs.limitTo(limits.costMicros, limits.costWindowMs, now);
    this.#pump(now);
  }

  /** How many wait. */
  get waiting(): number {
    return this.#queue.size;
  }

  view(): CallerGateView {
    const now = this.#clock.now();
    this.#requests.expire(now);
    return {
      requests: limitView(this.#limits.requests, this.#requests.usedRequests, this.#requests.nextExpiryAt),
      tokens: this.#tokens.view(now),
      costMicros: this.#costs.view(now),
      running: this.#running,
      waiting: this.#queue.size,
    };
  }

  /** What has been used, as plain data. What running calls hold counts as if they ended now. */
  write(): CallerUseState {
    const now = this.#clock.now();
    this.#requests.expire(now);
    return {
      requests: inGrains(this.#requests.write(new Set()), this.#limits.windowMs),
      tokens: this.#tokens.write(now),
      cost_micros: this.#costs.write(now),
    };
  }

  /** Goes on where {@link write} was called. To be called before anything enters. */
  restore(use: CallerUseState): void {
    const now = this.#clock.now();
    this.#requests.restore(use.requests, [], now);
    this.#tokens.restore(use.tokens, now);
    this.#costs.restore(use.cost_micros, now);
  }

  /** Lets a request in at once, makes it wait, or refuses what would wait in vain or finds no place to wait. */
  enter(ticket: CallerTicket): void {
    const now = this.#clock.now();
    ticket.enteredAt = now;
    const { tokens } = ticket.estimate;
    const { tokens: most, queueCapacity } = this.#limits;
    if (most !== null && tokens > most) {
      const message = `The request needs about ${tokens} tokens, and ${this.#who} may use ${most} in ${seconds(this.#limits.windowMs)}`;
      ticket.refuse(failureOf('estimate_too_large', message, { tokens, limit: most }));
      return;
    }
    const limit = this.#blocks(ticket, now);
    if (limit === null && this.#queue.size === 0) {
      this.#begin(ticket, now);
      return;
    }
    if (this.#queue.size >= queueCapacity) {
      const message = `${queueCapacity} requests of ${this.#who} wait for its limits already`;
      const retryAfterMs = this.#soonestMs(ticket, now);
      ticket.refuse(
        failureOf('queue_full', message, { capacity: queueCapacity, ...(retryAfterMs > 0 && { retryAfterMs }) }),
      );
      return;
    }
    const waitMs = this.#soonestMs(ticket, now);
    if (limit !== null && now + waitMs > ticket.deadlineAt) {
      const message = `${this.#told(limit)} is used up for another ${Math.ceil(waitMs / 1_000)} s, and the request may wait ${seconds(ticket.deadlineAt - now)}`;
      const quota = limit === 'cost' ? { reason: 'insufficient_quota' } : {};
      ticket.refuse(failureOf('rate_limited', message, { source: 'runtime', retryAfterMs: waitMs, ...quota }));
      return;
    }
    this.#queue.push(ticket);
    this.#deadlines.move(ticket, ticket.deadlineAt);
    this.#arm();
  }

  /** Takes back a request that waits; nothing happens to another. @returns Whether it waited. */
  leave(ticket: CallerTicket): boolean {
    if (ticket.line === null) return false;
    this.#remove(ticket);
    this.#pump(this.#clock.now());
    return true;
  }

  /** Ends a request that was let in. A second call changes nothing. */
  settle(ticket: CallerTicket, used: CallerUse): void {
    if (!ticket.isRunning) return;
    const now = this.#clock.now();
    ticket.isRunning = false;
    this.#running -= 1;
    this.#tokens.settle(ticket.tokens, used.tokens, now);
    this.#costs.settle(ticket.costs, used.costMicros, now);
    this.#pump(now);
  }

  /** Refuses all that wait; what runs goes on. */
  close(failure: Failure): void {
    this.#alarm.clear();
    for (let ticket = this.#queue.peek(); ticket !== null; ticket = this.#queue.peek()) {
      this.#remove(ticket);
      ticket.refuse(failure);
    }
  }

  get #who(): string {
    return `the caller \`${this.#name}\``;
  }

  #tick(): void {
    this.#alarm.rang();
    const now = this.#clock.now();
    for (let late = this.#deadlines.peek(); late !== undefined && late.dueAt <= now; late = this.#deadlines.peek()) {
      this.#remove(late);
      late.refuse(this.#late(late, now));
    }
    this.#pump(now);
  }

  #pump(now: number): void {
    for (let ticket = this.#queue.peek(); ticket !== null; ticket = this.#queue.peek()) {
      if (this.#blocks(ticket, now) !== null) break;
      this.#remove(ticket);
      this.#begin(ticket, now);
    }
    this.#arm();
  }

  #begin(ticket: CallerTicket, now: number): void {
    const { tokens, costMicros } = ticket.estimate;
    const start = this.#requests.take(0, now);
    // There is nobody between this limit and its clock.
    if (start !== null) this.#requests.sent(start, now);
    ticket.tokens = this.#tokens.hold(tokens, now);
    ticket.costs = this.#costs.hold(costMicros, now);
    ticket.isRunning = true;
    this.#running += 1;
    ticket.admit();
  }

  #remove(ticket: CallerTicket): void {
    this.#queue.remove(ticket);
    this.#deadlines.remove(ticket);
  }

  #arm(): void {
    if (this.#queue.size === 0) {
      this.#alarm.clear();
      return;
    }
    const wakes = [this.#deadlines, this.#requests, this.#tokens, this.#costs].map((one) =>
      one instanceof DueHeap ? one.nextAt : one.nextExpiryAt,
    );
    const at = Math.min(...wakes);
    if (at !== Number.POSITIVE_INFINITY) this.#alarm.set(at);
  }

  /** The limit that keeps a request from beginning now; null when none does. */
  #blocks({ estimate }: CallerTicket, now: number): LimitName | null {
    const { concurrency } = this.#limits;
    if (concurrency !== null && this.#running >= concurrency) return 'concurrency';
    if (!this.#requests.fits(0, now)) return 'requests';
    if (!this.#tokens.fits(estimate.tokens, now)) return 'tokens';
    return this.#costs.fits(estimate.costMicros, now) ? null : 'cost';
  }

  /** The soonest a request could begin, in milliseconds from now: what runs may end at any time, what has ended counts for its window. */
  #soonestMs({ estimate }: CallerTicket, now: number): number {
    const { requests, windowMs } = this.#limits;
    const instants = [
      this.#tokens.soonestAt(estimate.tokens, now),
      this.#costs.soonestAt(estimate.costMicros, now),
      requests === null || this.#requests.fits(0, now)
        ? now
        : this.#requests.nextExpiryAt + Math.floor(this.#queue.size / requests) * windowMs,
    ];
    return Math.max(0, Math.max(...instants) - now);
  }

  #late(ticket: CallerTicket, now: number): Failure {
    const limit = this.#blocks(ticket, now) ?? 'requests';
    const timeoutMs = now - ticket.enteredAt;
    const retryAfterMs = this.#soonestMs(ticket, now);
    return failureOf('timed_out', `${this.#told(limit)} left no room: the request has waited ${seconds(timeoutMs)}`, {
      phase: limit === 'concurrency' ? 'concurrency' : 'rate',
      timeoutMs,
      ...(retryAfterMs > 0 ? { retryAfterMs } : {}),
    });
  }

  #told(limit: LimitName): string {
    const { requests, tokens, costMicros, concurrency, windowMs, costWindowMs } = this.#limits;
    switch (limit) {
      case 'requests':
        return `The limit of ${this.#who}, ${requests} requests in ${seconds(windowMs)},`;
      case 'tokens':
        return `The limit of ${this.#who}, ${tokens} tokens in ${seconds(windowMs)},`;
      case 'cost':
        return `The limit of ${this.#who}, ${(costMicros ?? 0) / 1_000_000} USD in ${seconds(costWindowMs)},`;
      default:
        return `The limit of ${this.#who}, ${concurrency} calls at once,`;
    }
  }
}

function startsOf({ requests, windowMs }: CallerLimits) {
  return { requests, tokens: null, lengthMs: windowMs, marginMs: 0 };
}

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}
