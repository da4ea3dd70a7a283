import type { CallRow, CallRun } from './call-row.ts';
import type { WaitingCalls } from './waiting-calls.ts';

/**
 * The calls that have not ended: those that wait, and those that have begun. The latter are a linked list through their runs; those that wait
 * are in one already, and two would be twice the work for the collector of garbage. An index by id would cost more than all other work of the
 * dispatcher together.
 */
export class LiveRows {
  readonly #waiting: WaitingCalls;
  #first: CallRow | null = null;
  #last: CallRow | null = null;
  #running = 0;
  #added = 0;

  constructor(waiting: WaitingCalls) {
    this.#waiting = waiting;
  }

  get size(): number {
    return this.#waiting.size + this.#waiting.outside + this.#running;
  }

  /** How many of them have begun. */
  get running(): number {
    return this.#running;
  }

  /** Gives a call its place among all. One that has begun elsewhere goes on. */
  add(row: CallRow): void {
    row.order = this.#added;
    this.#added += 1;
    if (row.run !== null) this.begin(row, row.run);
  }

  /** One of them begins; it no longer waits. */
  begin(row: CallRow, run: CallRun): void {
    row.run = run;
    run.before = this.#last;
    if (this.#last?.run) this.#last.run.after = row;
    else this.#first = row;
    this.#last = row;
    this.#running += 1;
  }

  /** Takes out a call that ends; one that waits has left its queue, and one that was never added is left alone. */
  remove({ run }: CallRow): void {
    if (run === null) return;
    if (run.before?.run) run.before.run.after = run.after;
    else this.#first = run.after;
    if (run.after?.run) run.after.run.before = run.before;
    else this.#last = run.before;
    run.before = null;
    run.after = null;
    this.#running -= 1;
  }

  /** All, in no order that would mean anything. */
  *[Symbol.iterator](): Generator<CallRow, void, undefined> {
    yield* this.#begun();
    yield* this.#waiting;
  }

  /** All, oldest first. */
  all(): CallRow[] {
    return [...this].sort(byOrder);
  }

  /** The oldest that have begun and the oldest that wait, so many of each at most: a queue of 100,000 is not walked to its end. */
  oldest(most: number): { readonly begun: CallRow[]; readonly waiting: CallRow[] } {
    return {
      begun: [...this.#begun()].sort(byOrder).slice(0, most),
      waiting: [...this.#waiting.first(most)].sort(byOrder).slice(0, most),
    };
  }

  *#begun(): Generator<CallRow, void, undefined> {
    for (let row = this.#first; row !== null; row = row.run?.after ?? null) yield row;
  }
}

function byOrder(one: CallRow, other: CallRow): number {
  return one.order - other.order;
}
