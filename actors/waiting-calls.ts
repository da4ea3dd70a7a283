import type { LaneState } from '../schemas/live-state.ts';
import { callState, stepCall } from './call.ts';
import type { CallRow } from './call-row.ts';
import { FairQueue } from './policy/queue.ts';

/** How a {@link WaitingCalls} is written. */
export interface WrittenWaiting {
  readonly queue: LaneState[];
  readonly outside: LaneState[];
}

/** The calls that have not begun: those in the queue, and those that found it full and wait outside for a place, in the order of their coming. */
export class WaitingCalls {
  readonly #queue = new FairQueue<CallRow>();
  readonly #outside = new FairQueue<CallRow>();

  /** Calls with a place in the queue. */
  get size(): number {
    return this.#queue.size;
  }

  /** Calls that wait for a place. */
  get outside(): number {
    return this.#outside.size;
  }

  /** Takes in a call; there is a place for it. */
  enqueue(row: CallRow): void {
    row.state = stepCall(row.state, 'call.enqueue');
    this.#queue.push(row);
  }

  /** Lets a call wait for a place. */
  hold(row: CallRow): void {
    row.state = stepCall(row.state, 'call.hold');
    this.#outside.push(row);
  }

  /** Lets in from outside as many as there are places for. */
  admit(capacity: number): void {
    while (this.#outside.size > 0 && this.#queue.size < capacity) this.enqueue(this.#outside.shift() as CallRow);
  }

  /** Whose turn is next; null when the queue is empty. */
  peek(): CallRow | null {
    return this.#queue.peek();
  }

  /** Takes the call that {@link peek} shows. */
  shift(): CallRow | null {
    return this.#queue.shift();
  }

  /** Takes out a call wherever it waits. */
  remove(row: CallRow): void {
    if (row.state === callState.outside) this.#outside.remove(row);
    else this.#queue.remove(row);
  }

  /** Takes out all, those outside first. */
  *clear(): Generator<CallRow, void, undefined> {
    for (const queue of [this.#outside, this.#queue]) {
      for (let row = queue.shift(); row !== null; row = queue.shift()) yield row;
    }
  }

  /** All, those in the queue first; not the order of service. */
  *[Symbol.iterator](): Generator<CallRow, void, undefined> {
    yield* this.#queue;
    yield* this.#outside;
  }

  /** So many of each caller at most, the first to come; among them are the first of all. */
  *first(perCaller: number): Generator<CallRow, void, undefined> {
    yield* this.#queue.first(perCaller);
    yield* this.#outside.first(perCaller);
  }

  write(): WrittenWaiting {
    return { queue: this.#queue.write(), outside: this.#outside.write() };
  }

  /** Goes on where {@link write} was called. To be called while it is empty. @param rows - Each caller's in the order of their coming. */
  restore({ queue, outside }: WrittenWaiting, rows: readonly CallRow[]): void {
    const queued: CallRow[] = [];
    const held: CallRow[] = [];
    rows.forEach((row) => {
      (row.state === callState.outside ? held : queued).push(row);
    });
    this.#outside.restore(outside, held);
    this.#queue.restore(queue, queued);
  }
}
