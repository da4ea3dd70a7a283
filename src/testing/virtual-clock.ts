import type { Clock } from '../../actors/clock.ts';

interface Timer {
  readonly dueAt: number;
  readonly order: number;
  readonly callback: () => void;
}

/**
 * A clock that stands still until told to move, and stops at every timer on its way.
 *
 * `advance` runs each due timer at exactly its time, then lets promises that it resolved run, so that timers set by their continuations
 * are seen too.
 *
 * @example
 * ```ts
 * const clock = new VirtualClock();
 * await clock.advance(1_000);
 * ```
 */
export class VirtualClock implements Clock {
  #now: number;
  #order = 0;
  readonly #timers = new Map<number, Timer>();

  /** @param startAt - Epoch milliseconds to begin at. @defaultValue 0 */
  constructor(startAt = 0) {
    this.#now = startAt;
  }

  now(): number {
    return this.#now;
  }

  setTimeout(callback: () => void, delayMs: number): unknown {
    this.#order += 1;
    this.#timers.set(this.#order, { dueAt: this.#now + Math.max(0, delayMs), order: this.#order, callback });
    return this.#order;
  }

  clearTimeout(handle: unknown): void {
    this.#timers.delete(handle as number);
  }

  /** How many timers are set; 0 means nothing will ever happen by itself. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Resolves after `delayMs` of this clock's time. */
  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.setTimeout(resolve, delayMs));
  }

  /** Moves on by `ms`, stopping at each timer that falls due. */
  async advance(ms: number): Promise<void> {
    await this.advanceTo(this.#now + ms);
  }

  /** Moves on to an instant, stopping at each timer that falls due. An instant in the past only lets pending promises run. */
  async advanceTo(at: number): Promise<void> {
    await settle();
    for (let next = this.#next(at); next !== undefined; next = this.#next(at)) {
      this.#fire(next);
      await settle();
    }
    this.#now = Math.max(this.#now, at);
    await settle();
  }

  /** As {@link advance}, for code that uses no promises; faster. */
  advanceSync(ms: number): void {
    const at = this.#now + ms;
    for (let next = this.#next(at); next !== undefined; next = this.#next(at)) this.#fire(next);
    this.#now = at;
  }

  #fire(timer: Timer): void {
    this.#timers.delete(timer.order);
    this.#now = Math.max(this.#now, timer.dueAt);
    timer.callback();
  }

  #next(at: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers.values()) {
      if (timer.dueAt <= at && (first === undefined || timer.dueAt < first.dueAt)) first = timer;
    }
    return first;
  }
}

/** Lets every promise that is already resolvable run, including chains of them. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
