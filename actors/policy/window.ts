import { type Due, DueHeap } from './heap.ts';

/** The limits of one rolling window. */
export interface WindowLimits {
  /** Starts per window; null is no limit. */
  readonly requests: number | null;
  /** Tokens per window; null is no limit. */
  readonly tokens: number | null;
  /** Length of the window in milliseconds. */
  readonly lengthMs: number;
  /** Added to the length, for a request may reach the upstream's count later than it was written. In milliseconds. */
  readonly marginMs: number;
}

/** Units that one attempt holds. Held from dispatch; its window starts when the request was written. */
export interface Grant extends Due {
  tokens: number;
}

/**
 * A reply that begins within this time tells exactly by when the upstream has counted the request; a later one says nothing,
 * since a model may think for seconds. In milliseconds.
 */
const promptReplyMs = 40;

/** What is left of the margin once that time is known: the two clocks may run at different speeds. */
const driftShare = 0.2;

/**
 * A rolling window over starts and tokens: no interval of its length, wherever it starts, holds more than the limits.
 *
 * What counts is the upstream's clock. A request is counted there somewhere between being written and being answered, so its unit
 * expires one window after the latest moment it can have been counted: the beginning of the answer where that comes
 * promptly, else the write plus a margin.
 */
export class RollingWindow {
  #limits: WindowLimits;
  #requests = 0;
  #tokens = 0;
  /** Grants whose window runs, by the time it ends. Held grants are counted but not in here. */
  readonly #expiring = new DueHeap<Grant>();

  constructor(limits: WindowLimits) {
    this.#limits = limits;
  }

  get limits(): WindowLimits {
    return this.#limits;
  }

  /** Changes the limits from now on; grants that run keep the expiry they have. */
  set limits(limits: WindowLimits) {
    this.#limits = limits;
  }

  /** Requests counted now, those not yet written included. */
  get usedRequests(): number {
    return this.#requests;
  }

  /** Tokens counted now. */
  get usedTokens(): number {
    return this.#tokens;
  }

  /** When the next unit comes free; Infinity when none runs. */
  get nextExpiryAt(): number {
    return this.#expiring.nextAt;
  }

  /** Whether one request of so many tokens fits now. */
  fits(tokens: number, now: number): boolean {
    this.expire(now);
    const { requests: maxRequests, tokens: maxTokens } = this.#limits;
    return (
      (maxRequests === null || this.#requests < maxRequests) &&
      (maxTokens === null || tokens === 0 || this.#tokens + tokens <= maxTokens)
    );
  }

  /** Takes one request and its tokens, both at once. The caller has asked {@link fits}. Null where nothing is limited, and so nothing counted. */
  take(tokens: number): Grant | null {
    if (this.#limits.requests === null && this.#limits.tokens === null) return null;
    this.#requests += 1;
    this.#tokens += tokens;
    return { tokens, dueAt: Number.POSITIVE_INFINITY, heapIndex: -1 };
  }

  /** The request was written: its window runs from here. A second call changes nothing. */
  sent(grant: Grant, at: number): void {
    if (grant.dueAt !== Number.POSITIVE_INFINITY) return;
    this.#expiring.move(grant, at + this.#limits.lengthMs + this.#limits.marginMs);
  }

  /** The answer began: if it came promptly, this is the latest moment at which the request was counted. */
  answered(grant: Grant, at: number): void {
    const { lengthMs, marginMs } = this.#limits;
    if (grant.heapIndex < 0 || marginMs === 0) return;
    const sentAt = grant.dueAt - lengthMs - marginMs;
    if (at - sentAt <= promptReplyMs) this.#expiring.move(grant, at + lengthMs + marginMs * driftShare);
  }

  /** Replaces the reserved tokens by what was really used, as long as the grant counts. */
  settle(grant: Grant, tokens: number): void {
    if (grant.heapIndex < 0) return;
    this.#tokens += tokens - grant.tokens;
    grant.tokens = tokens;
  }

  /** Lets go of what has expired by `now`. */
  expire(now: number): void {
    for (let grant = this.#expiring.peek(); grant !== undefined && grant.dueAt <= now; grant = this.#expiring.peek()) {
      this.#expiring.remove(grant);
      this.#requests -= 1;
      this.#tokens -= grant.tokens;
    }
  }

  /** Forgets what has been written so far; requests on their way to the upstream still count. */
  reset(): void {
    this.expire(Number.POSITIVE_INFINITY);
  }

  /** What runs now, for snapshots: when each grant expires and its tokens. */
  log(): { readonly expiresAt: number; readonly tokens: number }[] {
    return [...this.#expiring]
      .map(({ dueAt, tokens }) => ({ expiresAt: dueAt, tokens }))
      .sort((a, b) => a.expiresAt - b.expiresAt);
  }
}
