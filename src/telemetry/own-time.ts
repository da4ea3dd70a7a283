/** How long a call was ours to work on: not with its vendor, not with a hook, and not waiting for its turn. */
export class OwnTime {
  #ms = 0;
  /** Since when it is ours, on the clock of `performance`; -1 while it is not. */
  #since = performance.now();

  /** It is ours again. */
  take(): void {
    if (this.#since < 0) this.#since = performance.now();
  }

  /** Somebody else has it, or it waits. */
  give(): void {
    if (this.#since < 0) return;
    this.#ms += performance.now() - this.#since;
    this.#since = -1;
  }

  /** Milliseconds so far. */
  get ms(): number {
    return this.#since < 0 ? this.#ms : this.#ms + performance.now() - this.#since;
  }
}
