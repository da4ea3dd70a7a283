import type { Clock } from '../../actors/clock.ts';

/** How long something that has ended can still be asked for, in milliseconds. */
const keepMs = 60_000;

/** How many ended ones are kept at most. */
const keepCount = 256;

/** One thing, until it is forgotten: then the value is gone, since tables that a map has left behind may still hold this. */
interface Held<T> {
  readonly id: string;
  value: T | null;
  endedAt: number;
}

/** Things by call id: all that live, and for a while those that have ended. Forgetting takes no timer. */
export class RecentCalls<T> {
  readonly #clock: Clock;
  readonly #held = new Map<string, Held<T>>();
  /** Those that have ended and are kept, in a ring; `#oldest` is where the next one goes. */
  readonly #ended: Held<T>[] = [];
  #oldest = 0;
  #liveCount = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(id: string, value: T): void {
    this.#held.set(id, { id, value, endedAt: Number.POSITIVE_INFINITY });
    this.#liveCount += 1;
  }

  get(id: string): T | undefined {
    const held = this.#held.get(id);
    if (held === undefined || held.value === null) return undefined;
    return held.endedAt > this.#clock.now() - keepMs ? held.value : undefined;
  }

  /** Whether all have ended. */
  get isIdle(): boolean {
    return this.#liveCount === 0;
  }

  /** Those that have not ended. */
  *live(): Generator<T, void, undefined> {
    for (const { value, endedAt } of this.#held.values()) {
      if (value !== null && endedAt === Number.POSITIVE_INFINITY) yield value;
    }
  }

  /** Keeps one among those that have ended, or, with `keep` false, forgets it at once. */
  ended(id: string, keep: boolean): void {
    const held = this.#held.get(id);
    if (held === undefined || held.endedAt !== Number.POSITIVE_INFINITY) return;
    this.#liveCount -= 1;
    held.endedAt = this.#clock.now();
    if (!keep) {
      this.#forget(held);
      return;
    }
    const oldest = this.#ended[this.#oldest];
    if (oldest !== undefined) this.#forget(oldest);
    this.#ended[this.#oldest] = held;
    this.#oldest = (this.#oldest + 1) % keepCount;
  }

  #forget(held: Held<T>): void {
    held.value = null;
    // Its id may have been given again.
    if (this.#held.get(held.id) === held) this.#held.delete(held.id);
  }
}
