import { type RecordedActor, Recorder, type RecorderOptions } from '../../../actors/recorder.ts';
import type { Tape } from '../../../actors/tape.ts';
import type { JournalEntry } from '../../../schemas/journal.ts';
import type { JournalWriter } from './journal-writer.ts';

/** Entries in memory from which a replay can begin, at least. */
export const defaultJournalSize = 1_024;

/**
 * A snapshot costs as much as there are calls. So many entries for each of them lie between two, which makes that a tenth of a microsecond an
 * entry. With more calls than {@link JournalInit.size}, memory would hold too many entries: it has no snapshot then.
 */
const entriesPerCall = 8;

/** What a journal is made from. @internal */
export interface JournalInit {
  /** Where the actor stands. Called only while it takes no event. */
  readonly actor: () => RecordedActor;
  /** How many calls it has. */
  readonly calls: () => number;
  readonly now: () => number;
  /** See {@link defaultJournalSize}. */
  readonly size: number;
  readonly requestOf: RecorderOptions['requestOf'];
}

/**
 * The journal of one iModel: the latest entries in memory, and all of them in writers where there are some.
 *
 * Memory holds what has come since the last snapshot but one.
 *
 * @internal
 */
export class Journal {
  readonly recorder: Recorder;
  readonly #init: JournalInit;
  readonly #writers: JournalWriter[] = [];
  #tapes: Tape[];
  /** The numbers of the last two snapshots; Infinity where there is none. */
  #before = Number.POSITIVE_INFINITY;
  #latest = Number.POSITIVE_INFINITY;
  #turnAt: number;
  #isTurning = false;

  constructor(init: JournalInit) {
    this.#init = init;
    this.#turnAt = init.size;
    this.recorder = new Recorder({
      requestOf: init.requestOf,
      recorded: () => this.#recorded(),
      turned: (tape) => {
        this.#tapes.push(tape);
        for (const writer of this.#writers) writer.turn(tape);
      },
    });
    this.#tapes = [this.recorder.tape];
  }

  /** What memory holds, oldest first. It begins with a snapshot unless there are more calls than memory is to hold entries. */
  entries(): JournalEntry[] {
    const from = Math.min(this.#before, this.#latest);
    const entries: JournalEntry[] = [];
    for (const tape of this.#tapes) {
      for (let index = 0; index < tape.length; index += 1) {
        if (from === Number.POSITIVE_INFINITY || tape.firstSeq + index >= from) entries.push(tape.entry(index));
      }
    }
    return entries;
  }

  /** Writes where the actor stands. Not while it takes an event. */
  snapshot(): void {
    this.#before = this.#latest;
    this.#latest = this.recorder.seq + 1;
    this.#turnAt = this.recorder.seq + this.#init.size;
    this.recorder.snapshot(this.#init.actor(), this.#init.now());
    this.#forget(Math.min(this.#before, this.#latest));
  }

  /** Gives all entries from now on to a writer too, a snapshot first. */
  attach(writer: JournalWriter): void {
    this.#writers.push(writer);
    writer.onGap = (lostAfter) => {
      writer.follow(this.recorder.tape);
      this.recorder.dropped(this.recorder.seq - lostAfter, this.#init.now());
      this.snapshot();
    };
    writer.follow(this.recorder.tape);
    this.snapshot();
  }

  /** Resolves when its writers have written all there was, or given up. */
  async close(): Promise<void> {
    await Promise.all(this.#writers.map((writer) => writer.close()));
  }

  #recorded(): void {
    for (const writer of this.#writers) writer.wake();
    if (this.recorder.seq < this.#turnAt || this.#isTurning) return;
    this.#isTurning = true;
    // Later, when the actor is between two events.
    queueMicrotask(() => this.#turn());
  }

  #turn(): void {
    this.#isTurning = false;
    const { size } = this.#init;
    const calls = this.#init.calls();
    const since = this.#latest === Number.POSITIVE_INFINITY ? this.#latest : this.recorder.seq - this.#latest;
    if (calls > size) {
      this.#turnAt = this.recorder.seq + size;
      this.#before = Number.POSITIVE_INFINITY;
      this.#latest = Number.POSITIVE_INFINITY;
      this.#forget(this.recorder.seq - size);
    } else if (since < calls * entriesPerCall) this.#turnAt = this.recorder.seq + calls * entriesPerCall - since;
    else this.snapshot();
  }

  /** Forgets tapes with nothing but entries before this number. */
  #forget(before: number): void {
    this.#tapes = this.#tapes.filter((tape) => tape.firstSeq + tape.length > before || tape === this.recorder.tape);
  }
}
