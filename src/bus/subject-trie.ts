/** How many subjects a trie remembers the result of; chunk subjects repeat many times and then never again. */
const maxRemembered = 1_024;

interface Node<T> {
  readonly children: Map<string, Node<T>>;
  /** Values of patterns that end here. */
  readonly ends: Set<T>;
  /** Values of patterns that go on with `>` here. */
  readonly rests: Set<T>;
}

const node = <T>(): Node<T> => ({ children: new Map(), ends: new Set(), rests: new Set() });

/**
 * Finds all values whose pattern matches a subject. The work grows with the tokens of the subject, not with the number of patterns.
 *
 * Patterns and subjects are taken as checked (see `checkPattern`, `checkSubject`).
 */
export class SubjectTrie<T> {
  readonly #root: Node<T> = node();
  readonly #remembered = new Map<string, readonly T[]>();

  add(pattern: string, value: T): void {
    this.#remembered.clear();
    let at = this.#root;
    for (const token of pattern.split('.')) {
      if (token === '>') {
        at.rests.add(value);
        return;
      }
      let next = at.children.get(token);
      if (next === undefined) {
        next = node();
        at.children.set(token, next);
      }
      at = next;
    }
    at.ends.add(value);
  }

  /** Forgets a value; unknown ones are ignored. Branches left empty are cut off. */
  delete(pattern: string, value: T): void {
    this.#remembered.clear();
    prune(this.#root, pattern.split('.'), 0, value);
  }

  /** The values of all matching patterns. The array is shared: do not change it. */
  match(subject: string): readonly T[] {
    const known = this.#remembered.get(subject);
    if (known !== undefined) return known;
    const found: T[] = [];
    collect(this.#root, subject.split('.'), 0, found);
    if (this.#remembered.size >= maxRemembered) this.#remembered.clear();
    this.#remembered.set(subject, found);
    return found;
  }
}

function collect<T>(at: Node<T>, tokens: readonly string[], index: number, found: T[]): void {
  const token = tokens[index];
  if (token === undefined) {
    found.push(...at.ends);
    return;
  }
  found.push(...at.rests);
  const exact = at.children.get(token);
  if (exact !== undefined) collect(exact, tokens, index + 1, found);
  const any = at.children.get('*');
  if (any !== undefined) collect(any, tokens, index + 1, found);
}

/** Removes the value below `at`; true when `at` holds nothing any more. */
function prune<T>(at: Node<T>, tokens: readonly string[], index: number, value: T): boolean {
  const token = tokens[index];
  if (token === undefined) at.ends.delete(value);
  else if (token === '>') at.rests.delete(value);
  else {
    const next = at.children.get(token);
    if (next !== undefined && prune(next, tokens, index + 1, value)) at.children.delete(token);
  }
  return at.children.size === 0 && at.ends.size === 0 && at.rests.size === 0;
}
