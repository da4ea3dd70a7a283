/** A point in time that many share. */
export interface Instant {
  /** Epoch milliseconds, in eighths. */
  readonly at: number;
}

let latest: Instant = { at: -1 };

/**
 * An instant for something that is kept for long: a number of this size is an object of its own for the engine, which its collector has to copy
 * with whatever holds it. So what happens within an eighth of a millisecond happens at once, and has one object together.
 *
 * @param at - Epoch milliseconds; rounded down.
 */
export function instantOf(at: number): Instant {
  const eighths = Math.floor(at * 8) / 8;
  if (latest.at !== eighths) latest = { at: eighths };
  return latest;
}
