/** Values by model name; see {@link lookUpModel} for how names are matched. */
export type ModelTable<T> = Readonly<Record<string, T>>;

/**
 * Finds a model's entry: the longest key that stands in its name, beginning at the start or after a separator and ending at the end or before
 * one. So `gpt-4` is in `openai/gpt-4-0613` but not in `gpt-4o`, and `o1` is not in `pro1`. Letter case counts
 * for nothing.
 *
 * @returns Undefined when no key matches.
 */
export function lookUpModel<T>(table: ModelTable<T>, model: string): T | undefined {
  const name = model.toLowerCase();
  let best: string | undefined;
  for (const key of Object.keys(table)) {
    if ((best === undefined || key.length > best.length) && stands(name, key.toLowerCase())) best = key;
  }
  return best === undefined ? undefined : table[best];
}

function stands(name: string, key: string): boolean {
  for (let at = name.indexOf(key); at !== -1; at = name.indexOf(key, at + 1)) {
    const before = name[at - 1];
    const after = name[at + key.length];
    if ((before === undefined || /[-/_:@ ]/.test(before)) && (after === undefined || /[-/_:@ ]/.test(after)))
      return true;
  }
  return false;
}
