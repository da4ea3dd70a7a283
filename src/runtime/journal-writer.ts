import { randomUUID } from 'node:crypto';
import type { JournalEntry } from '../../schemas/journal.ts';
import { toFailure } from '../errors.ts';
import type { AuditSink } from '../hooks/audit-sinks.ts';

/** How long entries are gathered before they are written, in milliseconds. */
const gatherMs = 50;

/** Entries that may wait for a place that takes none; what comes after is counted and missing. */
const mostWaiting = 65_536;

/** Longest time between two tries on a place that takes nothing, in milliseconds. */
const longestRetryMs = 5_000;

/** How long a close waits for a place that takes nothing, in milliseconds. */
const closeMs = 2_000;

/** Writes entries to a sink behind the back of those who make them: nothing a sink does slows or fails a call. */
export class JournalWriter {
  /** Called when the sink takes entries again after so many could not be kept. */
  onGap: (count: number) => void = () => {};
  readonly #sink: AuditSink;
  /** Two runs of one program have no id in common. */
  readonly #run = randomUUID();
  #waiting: JournalEntry[] = [];
  #dropped = 0;
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<void> | null = null;
  #retryMs = 0;
  #isClosed = false;

  constructor(sink: AuditSink) {
    this.#sink = sink;
  }

  /** Takes an entry; it must not be changed afterwards. */
  write(entry: JournalEntry): void {
    if (this.#isClosed) return;
    // Once something is missing, so is all that follows, until that can be said.
    if (this.#dropped > 0 || this.#waiting.length >= mostWaiting) {
      this.#dropped += 1;
      return;
    }
    this.#waiting.push(entry);
    if (this.#timer === null && this.#writing === null) this.#later(gatherMs);
  }

  /** Resolves when all was written, or after two seconds with a sink that takes nothing. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    let timer: NodeJS.Timeout | undefined;
    const tooLong = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, closeMs);
    });
    await Promise.race([this.#finish(), tooLong]);
    clearTimeout(timer);
  }

  async #finish(): Promise<void> {
    await this.#writing;
    while (this.#waiting.length > 0) {
      await this.#writeAll();
      if (this.#retryMs > 0) return;
    }
  }

  #later(delayMs: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#writing = this.#writeAll().finally(() => {
        this.#writing = null;
        if (this.#waiting.length > 0 && !this.#isClosed) this.#later(this.#retryMs === 0 ? gatherMs : this.#retryMs);
      });
    }, delayMs);
    // A program that has nothing else to do may end; closing writes the rest.
    this.#timer.unref();
  }

  async #writeAll(): Promise<void> {
    const entries = this.#waiting;
    this.#waiting = [];
    try {
      await this.#sink.write(
        entries.map((entry) => ({ id: `${this.#run}-${entry.seq}`, line: JSON.stringify(entry) })),
      );
    } catch (error) {
      if (this.#retryMs === 0) {
        process.emitWarning(
          `The journal at ${this.#sink.place} takes no entries: ${toFailure(error).message}`,
          'IModelWarning',
        );
      }
      this.#retryMs = Math.min(longestRetryMs, Math.max(gatherMs, this.#retryMs * 2));
      this.#waiting = entries.concat(this.#waiting);
      return;
    }
    this.#retryMs = 0;
    if (this.#dropped === 0) return;
    const count = this.#dropped;
    this.#dropped = 0;
    this.onGap(count);
  }
}
