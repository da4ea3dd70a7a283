/** What began, or was used, in one part of a window. */
export interface UsedPart {
  /** Epoch milliseconds; what it holds is taken to have happened just before. */
  readonly endsAt: number;
  requests: number;
  tokens: number;
}

/** How many parts of a window are told apart: a request counts so much of a window too long at most. */
const partsOfWindow = 16;

/**
 * Counts what is used while nothing is limited, roughly and at next to no cost, so that a limit that is set later holds for the window that
 * has begun before it.
 */
export class RecentUse {
  /** Oldest first. */
  #parts: UsedPart[] = [];

  /** Adds what has been used now. */
  count(requests: number, tokens: number, now: number, lengthMs: number): void {
    let part = this.#parts.at(-1);
    if (part === undefined || now >= part.endsAt) part = this.#begin(now, lengthMs);
    part.requests += requests;
    part.tokens += tokens;
  }

  /** Hands over what is still of the window that ends now, and forgets it. */
  take(now: number, lengthMs: number): UsedPart[] {
    const parts = this.#parts.filter(({ endsAt }) => endsAt + lengthMs > now);
    this.#parts = [];
    return parts;
  }

  forget(): void {
    this.#parts = [];
  }

  write(): [number, number, number][] {
    return this.#parts.map(({ endsAt, requests, tokens }) => [endsAt, requests, tokens]);
  }

  /** Goes on where {@link write} was called. No part ends later than one that begins now: clocks may have been set. */
  restore(written: readonly (readonly [number, number, number])[], now: number, lengthMs: number): void {
    const latest = now + lengthMs / partsOfWindow;
    this.#parts = written.map(([endsAt, requests, tokens]) => ({ endsAt: Math.min(endsAt, latest), requests, tokens }));
  }

  #begin(now: number, lengthMs: number): UsedPart {
    const part = { endsAt: now + lengthMs / partsOfWindow, requests: 0, tokens: 0 };
    this.#parts.push(part);
    if (this.#parts.length > partsOfWindow + 1) this.#parts.shift();
    return part;
  }
}
