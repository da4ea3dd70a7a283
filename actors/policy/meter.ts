import type { WindowState } from '../../schemas/live-state.ts';
import { type Grant, RollingWindow } from './window.ts';

/** What is used of one limit. */
export interface LimitView {
  readonly limit: number | null;
  readonly used: number;
  /** When the next part comes free; null while none is sure to. */
  readonly resetsAt: number | null;
}

/** @param nextExpiryAt - Infinity while no part is sure to come free. */
export function limitView(limit: number | null, used: number, nextExpiryAt: number): LimitView {
  return { limit, used, resetsAt: nextExpiryAt === Number.POSITIVE_INFINITY ? null : nextExpiryAt };
}

/** What ends within this share of a window expires together, so that a day's calls take no more memory than a minute's. */
const grain = 1 / 1_000;

/** A window's state in which what expires within one {@link grain} of its length stands together. */
export function inGrains(state: WindowState, lengthMs: number): WindowState {
  const grainMs = lengthMs * grain;
  const used = new Map<number, WindowState['used'][number]>();
  for (const [expiresAt, tokens, requests = 1] of state.used) {
    const at = Math.ceil(expiresAt / grainMs) * grainMs;
    const [, tokensBefore, requestsBefore = 0] = used.get(at) ?? [at, 0, 0];
    used.set(at, [at, tokensBefore + tokens, requestsBefore + requests]);
  }
  return { ...state, used: [...used.values()] };
}

/**
 * A rolling limit on amounts that are only known once a call has ended: held by an estimate while it runs, counted as reported for one window
 * from its end on.
 */
export class Meter {
  readonly #window: RollingWindow;
  /** Reserved by calls that run. */
  #held = 0;
  /** What has ended last. */
  #latest: Grant | null = null;

  constructor(limit: number | null, lengthMs: number) {
    this.#window = new RollingWindow(amountsOf(limit, lengthMs));
  }

  /** When the next part comes free; Infinity while none is sure to. */
  get nextExpiryAt(): number {
    return this.#window.nextExpiryAt;
  }

  /** Takes on another limit, for what is used already too. */
  limitTo(limit: number | null, lengthMs: number, now: number): void {
    this.#window.change(amountsOf(limit, lengthMs), now);
  }

  view(now: number): LimitView {
    this.#window.expire(now);
    const { limits, usedTokens, nextExpiryAt } = this.#window;
    return limitView(limits.tokens, usedTokens, nextExpiryAt);
  }

  /** Whether an amount has room now. Something must be left even for what is expected to use nothing. */
  fits(amount: number, now: number): boolean {
    return this.#window.fits(this.#least(amount), now);
  }

  /** Reserves an estimate. @returns What {@link settle} takes back; null where there is no limit. */
  hold(amount: number, now: number): Grant | null {
    const grant = this.#window.take(amount, now);
    if (grant !== null) this.#held += amount;
    return grant;
  }

  /** Counts what was really used instead of an estimate, for one window from now on. */
  settle(grant: Grant | null, amount: number, now: number): void {
    if (grant === null) return;
    this.#held -= grant.tokens;
    this.#window.release(grant);
    const grainMs = this.#window.limits.lengthMs * grain;
    const endsAt = Math.ceil(now / grainMs) * grainMs;
    this.#window.expire(now);
    if (this.#latest?.sentAt === endsAt && this.#latest.heapIndex >= 0) {
      this.#window.settle(this.#latest, this.#latest.tokens + amount);
      return;
    }
    this.#latest = this.#window.take(amount, now);
    if (this.#latest !== null) this.#window.sent(this.#latest, endsAt);
  }

  /** The soonest an amount could have room: what is held may come free at any time, what is counted only when it expires. */
  soonestAt(amount: number, now: number): number {
    const { limits, usedTokens, nextExpiryAt } = this.#window;
    if (limits.tokens === null || this.fits(amount, now)) return now;
    return usedTokens - this.#held + this.#least(amount) > limits.tokens ? nextExpiryAt : now;
  }

  /** As plain data; what is held counts as if it had been used now. */
  write(now: number): WindowState {
    this.#window.expire(now);
    const state = this.#window.write(new Set());
    return this.#held === 0
      ? state
      : { ...state, used: [...state.used, [now + this.#window.limits.lengthMs, this.#held]] };
  }

  /** Goes on where {@link write} was called. To be called before anything is held. */
  restore(state: WindowState, now: number): void {
    this.#window.restore(state, [], now);
  }

  #least(amount: number): number {
    return Math.max(1, Math.min(amount, this.#window.limits.tokens ?? amount));
  }
}

function amountsOf(tokens: number | null, lengthMs: number) {
  return { requests: null, tokens, lengthMs, marginMs: 0 };
}
