import { type JournalEntry, journalVersion } from '../schemas/journal.ts';
import type { ActorState } from '../schemas/live-state.ts';
import type { CallRow } from './call-row.ts';
import type { DispatcherEvent } from './dispatcher-events.ts';
import type { DispatcherJournal, DispatcherLimits, ResiliencePolicy } from './dispatcher-input.ts';
import type { ModelEvent } from './imodel.ts';
import { writeEvent, writeIdentity, writeLimits, writeResilience } from './journal-codec.ts';
import { Tape, type Who } from './tape.ts';

/** What its owner tells an iModel machine. */
export type OwnerEvent = Extract<ModelEvent, { type: `model.${string}` }>;

/** Everything of an actor that a replay begins with. */
export interface RecordedActor {
  readonly modelId: string;
  readonly limits: DispatcherLimits;
  readonly resilience: ResiliencePolicy;
  readonly state: ActorState;
  /** Its live calls, in the order of `state.calls`. */
  readonly rows: readonly CallRow[];
}

/** How a recorder writes. */
export interface RecorderOptions {
  /** Another entry is at the end of {@link Recorder.tape}. Synchronous, must not throw. */
  readonly recorded: () => void;
  /** A tape is full; this one goes on from it. */
  readonly turned: (next: Tape) => void;
  /** What only the runtime knows of a call queued at an instant, prompts included. @defaultValue none is written */
  readonly requestOf?: ((row: CallRow, queuedAt: number) => Record<string, unknown>) | undefined;
}

/** Entries of one tape. */
const tapeLength = 1_024;

/** Writes down what an actor hears, as entries of a journal. */
export class Recorder implements DispatcherJournal {
  readonly #options: RecorderOptions;
  #tape = new Tape(1, tapeLength);
  #seq = 0;
  /** How many calls it has spoken of. */
  #calls = 0;
  /** Who the call of the present event is, where nothing was said of it before. */
  #who: Who | null = null;
  /** How many answers to the present event were no; all of them, while nothing is kept of them. */
  #refused = 0;
  #answers: (number | boolean)[] | null = null;

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  /** The number of the last entry; 0 before the first. */
  get seq(): number {
    return this.#seq;
  }

  /** Where entries are written. */
  get tape(): Tape {
    return this.#tape;
  }

  begin(event: DispatcherEvent, now: number): void {
    this.#who = 'row' in event && event.row.journalNumber === 0 ? this.#introduce(event.row, now) : null;
    this.#answers = null;
    this.#refused = 0;
  }

  answered(answer: number | boolean): void {
    // Most are asked only whether they object, and do not.
    if (answer !== false) this.#answers ??= new Array<false>(this.#refused).fill(false);
    if (this.#answers === null) this.#refused += 1;
    else this.#answers.push(answer);
  }

  end(event: DispatcherEvent, now: number): void {
    if (this.#tape.hear(event, now, this.#who, this.#answers)) this.#recorded();
    else this.#write(event, now);
  }

  /** Its owner tells the machine something. */
  tell({ type }: OwnerEvent, at: number): void {
    this.#add({ seq: this.#seq + 1, at, type });
  }

  /** Something worth keeping that changes nothing. */
  note(row: CallRow | null, kind: string, name: string, text: string, at: number): void {
    const call = row === null || row.journalNumber === 0 ? {} : { call: row.journalNumber };
    this.#add({ seq: this.#seq + 1, at, type: 'note', ...call, kind, name, text });
  }

  /** Says that entries are missing here. A snapshot must follow. */
  dropped(count: number, at: number): void {
    this.#add({ seq: this.#seq + 1, at, type: 'dropped', count });
  }

  /** Where the actor stands, for a replay to begin with. Not to be called while an event is taken. */
  snapshot({ modelId, limits, resilience, state, rows }: RecordedActor, at: number): void {
    this.#add({
      seq: this.#seq + 1,
      at,
      type: 'snapshot',
      journal_version: journalVersion,
      model_id: modelId,
      limits: writeLimits(limits),
      resilience: writeResilience(resilience),
      state,
      ...this.#callsOf(rows),
    });
  }

  #write(event: DispatcherEvent, at: number): void {
    const who = this.#who;
    const entry = writeEvent(event, {
      seq: this.#seq + 1,
      at,
      who: typeof who === 'string' ? { id: who } : who,
      restored: (rows) => this.#callsOf(rows),
    });
    if (this.#answers !== null) entry.answers = [...this.#answers];
    this.#add(entry);
  }

  #add(entry: JournalEntry): void {
    this.#tape.add(entry);
    this.#recorded();
  }

  #recorded(): void {
    this.#seq += 1;
    this.#options.recorded();
    if (!this.#tape.isFull) return;
    this.#tape = new Tape(this.#seq + 1, tapeLength);
    this.#options.turned(this.#tape);
  }

  #introduce(row: CallRow, at: number): Who {
    this.#number(row);
    return writeIdentity(row, this.#options.requestOf?.(row, at));
  }

  #callsOf(rows: readonly CallRow[]): { calls: number[]; requests?: Record<string, unknown>[] } {
    const { requestOf } = this.#options;
    const calls = rows.map((row) => {
      if (row.journalNumber === 0) this.#number(row);
      return row.journalNumber;
    });
    return requestOf === undefined ? { calls } : { calls, requests: rows.map((row) => requestOf(row, row.queuedAt)) };
  }

  #number(row: CallRow): void {
    this.#calls += 1;
    row.journalNumber = this.#calls;
  }
}
