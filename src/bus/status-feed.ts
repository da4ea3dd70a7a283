import type { BusStatus } from './bus.ts';

/** What one iterator keeps for a reader that is slow. */
const kept = 64;

interface Reader {
  readonly waiting: BusStatus[];
  wake: (() => void) | undefined;
}

/**
 * Tells any number of readers how a connection fares. Each begins with the present state, keeps the latest 64 reports, and ends after
 * `closed`.
 */
export class StatusFeed implements AsyncIterable<BusStatus> {
  readonly #now: () => number;
  readonly #readers = new Set<Reader>();
  #state: BusStatus;

  constructor(now: () => number, first: BusStatus['type']) {
    this.#now = now;
    this.#state = { type: first, at: now() };
  }

  /** The latest state; `error` and `slow_consumer` are reports, not states. */
  get state(): BusStatus['type'] {
    return this.#state.type;
  }

  report(type: BusStatus['type'], detail?: string): void {
    const status: BusStatus = { type, at: this.#now(), ...(detail === undefined ? {} : { detail }) };
    if (type !== 'error' && type !== 'slow_consumer') this.#state = status;
    for (const reader of this.#readers) {
      if (reader.waiting.length === kept) reader.waiting.shift();
      reader.waiting.push(status);
      reader.wake?.();
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<BusStatus, void> {
    const reader: Reader = { waiting: [this.#state], wake: undefined };
    this.#readers.add(reader);
    try {
      for (;;) {
        const status = reader.waiting.shift();
        if (status === undefined) {
          await new Promise<void>((resolve) => {
            reader.wake = resolve;
          });
        } else {
          yield status;
          if (status.type === 'closed') return;
        }
      }
    } finally {
      this.#readers.delete(reader);
    }
  }
}
