import type { Failure } from '../schemas/failure.ts';
import type { CallIdentity, JournalEntry } from '../schemas/journal.ts';
import type { CallRow } from './call-row.ts';
import type { DispatcherEvent } from './dispatcher-events.ts';

/** Who a call is: only the id where there is nothing else to say. */
export type Who = CallIdentity | string;

/** What an event was answered; see `answers` of an entry. */
export type AnswersHeard = readonly (number | boolean)[];

/** The events that come with every call. */
const kinds = ['call.submit', 'call.sent', 'call.answer', 'call.settle', 'call.hook', 'clock.tick'] as const;
const kind = Object.fromEntries(kinds.map((name, index) => [name, index])) as Record<(typeof kinds)[number], number>;
/** Stands for all other entries, which are kept as the objects they are. */
const whole = kinds.length;

/**
 * A piece of a journal as it is recorded: columns instead of objects. An entry then leaves nothing behind that the collector of garbage would
 * have to carry from place to place; it becomes an object when somebody reads it.
 */
export class Tape {
  /** Number of its first entry. */
  readonly firstSeq: number;
  readonly #kinds: Uint8Array;
  readonly #ats: Float64Array;
  readonly #calls: Uint32Array;
  /** NaN stands for null. */
  readonly #tokens: Float64Array;
  readonly #flags: Uint8Array;
  /** Who, a failure, or a whole entry. */
  readonly #values: unknown[];
  /** By index; null while all have said no. */
  #answers: (AnswersHeard | undefined)[] | null = null;
  #length = 0;

  constructor(firstSeq: number, capacity: number) {
    this.firstSeq = firstSeq;
    const bytes = new ArrayBuffer(capacity * 22);
    this.#ats = new Float64Array(bytes, 0, capacity);
    this.#tokens = new Float64Array(bytes, capacity * 8, capacity);
    this.#calls = new Uint32Array(bytes, capacity * 16, capacity);
    this.#kinds = new Uint8Array(bytes, capacity * 20, capacity);
    this.#flags = new Uint8Array(bytes, capacity * 21, capacity);
    this.#values = new Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  get isFull(): boolean {
    return this.#length === this.#kinds.length;
  }

  /**
   * Adds an event of one of {@link kinds}.
   *
   * @param at - Epoch milliseconds.
   * @param who - Who its call is, where the journal speaks of it for the first time.
   * @param answers - Null where all said no.
   * @returns False for any other, which is to be added as a whole.
   */
  hear(event: DispatcherEvent, at: number, who: Who | null, answers: AnswersHeard | null): boolean {
    const index = this.#length;
    // Whoever is met late is told of with the entry as a whole.
    if (who !== null && event.type !== 'call.submit') return false;
    switch (event.type) {
      case 'call.submit':
        this.#values[index] = who;
        return this.#begin(kind['call.submit'], event.row, at, answers);
      case 'call.sent':
        return this.#begin(kind['call.sent'], event.row, at, answers);
      case 'call.answer':
        return this.#begin(kind['call.answer'], event.row, at, answers);
      case 'call.settle':
        this.#values[index] = event.failure;
        this.#tokens[index] = event.tokens ?? Number.NaN;
        this.#flags[index] = (event.isDelivered === true ? 1 : 0) | (event.isUnasked === true ? 2 : 0);
        return this.#begin(kind['call.settle'], event.row, at, answers);
      case 'call.hook':
        this.#flags[index] = event.isRunning ? 1 : 0;
        return this.#begin(kind['call.hook'], event.row, at, answers);
      case 'clock.tick':
        return this.#begin(kind['clock.tick'], null, at, answers);
      default:
        return false;
    }
  }

  /** Adds an entry, which must have the next number and is not to be changed any more. */
  add(entry: JournalEntry): void {
    this.#values[this.#length] = entry;
    this.#kinds[this.#length] = whole;
    this.#length += 1;
  }

  /** The entry at an index from 0 to below `length`. */
  entry(index: number): JournalEntry {
    const name = kinds[this.#kinds[index] ?? whole];
    if (name === undefined) return this.#values[index] as JournalEntry;
    const common = { seq: this.firstSeq + index, at: this.#ats[index] as number };
    const answers = this.#answers?.[index] ?? null;
    const told = answers === null ? {} : { answers: [...answers] };
    if (name === 'clock.tick') return { ...common, type: name, ...told };
    const call = this.#calls[index] as number;
    const flags = this.#flags[index] as number;
    const flag = (flags & 1) === 1;
    switch (name) {
      case 'call.submit': {
        const who = this.#values[index] as Who | null;
        if (who === null) return { ...common, type: name, call, ...told };
        return { ...common, type: name, call, who: typeof who === 'string' ? { id: who } : who, ...told };
      }
      case 'call.settle': {
        const tokens = this.#tokens[index] as number;
        return {
          ...common,
          type: name,
          call,
          failure: this.#values[index] as Failure | null,
          tokens: Number.isNaN(tokens) ? null : tokens,
          ...(flag ? { is_delivered: true as const } : {}),
          ...((flags & 2) === 2 ? { is_unasked: true as const } : {}),
          ...told,
        };
      }
      case 'call.hook':
        return { ...common, type: name, call, is_running: flag, ...told };
      default:
        return { ...common, type: name, call, ...told };
    }
  }

  #begin(kindNumber: number, row: CallRow | null, at: number, answers: AnswersHeard | null): true {
    const index = this.#length;
    if (row !== null) this.#calls[index] = row.journalNumber;
    this.#kinds[index] = kindNumber;
    this.#ats[index] = at;
    if (answers !== null) {
      this.#answers ??= [];
      this.#answers[index] = answers;
    }
    this.#length = index + 1;
    return true;
  }
}
