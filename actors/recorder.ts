import { type JournalEntry, journalVersion } from '../schemas/journal.ts';
import type { ActorState } from '../schemas/live-state.ts';
import type { CallRow } from './call-row.ts';
import type { DispatcherEvent } from './dispatcher-events.ts';
import type { DispatcherJournal, DispatcherLimits, ResiliencePolicy } from './dispatcher-input.ts';
import type { ModelEvent } from './imodel.ts';
import {
  type CallNumbers,
  type WrittenEvent,
  writeEvent,
  writeIdentity,
  writeLimits,
  writeResilience,
} from './journal-codec.ts';

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
  /** Takes each entry, in order. Synchronous, must not throw. */
  readonly record: (entry: JournalEntry) => void;
  /** What only the runtime knows of a call, prompts included. @defaultValue none is written */
  readonly requestOf?: ((row: CallRow, now: number) => Record<string, unknown>) | undefined;
}

/** Writes down what an actor hears, as entries of a journal. */
export class Recorder implements DispatcherJournal, CallNumbers {
  readonly #options: RecorderOptions;
  #seq = 0;
  #calls = 0;
  #event: WrittenEvent = { type: 'clock.tick' };
  #at = 0;
  readonly #answers: (number | boolean)[] = [];
  #isTold = false;

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  /** The number of the last entry; 0 before the first. */
  get seq(): number {
    return this.#seq;
  }

  begin(event: DispatcherEvent, now: number): void {
    this.#at = now;
    this.#event = writeEvent(event, this);
    this.#answers.length = 0;
    this.#isTold = false;
  }

  answered(answer: number | boolean): void {
    this.#answers.push(answer);
    // Most are asked only whether they object, and do not.
    if (answer !== false) this.#isTold = true;
  }

  end(): void {
    this.#seq += 1;
    const entry: JournalEntry = { seq: this.#seq, at: this.#at, ...this.#event };
    if (this.#isTold) Object.assign(entry, { answers: [...this.#answers] });
    this.#options.record(entry);
  }

  /** Its owner tells the machine something. */
  tell({ type }: OwnerEvent, at: number): void {
    this.#seq += 1;
    this.#options.record({ seq: this.#seq, at, type });
  }

  /** Something worth keeping that changes nothing. */
  note(row: CallRow | null, kind: string, name: string, text: string, at: number): void {
    this.#seq += 1;
    const call = row === null || row.journalNumber === 0 ? {} : { call: row.journalNumber };
    this.#options.record({ seq: this.#seq, at, type: 'note', ...call, kind, name, text });
  }

  /** Says that entries are missing here. A snapshot must follow. */
  dropped(count: number, at: number): void {
    this.#seq += 1;
    this.#options.record({ seq: this.#seq, at, type: 'dropped', count });
  }

  /** Where the actor stands, for a replay to begin with. Not to be called while an event is taken. */
  snapshot({ modelId, limits, resilience, state, rows }: RecordedActor, at: number): void {
    this.#seq += 1;
    this.#options.record({
      seq: this.#seq,
      at,
      type: 'snapshot',
      journal_version: journalVersion,
      model_id: modelId,
      limits: writeLimits(limits),
      resilience: writeResilience(resilience),
      state,
      calls: rows.map((row) => this.#numberOf(row)),
      ...this.requests(rows),
    });
  }

  of(row: CallRow): ReturnType<CallNumbers['of']> {
    if (row.journalNumber > 0) return { call: row.journalNumber };
    const call = this.#numberOf(row);
    return { call, who: writeIdentity(row, this.#options.requestOf?.(row, this.#at)) };
  }

  requests(rows: readonly CallRow[]): ReturnType<CallNumbers['requests']> {
    const { requestOf } = this.#options;
    return requestOf === undefined ? {} : { requests: rows.map((row) => requestOf(row, row.queuedAt)) };
  }

  #numberOf(row: CallRow): number {
    if (row.journalNumber === 0) {
      this.#calls += 1;
      row.journalNumber = this.#calls;
    }
    return row.journalNumber;
  }
}
