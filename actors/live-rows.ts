import type { CallRow, CallRun } from './call-row.ts';

/**
 * The calls that have not ended, oldest first. A linked list through the rows themselves: an index by id would cost more than all
 * other work of the dispatcher together.
 */
export class LiveRows {
  #oldest: CallRow | null = null;
  #newest: CallRow | null = null;
  #size = 0;
  #running = 0;
  #added = 0;

  get size(): number {
    return this.#size;
  }

  /** How many of them have begun. */
  get running(): number {
    return this.#running;
  }

  add(row: CallRow): void {
    row.order = this.#added;
    this.#added += 1;
    row.older = this.#newest;
    if (this.#newest === null) this.#oldest = row;
    else this.#newest.newer = row;
    this.#newest = row;
    this.#size += 1;
    if (row.run !== null) this.#running += 1;
  }

  /** One of them begins. */
  begin(row: CallRow, run: CallRun): void {
    row.run = run;
    this.#running += 1;
  }

  /** Takes out a row; one that was never added is left alone. */
  remove(row: CallRow): void {
    if (row.older === null && this.#oldest !== row) return;
    if (row.older === null) this.#oldest = row.newer;
    else row.older.newer = row.newer;
    if (row.newer === null) this.#newest = row.older;
    else row.newer.older = row.older;
    row.older = null;
    row.newer = null;
    this.#size -= 1;
    if (row.run !== null) this.#running -= 1;
  }

  /** One that is taken out while it is looked at is the last. */
  [Symbol.iterator](): Iterator<CallRow, void, undefined> {
    let row: CallRow | null = null;
    const first = this.#oldest;
    let isFirst = true;
    // The same for every step: a walk over a hundred thousand calls leaves nothing behind.
    const step: { done: boolean; value: CallRow | undefined } = { done: false, value: undefined };
    return {
      next: () => {
        row = isFirst ? first : (row?.newer ?? null);
        isFirst = false;
        step.done = row === null;
        step.value = row ?? undefined;
        return step as IteratorResult<CallRow, void>;
      },
    };
  }
}
