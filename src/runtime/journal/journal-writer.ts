import { randomUUID } from 'node:crypto';
import type { Tape } from '../../../actors/tape.ts';
import { toFailure } from '../../errors.ts';
import type { AuditRecord, AuditSink } from '../../hooks/audit-sinks.ts';
import { writeValue } from '../state/written.ts';

/** How long entries are gathered before they are written, in milliseconds. */
const gatherMs = 50;

/** Tapes that may wait for a place that takes none; what comes after is counted and missing. */
const mostWaiting = 64;

/** Longest time between two tries on a place that takes nothing, in milliseconds. */
const longestRetryMs = 5_000;

/** How long a close waits for a place that takes nothing, in milliseconds. */
const closeMs = 2_000;

/** Writes entries to a sink behind the back of those who make them: nothing a sink does slows or fails a call. */
export class JournalWriter {
  /** Called when the sink takes entries again after those behind this number could not be kept. It is to be told what to {@link follow}. */
  onGap: (lostAfter: number) => void = () => {};
  readonly #sink: AuditSink;
  /** Two runs of one program have no id in common; it stands in every line, for several may write to one place. */
  readonly #run = randomUUID().slice(0, 8);
  /** What is not written yet: the first from the entry on which {@link #next} says, all others from their beginning. */
  #tapes: Tape[] = [];
  #next = 0;
  /** The number of the last entry that was kept, once one could not be; null otherwise. */
  #lostAfter: number | null = null;
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<void> | null = null;
  #retryMs = 0;
  #isClosed = false;

  constructor(sink: AuditSink) {
    this.#sink = sink;
  }

  /** Goes on with the next entry of this tape. */
  follow(tape: Tape): void {
    this.#tapes = [tape];
    this.#next = tape.length;
    this.#lostAfter = null;
  }

  /** A tape is full, and goes on with this one. */
  turn(tape: Tape): void {
    // Once something is missing, so is all that follows, until that can be said.
    if (this.#lostAfter !== null) return;
    if (this.#tapes.length < mostWaiting) this.#tapes.push(tape);
    else this.#lostAfter = tape.firstSeq - 1;
  }

  /** There is another entry. */
  wake(): void {
    if (this.#timer === null && this.#writing === null && !this.#isClosed) this.#later(gatherMs);
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

  get #isDone(): boolean {
    const [tape, next] = this.#tapes;
    return next === undefined && (tape === undefined || tape.length === this.#next);
  }

  async #finish(): Promise<void> {
    await this.#writing;
    while (!this.#isDone) {
      await this.#writeSome();
      if (this.#retryMs > 0) return;
    }
  }

  #later(delayMs: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#writing = this.#writeSome().finally(() => {
        this.#writing = null;
        if (!this.#isDone && !this.#isClosed) this.#later(this.#retryMs);
      });
    }, delayMs);
    // A program that has nothing else to do may end; closing writes the rest.
    this.#timer.unref();
  }

  async #writeSome(): Promise<void> {
    const records = this.#take();
    try {
      if (records.length > 0) await this.#sink.write(records);
    } catch (error) {
      if (this.#retryMs === 0) {
        process.emitWarning(
          `The journal at ${this.#sink.place} takes no entries: ${toFailure(error).message}`,
          'IModelWarning',
        );
      }
      this.#retryMs = Math.min(longestRetryMs, Math.max(gatherMs, this.#retryMs * 2));
      return;
    }
    this.#retryMs = 0;
    this.#next += records.length;
    if (this.#lostAfter !== null && this.#isDone) this.onGap(this.#lostAfter);
  }

  /** What is not written yet of the oldest tape. */
  #take(): AuditRecord[] {
    let [tape] = this.#tapes;
    if (tape !== undefined && tape.length === this.#next && this.#tapes.length > 1) {
      this.#tapes.shift();
      this.#next = 0;
      [tape] = this.#tapes;
    }
    const records: AuditRecord[] = [];
    for (let index = this.#next; tape !== undefined && index < tape.length; index += 1) {
      const entry = tape.entry(index);
      records.push({ id: `${this.#run}-${entry.seq}`, line: lineOf({ run: this.#run, ...entry }) });
    }
    return records;
  }
}

function lineOf(entry: object): string {
  try {
    return JSON.stringify(entry);
  } catch {
    // A request in it may hold what JSON cannot.
    return JSON.stringify(writeValue(entry));
  }
}
