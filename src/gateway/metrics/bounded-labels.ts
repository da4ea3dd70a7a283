/** Who comes after the last one that has a label of their own. */
const others = '_other';

/** Values of a label that come from outside: the first so many are kept, and all others share one, so that no stranger fills the memory. */
export class BoundedLabels {
  readonly #limit: number;
  readonly #known = new Set<string>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The label for a value. */
  of(value: string): string {
    if (this.#known.has(value)) return value;
    if (this.#known.size >= this.#limit) return others;
    this.#known.add(value);
    return value;
  }
}
