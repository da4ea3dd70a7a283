import type { Clock } from '../../../actors/clock.ts';
import type { Bus, BusStatus } from '../../bus/bus.ts';

/** A stream that costs somebody something while it runs. */
export interface WatchedStream {
  /** Shows readers that the stream lives. @returns False when certainly nobody reads. */
  probe(): Promise<boolean>;
  /** Ends it. */
  cancel(reason: string): void;
}

/** How often in a row nobody must be found before a reader counts as gone. */
const strikes = 2;

/** After a reconnect readers need time to be back too, in milliseconds. */
const settlingMs = 5_000;

/**
 * Finds streams that nobody reads: the server tells at once when the subject of a message has no subscriber, which is so within
 * moments of a reader's death. A call without a reader is cancelled, since somebody pays for it.
 */
export class ReaderWatch {
  readonly #clock: Clock;
  readonly #missed = new WeakMap<WatchedStream, number>();
  readonly #statuses: AsyncIterator<BusStatus>;
  #settledAt = Number.NEGATIVE_INFINITY;

  constructor(bus: Bus, clock: Clock) {
    this.#clock = clock;
    this.#statuses = bus.status[Symbol.asyncIterator]();
    void this.#follow();
  }

  /** Lets go of the bus. */
  close(): void {
    void this.#statuses.return?.();
  }

  /** Shows the reader of a stream that it lives, and cancels its call when there has been no reader for a while. */
  async check(stream: WatchedStream): Promise<void> {
    const isHeard = await stream.probe();
    if (isHeard || this.#clock.now() < this.#settledAt) {
      this.#missed.delete(stream);
      return;
    }
    const missed = (this.#missed.get(stream) ?? 0) + 1;
    this.#missed.set(stream, missed);
    if (missed >= strikes) stream.cancel('nobody reads it');
  }

  async #follow(): Promise<void> {
    let isFirst = true;
    for (;;) {
      const { done, value: status } = await this.#statuses.next();
      if (done === true) return;
      if (status.type === 'connected' && !isFirst) this.#settledAt = this.#clock.now() + settlingMs;
      isFirst = false;
    }
  }
}
