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

  /** How many iterators there are. */
  get readerCount(): number {
    return this.#readers.size;
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

  [Symbol.asyncIterator](): AsyncIterableIterator<BusStatus, void> {
    const reader: Reader = { waiting: [this.#state], wake: undefined };
    this.#readers.add(reader);
    // Not a generator: its `return` would wait for the next report, and nobody would be forgotten before.
    let ended = false;
    const end = (): void => {
      ended = true;
      this.#readers.delete(reader);
      reader.wake?.();
    };
    const next = async (): Promise<IteratorResult<BusStatus, void>> => {
      for (;;) {
        const status = ended ? undefined : reader.waiting.shift();
        if (status?.type === 'closed') end();
        if (status !== undefined) return { done: false, value: status };
        if (ended) return { done: true, value: undefined };
        await new Promise<void>((resolve) => {
          reader.wake = resolve;
        });
      }
    };
    return {
      next,
      return: async () => {
        end();
        return { done: true, value: undefined };
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }
}
