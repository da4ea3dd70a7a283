import type { Clock } from '../../actors/clock.ts';

/** How long something that has ended can still be asked for, in milliseconds. */
const keepMs = 60_000;

/** How many ended ones are kept at most. */
const keepCount = 256;

/** Things by call id: all that live, and for a while those that have ended. Forgetting takes no timer. */
export class RecentCalls<T> {
  readonly #clock: Clock;
  readonly #live = new Map<string, T>();
  /** In the order of their end, so the first is the first to be forgotten. */
  readonly #ended = new Map<string, { readonly value: T; readonly at: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(id: string, value: T): void {
    this.#live.set(id, value);
  }

  get(id: string): T | undefined {
    return this.#live.get(id) ?? this.#recent(id);
  }

  /** Whether all have ended. */
  get isIdle(): boolean {
    return this.#live.size === 0;
  }

  /** Those that have not ended. */
  live(): IterableIterator<T> {
    return this.#live.values();
  }

  /** Moves one to those that have ended, or, with `keep` false, forgets it at once. */
  ended(id: string, keep: boolean): void {
    const value = this.#live.get(id);
    if (value === undefined) return;
    this.#live.delete(id);
    if (!keep) return;
    const now = this.#clock.now();
    this.#ended.set(id, { value, at: now });
    for (const [oldest, { at }] of this.#ended) {
      if (this.#ended.size <= keepCount && at > now - keepMs) break;
      this.#ended.delete(oldest);
    }
  }

  #recent(id: string): T | undefined {
    const entry = this.#ended.get(id);
    return entry !== undefined && entry.at > this.#clock.now() - keepMs ? entry.value : undefined;
  }
}
