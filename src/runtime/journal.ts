import { type RecordedActor, Recorder, type RecorderOptions } from '../../actors/recorder.ts';
import type { JournalEntry } from '../../schemas/journal.ts';
import type { JournalWriter } from './journal-writer.ts';

/** Entries in memory from which a replay can begin, at least; twice as many are kept at most. */
export const defaultJournalSize = 1_024;

/** Where more calls are live than so many times the entries, snapshots would cost more than they tell: memory keeps nothing then. */
const liveShare = 4;

/** What a journal is made from. @internal */
export interface JournalInit {
  /** Where the actor stands. Called only while it takes no event. */
  readonly actor: () => RecordedActor;
  readonly now: () => number;
  /** See {@link defaultJournalSize}. */
  readonly size: number;
  readonly requestOf: RecorderOptions['requestOf'];
}

/**
 * The journal of one iModel: the latest entries in memory, and all of them in writers where there are some.
 *
 * Memory holds two pieces that begin with a snapshot each; when the second is full, the first is forgotten.
 *
 * @internal
 */
export class Journal {
  readonly recorder: Recorder;
  readonly #init: JournalInit;
  readonly #writers = new Set<JournalWriter>();
  #before: JournalEntry[] = [];
  #latest: JournalEntry[] = [];
  #isTurning = false;

  constructor(init: JournalInit) {
    this.#init = init;
    this.recorder = new Recorder({ record: (entry) => this.#record(entry), requestOf: init.requestOf });
  }

  /** What memory holds, oldest first; begins with a snapshot, or with `dropped` where the queue was too long to be kept. */
  entries(): JournalEntry[] {
    return [...this.#before, ...this.#latest];
  }

  /** Writes where the actor stands. Not while it takes an event. */
  snapshot(): void {
    this.recorder.snapshot(this.#init.actor(), this.#init.now());
  }

  /** Gives all entries from now on to a writer too, a snapshot first. */
  attach(writer: JournalWriter): void {
    this.#writers.add(writer);
    writer.onGap = (count) => {
      this.recorder.dropped(count, this.#init.now());
      this.snapshot();
    };
    this.snapshot();
  }

  /** Resolves when its writers have written all there was, or given up. */
  async close(): Promise<void> {
    await Promise.all([...this.#writers].map((writer) => writer.close()));
  }

  #record(entry: JournalEntry): void {
    this.#latest.push(entry);
    for (const writer of this.#writers) writer.write(entry);
    if (this.#latest.length < this.#init.size || this.#isTurning) return;
    this.#isTurning = true;
    // Later, when the actor is between two events.
    queueMicrotask(() => this.#turn());
  }

  #turn(): void {
    const actor = this.#init.actor();
    this.#before = this.#latest;
    this.#latest = [];
    if (actor.rows.length <= this.#init.size * liveShare) this.recorder.snapshot(actor, this.#init.now());
    else this.#before = [];
    this.#isTurning = false;
  }
}
