import type { Clock } from '../../../actors/clock.ts';

/** How long something that has ended can still be asked for, in milliseconds. */
const keepMs = 60_000;

/** How many ended ones are kept at most. */
const keepCount = 256;

/** How many bytes of ended ones are kept at most, beside the latest. */
const keepBytes = 64 * 1024 * 1024;

/** One thing, until it is forgotten: then the value is gone, since tables that a map has left behind may still hold this. */
interface Held<T> {
  readonly id: string;
  value: T | null;
  endedAt: number;
  sizeBytes: number;
}

/**
 * Things by call id: all that live, and for a while those that have ended. Forgetting takes no timer of its own: who looks after them calls
 * {@link forgetOld} now and then.
 */
export class RecentCalls<T> {
  readonly #clock: Clock;
  readonly #held = new Map<string, Held<T>>();
  /** Those that have ended and are kept, the oldest first. */
  readonly #ended: Held<T>[] = [];
  #endedBytes = 0;
  #liveCount = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(id: string, value: T): void {
    this.#held.set(id, { id, value, endedAt: Number.POSITIVE_INFINITY, sizeBytes: 0 });
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

  /**
   * Keeps one among those that have ended, or, with `keep` false, forgets it at once.
   *
   * @param sizeBytes - About how much memory it takes.
   */
  ended(id: string, keep: boolean, sizeBytes = 0): void {
    const held = this.#held.get(id);
    if (held === undefined || held.endedAt !== Number.POSITIVE_INFINITY) return;
    this.#liveCount -= 1;
    held.endedAt = this.#clock.now();
    if (!keep) {
      this.#forget(held);
      return;
    }
    held.sizeBytes = sizeBytes;
    this.#endedBytes += sizeBytes;
    this.#ended.push(held);
    const isTooMuch = () => this.#ended.length > keepCount || this.#endedBytes > keepBytes;
    while (this.#ended.length > 1 && isTooMuch()) this.#forgetOldest();
  }

  /** Lets go of what is kept no more. */
  forgetOld(): void {
    const before = this.#clock.now() - keepMs;
    while (this.#ended[0] !== undefined && this.#ended[0].endedAt <= before) this.#forgetOldest();
  }

  #forgetOldest(): void {
    const oldest = this.#ended.shift();
    if (oldest === undefined) return;
    this.#endedBytes -= oldest.sizeBytes;
    this.#forget(oldest);
  }

  #forget(held: Held<T>): void {
    held.value = null;
    // Its id may have been given again.
    if (this.#held.get(held.id) === held) this.#held.delete(held.id);
  }
}
