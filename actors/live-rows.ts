import type { CallRow } from './call-row.ts';

/**
 * The calls that have not ended, oldest first. A linked list through the rows themselves: an index by id would cost more than all
 * other work of the dispatcher together.
 */
export class LiveRows {
  #oldest: CallRow | null = null;
  #newest: CallRow | null = null;
  #size = 0;
  #added = 0;

  get size(): number {
    return this.#size;
  }

  add(row: CallRow): void {
    row.order = this.#added;
    this.#added += 1;
    row.older = this.#newest;
    if (this.#newest === null) this.#oldest = row;
    else this.#newest.newer = row;
    this.#newest = row;
    this.#size += 1;
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
  }

  *[Symbol.iterator](): Generator<CallRow, void, undefined> {
    for (let row = this.#oldest; row !== null; row = row.newer) yield row;
  }
}
