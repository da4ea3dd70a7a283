import type { Clock } from '../../actors/clock.ts';

/** How long something that has ended can still be asked for, in milliseconds. */
const keepMs = 60_000;

/** How many ended ones are kept at most. */
const keepCount = 256;

/** One thing, until it is forgotten: then the value is gone, since tables that a map has left behind may still hold this. */
interface Held<T> {
  value: T | null;
  endedAt: number;
}

/** Things by call id: all that live, and for a while those that have ended. Forgetting takes no timer. */
export class RecentCalls<T> {
  readonly #clock: Clock;
  readonly #live = new Map<string, Held<T>>();
  /** In the order of their end, so the first is the first to be forgotten. */
  readonly #ended = new Map<string, Held<T>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(id: string, value: T): void {
    this.#live.set(id, { value, endedAt: Number.POSITIVE_INFINITY });
  }

  get(id: string): T | undefined {
    const held = this.#live.get(id) ?? this.#ended.get(id);
    if (held === undefined || held.value === null) return undefined;
    return held.endedAt > this.#clock.now() - keepMs ? held.value : undefined;
  }

  /** Whether all have ended. */
  get isIdle(): boolean {
    return this.#live.size === 0;
  }

  /** Those that have not ended. */
  *live(): Generator<T, void, undefined> {
    for (const { value } of this.#live.values()) {
      if (value !== null) yield value;
    }
  }

  /** Moves one to those that have ended, or, with `keep` false, forgets it at once. */
  ended(id: string, keep: boolean): void {
    const held = this.#live.get(id);
    if (held === undefined) return;
    this.#live.delete(id);
    if (!keep) {
      held.value = null;
      return;
    }
    held.endedAt = this.#clock.now();
    this.#ended.set(id, held);
    if (this.#ended.size > keepCount) this.#forgetOldest();
  }

  #forgetOldest(): void {
    for (const [id, held] of this.#ended) {
      this.#ended.delete(id);
      held.value = null;
      return;
    }
  }
}
