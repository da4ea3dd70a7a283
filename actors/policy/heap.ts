/** Something with a due time that knows its place in a {@link DueHeap}, so that it can be moved or taken out. */
export interface Due {
  /** Epoch milliseconds. Change it only through {@link DueHeap.move}. */
  dueAt: number;
  /** Index in the heap, -1 while not in one. Belongs to the heap. */
  heapIndex: number;
}

/** A binary heap of due times: the earliest is read in constant time, changes take O(log n). */
export class DueHeap<T extends Due> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** The item that is due first. */
  peek(): T | undefined {
    return this.#items[0];
  }

  /** When the first item is due; Infinity when there is none. */
  get nextAt(): number {
    return this.#items[0]?.dueAt ?? Number.POSITIVE_INFINITY;
  }

  push(item: T): void {
    item.heapIndex = this.#items.length;
    this.#items.push(item);
    this.#up(item);
  }

  /** Takes an item out; one that is not in the heap is left alone. */
  remove(item: T): void {
    const index = item.heapIndex;
    if (index < 0) return;
    const last = this.#items.pop() as T;
    item.heapIndex = -1;
    if (last === item) return;
    last.heapIndex = index;
    this.#items[index] = last;
    this.#up(last);
    this.#down(last);
  }

  /** Gives an item another due time, putting it in if it was not. */
  move(item: T, dueAt: number): void {
    item.dueAt = dueAt;
    if (item.heapIndex < 0) {
      this.push(item);
      return;
    }
    this.#up(item);
    this.#down(item);
  }

  /** All items, in no particular order. */
  [Symbol.iterator](): IterableIterator<T> {
    return this.#items[Symbol.iterator]();
  }

  #up(item: T): void {
    const items = this.#items;
    let index = item.heapIndex;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = items[parentIndex] as T;
      if (parent.dueAt <= item.dueAt) break;
      items[index] = parent;
      parent.heapIndex = index;
      index = parentIndex;
    }
    items[index] = item;
    item.heapIndex = index;
  }

  #down(item: T): void {
    const items = this.#items;
    let index = item.heapIndex;
    for (;;) {
      let childIndex = index * 2 + 1;
      if (childIndex >= items.length) break;
      const right = items[childIndex + 1];
      if (right !== undefined && right.dueAt < (items[childIndex] as T).dueAt) childIndex += 1;
      const child = items[childIndex] as T;
      if (child.dueAt >= item.dueAt) break;
      items[index] = child;
      child.heapIndex = index;
      index = childIndex;
    }
    items[index] = item;
    item.heapIndex = index;
  }
}
