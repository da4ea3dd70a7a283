import type { Clock } from './clock.ts';

/** One timer for whatever comes first, so that a thousand deadlines cost no thousand timers. */
export class Alarm {
  readonly #clock: Clock;
  readonly #ring: () => void;
  #at = Number.POSITIVE_INFINITY;
  #timer: unknown;

  /** @param ring - Called when the time has come. It may come early by the clock's grain: then there is nothing to do but to set it again. */
  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  /** Makes it ring at this instant, in epoch milliseconds, unless it rings before that anyway. */
  set(at: number): void {
    if (at >= this.#at) return;
    this.#clock.clearTimeout(this.#timer);
    this.#at = at;
    const delayMs = Math.ceil(at - this.#clock.now());
    this.#timer = this.#clock.setTimeout(this.#ring, Math.max(0, delayMs));
  }

  /** Says that it has rung: whatever is set from now on counts. */
  rang(): void {
    this.#at = Number.POSITIVE_INFINITY;
  }

  clear(): void {
    if (this.#at === Number.POSITIVE_INFINITY) return;
    this.#clock.clearTimeout(this.#timer);
    this.#at = Number.POSITIVE_INFINITY;
  }
}
