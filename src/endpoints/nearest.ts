/**
 * The candidate that was probably meant.
 *
 * @returns Null when none is close: more than a third of the letters would have to change, and neither contains the other.
 */
export function nearest(word: string, candidates: readonly string[]): string | null {
  const wanted = plain(word);
  let best: string | null = null;
  let bestDistance = Number.POSITIVE_INFINITY;
  let bestEdits = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const name = plain(candidate);
    const contained = wanted.length > 2 && (name.includes(wanted) || wanted.includes(name));
    const edits = editDistance(wanted, name);
    if (!contained && edits > Math.max(1, Math.floor(name.length / 3))) continue;
    const distance = contained ? Math.min(1, edits) : edits;
    if (distance > bestDistance || (distance === bestDistance && edits >= bestEdits)) continue;
    best = candidate;
    bestDistance = distance;
    bestEdits = edits;
  }
  return best;
}

function plain(word: string): string {
  return word.toLowerCase().replace(/[^a-z0-9]/g, '');
}

/** Levenshtein's distance, one row at a time. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
