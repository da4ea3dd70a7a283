import type { WindowState } from '../../schemas/live-state.ts';
import { type Due, DueHeap } from './heap.ts';
import { RecentUse } from './recent-use.ts';

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
  /** One for what is granted here; what was used before there was a limit is held together. */
  readonly requests: number;
  tokens: number;
  /** When the request was written, epoch milliseconds; -1 while it was not. */
  sentAt: number;
}

/** An upstream whose quickest replies begin within this time does not think before it answers. In milliseconds. */
const promptReplyMs = 100;

/** Longest time a unit is held for a late answer, beyond window and margin: so many milliseconds, or this share of a short window. */
const longestHold = { ms: 250, share: 0.25 } as const;

/** What is left of the margin once the answer has begun: clocks that are being set right run up to 500 ppm too fast or too slow. */
const driftShare = 0.05;

/**
 * A rolling window over starts and tokens: no interval of its length, wherever it starts, holds more than the limits.
 *
 * What counts is the upstream's clock. A request is counted there somewhere between being written and being answered. An upstream that
 * answers promptly says by when it has counted: the unit expires one window after the beginning of the answer, also of one that is late for
 * once. An answer that took seconds of thinking says nothing; then the unit expires one window and a margin after the write. Which of both an
 * upstream is, its quickest replies tell; before the first, it is taken for prompt.
 */
export class RollingWindow {
  #limits: WindowLimits;
  #requests = 0;
  #tokens = 0;
  readonly #quickest = new QuickestReply();
  /** Grants whose window runs, by the time it ends. Held grants are counted but not in here. */
  readonly #expiring = new DueHeap<Grant>();
  /** What was used while nothing was limited. */
  readonly #recent = new RecentUse();

  constructor(limits: WindowLimits) {
    this.#limits = limits;
  }

  get limits(): WindowLimits {
    return this.#limits;
  }

  /** Changes the limits from now on, also for what was used while there were none; grants that run keep the expiry they have. */
  change(limits: WindowLimits, now: number): void {
    this.#limits = limits;
    if (!this.#isLimited) return;
    const { lengthMs, marginMs } = limits;
    for (const { endsAt, requests, tokens } of this.#recent.take(now, lengthMs + marginMs))
      this.#hold(requests, tokens, endsAt + lengthMs + marginMs);
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
      (maxTokens === null || this.#tokens + tokens <= maxTokens)
    );
  }

  /** Takes one request and its tokens, both at once. The caller has asked {@link fits}. Null where nothing is limited: then it is counted roughly. */
  take(tokens: number, now: number): Grant | null {
    if (!this.#isLimited) {
      // Its tokens are counted when they are known.
      this.#recent.count(1, 0, now, this.#limits.lengthMs);
      return null;
    }
    this.#requests += 1;
    this.#tokens += tokens;
    return { requests: 1, tokens, sentAt: -1, dueAt: Number.POSITIVE_INFINITY, heapIndex: -1 };
  }

  /** Counts the tokens of a request that was sent without a grant. */
  spend(tokens: number, now: number): void {
    if (!isAmount(tokens)) return;
    const { lengthMs, marginMs } = this.#limits;
    if (this.#isLimited) this.#hold(0, tokens, now + lengthMs + marginMs);
    else this.#recent.count(0, tokens, now, lengthMs);
  }

  /** Gives back the units of a request that was never written. */
  release(grant: Grant): void {
    if (grant.sentAt >= 0) return;
    this.#requests -= 1;
    this.#tokens -= grant.tokens;
  }

  /** The request was written: its window runs from here. A second call changes nothing. */
  sent(grant: Grant, at: number): void {
    if (grant.sentAt >= 0) return;
    grant.sentAt = at;
    this.#expiring.move(grant, this.#latestExpiryOf(grant));
  }

  /** The answer began. */
  answered(grant: Grant, at: number): void {
    const { lengthMs, marginMs } = this.#limits;
    if (grant.heapIndex < 0 || marginMs === 0) return;
    this.#quickest.observe(at - grant.sentAt, at, lengthMs);
    const latest = this.#latestExpiryOf(grant);
    this.#expiring.move(grant, this.#isPrompt ? Math.min(latest, at + lengthMs + marginMs * driftShare) : latest);
  }

  /** Replaces the reserved tokens by what was really used, as long as the grant counts. What is no amount changes nothing. */
  settle(grant: Grant, tokens: number): void {
    if (grant.heapIndex < 0 || !isAmount(tokens)) return;
    this.#tokens += tokens - grant.tokens;
    grant.tokens = tokens;
  }

  /** Lets go of what has expired by `now`. */
  expire(now: number): void {
    for (let grant = this.#expiring.peek(); grant !== undefined && grant.dueAt <= now; grant = this.#expiring.peek()) {
      this.#expiring.remove(grant);
      this.#requests -= grant.requests;
      this.#tokens -= grant.tokens;
    }
  }

  /** Forgets what has been written so far; requests on their way to the upstream still count. */
  reset(): void {
    this.expire(Number.POSITIVE_INFINITY);
    this.#recent.forget();
  }

  /** The window as plain data, but for the grants that running calls hold. */
  write(held: ReadonlySet<Grant>): WindowState {
    const used: WindowState['used'] = [];
    for (const grant of this.#expiring) if (!held.has(grant)) used.push(writeGrant(grant));
    used.sort((one, other) => one[0] - other[0] || one[1] - other[1]);
    const recent = this.#recent.write();
    return { used, ...(recent.length === 0 ? {} : { recent }), ...this.#quickest.write() };
  }

  /**
   * Goes on where {@link write} was called. To be called on a window that is unused. Nothing counts longer than if it had been written now:
   * clocks may have been set.
   *
   * @param held - The grants of running calls, in the heap's terms: `sentAt` below 0 for those on their way.
   */
  restore(state: WindowState, held: Iterable<Grant>, now: number): void {
    this.#quickest.restore(state);
    const latest = now + longestUseMs(this.#limits);
    for (const [dueAt, tokens, requests = 1] of state.used) this.#hold(requests, tokens, Math.min(dueAt, latest));
    for (const grant of held) {
      this.#requests += grant.requests;
      this.#tokens += grant.tokens;
      if (grant.sentAt >= 0) this.#expiring.move(grant, Math.min(grant.dueAt, latest));
    }
    this.#recent.restore(state.recent ?? [], now, this.#limits.lengthMs);
    this.change(this.#limits, now);
  }

  get #isLimited(): boolean {
    return this.#limits.requests !== null || this.#limits.tokens !== null;
  }

  /** Counts what no call holds any more until it expires. */
  #hold(requests: number, tokens: number, dueAt: number): void {
    this.#requests += requests;
    this.#tokens += tokens;
    this.#expiring.push({ requests, tokens, sentAt: 0, dueAt, heapIndex: -1 });
  }

  get #isPrompt(): boolean {
    return this.#quickest.ms <= promptReplyMs;
  }

  /** When a grant that was sent expires if its answer does not say more. Without a margin the two clocks are taken for one. */
  #latestExpiryOf({ sentAt }: Grant): number {
    const { lengthMs, marginMs } = this.#limits;
    return sentAt + lengthMs + marginMs + (this.#isPrompt ? holdMs(this.#limits) : 0);
  }
}

function writeGrant({ dueAt, tokens, requests }: Grant): WindowState['used'][number] {
  return requests === 1 ? [dueAt, tokens] : [dueAt, tokens, requests];
}

/** An endpoint of somebody else's may report what is none; once added, it could never be taken away again. */
function isAmount(tokens: number): boolean {
  return tokens >= 0 && tokens < Number.POSITIVE_INFINITY;
}

/** How long a unit counts at most after its request was written. */
export function longestUseMs(limits: WindowLimits): number {
  return limits.lengthMs + limits.marginMs + holdMs(limits);
}

/** How long a unit is held at most for an answer that is late. */
function holdMs({ lengthMs, marginMs }: WindowLimits): number {
  return marginMs > 0 ? Math.min(longestHold.ms, lengthMs * longestHold.share) : 0;
}

/** What a new period's quickest reply adds to what is known when it is slower: a share of the difference. */
const learnShare = 0.2;

/**
 * How soon the quickest replies begin. Falls at once and rises slowly, once a period and from 0, since the replies of one burst may all be
 * late together.
 */
class QuickestReply {
  #ms = 0;
  #ofPeriod = Number.POSITIVE_INFINITY;
  #periodEndsAt = Number.POSITIVE_INFINITY;

  /** In milliseconds; 0 while nothing is known. */
  get ms(): number {
    return this.#ms;
  }

  write(): Pick<WindowState, 'quickest_reply_ms' | 'period'> {
    const isEmpty = this.#ofPeriod === Number.POSITIVE_INFINITY;
    return {
      quickest_reply_ms: this.#ms,
      period: isEmpty ? null : { quickest_ms: this.#ofPeriod, ends_at: this.#periodEndsAt },
    };
  }

  restore({ quickest_reply_ms: ms, period }: Pick<WindowState, 'quickest_reply_ms' | 'period'>): void {
    this.#ms = ms;
    this.#ofPeriod = period?.quickest_ms ?? Number.POSITIVE_INFINITY;
    this.#periodEndsAt = period?.ends_at ?? Number.POSITIVE_INFINITY;
  }

  observe(replyMs: number, at: number, periodMs: number): void {
    if (at >= this.#periodEndsAt) {
      this.#ms += (this.#ofPeriod - this.#ms) * learnShare;
      this.#ofPeriod = Number.POSITIVE_INFINITY;
    }
    if (this.#ofPeriod === Number.POSITIVE_INFINITY) this.#periodEndsAt = at + periodMs;
    this.#ofPeriod = Math.min(this.#ofPeriod, replyMs);
    this.#ms = Math.min(this.#ms, replyMs);
  }
}
