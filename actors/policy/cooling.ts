import type { CoolingState } from '../../schemas/live-state.ts';
import { longestWaitMs } from './retry.ts';

/** One counter of a vendor's limit, as its headers report it. */
export interface VendorCounter {
  readonly remaining: number | null;
  /** Epoch milliseconds. */
  readonly resetAt: number | null;
}

/** What a vendor said of its limits. */
export interface VendorLimits {
  readonly requests: VendorCounter | null;
  readonly tokens: VendorCounter | null;
}

interface Budget {
  left: number;
  resetAt: number;
}

/** What part of a better report is believed at once. */
const raiseShare = 0.25;

/** An attempt that was not refused within this time has been taken, whether or not its answer has begun. In milliseconds. */
const refusalMs = 2_000;

/** A vendor that takes so many at once again needs no more care. */
const recovered = 64;

/** Who waited as told and was refused all the same waits at least so long, and twice as long each time. In milliseconds. */
const shortestDoubtMs = 1_000;

/** Doubling goes no further than this; a vendor that asks for more gets it. In milliseconds. */
const longestDoubtMs = 60_000;

/**
 * Holds a whole actor back when its vendor says so.
 *
 * - `Retry-After` of one call cools the actor: nothing starts before it has passed.
 * - Afterwards starts grow from one at a time, doubling as long as none is refused: fifty callers that waited do not all come at once.
 * - A vendor that refuses the first one again was too hopeful: its next word counts double, then four times, until it takes one.
 * - Counters in headers lower what is believed to be left at once and raise it slowly; at zero the actor cools until the reset.
 */
export class Cooling {
  #until = 0;
  /** Starts that may be unanswered at a time; Infinity when the vendor is not recovering. */
  #allowed = Number.POSITIVE_INFINITY;
  #unanswered = 0;
  /** How often the vendor has asked for a wait since it last took an attempt. */
  #refusals = 0;
  #lastStartAt = 0;
  /** Requests, and their tokens, that the vendor may not have counted yet when it reports. */
  #flying = 0;
  #flyingTokens = 0;
  #requests: Budget | null = null;
  #tokens: Budget | null = null;

  /** Until when the vendor wants no request, by `Retry-After`; in the past when it does not mind. */
  get until(): number {
    return this.#until;
  }

  /** Whether the vendor wants no request now. */
  isCooling(now: number): boolean {
    return this.#until > now;
  }

  /**
   * The vendor wants no request before then.
   *
   * @param hadWaited - It said so to an attempt that had waited for it before; see {@link started}.
   */
  coolUntil(at: number, now: number, hadWaited: boolean): void {
    // Several that are refused together are one refusal.
    if (now >= this.#until) this.#refusals = hadWaited ? this.#refusals + 1 : 1;
    this.#until = Math.max(this.#until, now + Math.min(this.#doubted(at - now), longestWaitMs));
    this.#allowed = 1;
    this.#unanswered = 0;
  }

  /** Takes a report of counters. What is on its way is taken from them: the vendor counts it after it wrote them. */
  learn({ requests, tokens }: VendorLimits, now: number): void {
    this.#requests = learned(this.#requests, requests, this.#flying, now);
    this.#tokens = learned(this.#tokens, tokens, this.#flyingTokens, now);
  }

  /** When a call of so many tokens may start: `now` or earlier means at once. */
  readyAt(tokens: number, now: number): number {
    this.#requests = current(this.#requests, now);
    this.#tokens = current(this.#tokens, now);
    let at = this.#until;
    if (this.#requests !== null && this.#requests.left < 1) at = Math.max(at, this.#requests.resetAt);
    // Where tokens are not counted here, a vendor that has none left still takes nobody.
    if (this.#tokens !== null && this.#tokens.left < Math.max(tokens, 1)) at = Math.max(at, this.#tokens.resetAt);
    if (at > now || this.#unanswered < this.#allowed) return at;
    if (now - this.#lastStartAt < refusalMs) return this.#lastStartAt + refusalMs;
    this.#grow();
    return at;
  }

  /** A call started. @returns Whether its answer is waited for before more may start. */
  started(tokens: number, now: number): boolean {
    this.flew(tokens);
    if (this.#requests !== null) this.#requests.left -= 1;
    if (this.#tokens !== null) this.#tokens.left -= tokens;
    if (this.#allowed === Number.POSITIVE_INFINITY) return false;
    this.#unanswered += 1;
    this.#lastStartAt = now;
    return true;
  }

  /** A call is on its way that began elsewhere. */
  flew(tokens: number): void {
    this.#flying += 1;
    this.#flyingTokens += tokens;
  }

  /** A call that was on its way has been counted by its vendor, or has ended. */
  landed(tokens: number): void {
    this.#flying -= 1;
    this.#flyingTokens -= tokens;
  }

  /** A call for which {@link started} returned true was answered or failed. */
  resolved(isTaken: boolean): void {
    this.#unanswered = Math.max(0, this.#unanswered - 1);
    if (isTaken) this.#refusals = 0;
    if (isTaken && this.#allowed !== Number.POSITIVE_INFINITY) this.#allowed = this.#next();
  }

  write(): CoolingState {
    return {
      until: this.#until,
      allowed: this.#allowed === Number.POSITIVE_INFINITY ? null : this.#allowed,
      unanswered: this.#unanswered,
      ...(this.#refusals === 0 ? {} : { refusals: this.#refusals }),
      last_start_at: this.#lastStartAt,
      requests: writeBudget(this.#requests),
      tokens: writeBudget(this.#tokens),
    };
  }

  /** Goes on where {@link write} was called. No cool-down is longer than one that begins now could be: clocks may have been set. */
  restore(state: CoolingState, now: number): void {
    this.#until = Math.min(state.until, now + longestWaitMs);
    this.#allowed = state.allowed ?? Number.POSITIVE_INFINITY;
    this.#unanswered = state.unanswered;
    this.#refusals = state.refusals ?? 0;
    this.#lastStartAt = Math.min(state.last_start_at, now);
    this.#requests = readBudget(state.requests);
    this.#tokens = readBudget(state.tokens);
  }

  /** Forgets everything. */
  reset(): void {
    this.#until = 0;
    this.#allowed = Number.POSITIVE_INFINITY;
    this.#unanswered = 0;
    this.#refusals = 0;
    this.#requests = null;
    this.#tokens = null;
  }

  /** A wait that the vendor asked for, by what its word was worth lately. */
  #doubted(waitMs: number): number {
    if (this.#refusals <= 1) return waitMs;
    const longer = Math.max(waitMs, shortestDoubtMs) * 2 ** (this.#refusals - 1);
    return Math.max(waitMs, Math.min(longer, longestDoubtMs));
  }

  #grow(): void {
    this.#allowed = this.#next();
    this.#unanswered = 0;
  }

  #next(): number {
    return this.#allowed * 2 > recovered ? Number.POSITIVE_INFINITY : this.#allowed * 2;
  }
}

function writeBudget(budget: Budget | null): CoolingState['requests'] {
  return budget === null ? null : { left: budget.left, reset_at: budget.resetAt };
}

function readBudget(written: CoolingState['requests']): Budget | null {
  return written === null ? null : { left: written.left, resetAt: written.reset_at };
}

function current(budget: Budget | null, now: number): Budget | null {
  return budget !== null && now >= budget.resetAt ? null : budget;
}

function learned(known: Budget | null, counter: VendorCounter | null, flying: number, now: number): Budget | null {
  const budget = current(known, now);
  if (counter === null || counter.remaining === null || counter.resetAt === null || counter.resetAt <= now)
    return budget;
  const { resetAt } = counter;
  const remaining = Math.max(0, counter.remaining - flying);
  if (budget === null || remaining <= budget.left) return { left: remaining, resetAt };
  return { left: budget.left + Math.max(1, Math.floor((remaining - budget.left) * raiseShare)), resetAt };
}
