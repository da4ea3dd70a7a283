import type { CallRow, Deadline } from './call-row.ts';
import { DueHeap } from './policy/heap.ts';

/** The deadlines of the calls that have one, and whose comes next. */
export class Deadlines {
  readonly #heap = new DueHeap<Deadline>();

  /** When the next one passes; Infinity when there is none. */
  get nextAt(): number {
    return this.#heap.nextAt;
  }

  /** From now on its call has to begin, and to end. */
  watchBeginning({ deadline }: CallRow): void {
    if (deadline !== null) this.#heap.move(deadline, Math.min(deadline.beginsBy, deadline.endsBy));
  }

  /** From now on its call has to end only. */
  watchEnd({ deadline }: CallRow): void {
    if (deadline === null || deadline.dueAt === deadline.endsBy) return;
    if (deadline.endsBy === Number.POSITIVE_INFINITY) this.#heap.remove(deadline);
    else this.#heap.move(deadline, deadline.endsBy);
  }

  forget({ deadline }: CallRow): void {
    if (deadline !== null) this.#heap.remove(deadline);
  }

  /** Takes out the calls whose time is up, in the order of their coming. */
  take(now: number): CallRow[] {
    const due: CallRow[] = [];
    for (let next = this.#heap.peek(); next !== undefined && next.dueAt <= now; next = this.#heap.peek()) {
      this.#heap.remove(next);
      due.push(next.row);
    }
    // The heap does not say which of several comes first, and a replay must come to the same.
    if (due.length > 1) due.sort((one, other) => one.order - other.order);
    return due;
  }
}
