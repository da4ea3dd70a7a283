import type { LaneState } from '../schemas/live-state.ts';
import type { CallRow, CallRun, RetryWait } from './call-row.ts';
import { DueHeap } from './policy/heap.ts';
import { FairQueue } from './policy/queue.ts';

/** Calls between two attempts. They keep their slot, and go before all that wait in the queue. */
export class BackingOff {
  readonly #delayed = new DueHeap<RetryWait>();
  /** Those whose delay has passed. */
  readonly #due = new FairQueue<CallRow>();

  get size(): number {
    return this.#delayed.size + this.#due.size;
  }

  /** Whether one could go at once. */
  get isAnyDue(): boolean {
    return this.#due.size > 0;
  }

  /** When the next delay has passed; Infinity when there is none. */
  get nextAt(): number {
    return this.#delayed.nextAt;
  }

  /** Lets a call wait until then. */
  add(row: CallRow, run: CallRun, dueAt: number): void {
    run.retry = { row, isDue: false, dueAt, heapIndex: -1 };
    this.#delayed.push(run.retry);
  }

  /** Takes out a call, for its next attempt or for its end. */
  remove(row: CallRow, run: CallRun): void {
    if (run.retry === null) return;
    if (run.retry.isDue) this.#due.remove(row);
    else this.#delayed.remove(run.retry);
    run.retry = null;
  }

  /** Whose turn is next; null when no delay has passed. */
  peek(): CallRow | null {
    return this.#due.peek();
  }

  /** Takes the call that {@link peek} shows. */
  shift(): CallRow | null {
    const row = this.#due.shift();
    if (row?.run) row.run.retry = null;
    return row;
  }

  /** Notices whose delay has passed. */
  wake(now: number): void {
    for (let wait = this.#delayed.peek(); wait !== undefined && wait.dueAt <= now; wait = this.#delayed.peek()) {
      this.#delayed.remove(wait);
      wait.isDue = true;
      this.#due.push(wait.row);
    }
  }

  /** Those whose delay has passed, as the queue writes itself. */
  write(): LaneState[] {
    return this.#due.write();
  }

  /** For each whose delay has passed, how many are listed before it. */
  orders(): ReadonlyMap<CallRow, number> {
    const orders = new Map<CallRow, number>();
    for (const row of this.#due) orders.set(row, orders.size);
    return orders;
  }

  /**
   * Goes on where {@link write} was called. To be called while it is empty.
   *
   * @param waits - In the order in which they were written.
   */
  restore(lanes: readonly LaneState[], waits: readonly RetryWait[]): void {
    // In the order of the heap it was, so that equal ones keep theirs.
    for (const wait of waits) if (!wait.isDue) this.#delayed.push(wait);
    this.#due.restore(
      lanes,
      waits.filter(({ isDue }) => isDue).map(({ row }) => row),
    );
  }
}
