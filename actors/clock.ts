/**
 * The only way time enters an actor. Production passes the system's clock, tests and replay pass a virtual one.
 */
export interface Clock {
  /** Epoch milliseconds; never goes back. */
  now(): number;
  /** Calls back once after `delayMs`. Returns a handle for {@link clearTimeout}. */
  setTimeout(callback: () => void, delayMs: number): unknown;
  /** Forgets a timer; unknown or fired handles are ignored. */
  clearTimeout(handle: unknown): void;
}

/** When the event came that is being taken: while it is, time stands still. */
export interface Moment {
  /** Epoch milliseconds. */
  readonly at: number;
}
