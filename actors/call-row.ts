import type { Failure } from '../schemas/failure.ts';
import { type CallState, callState } from './call.ts';
import { type CallTerms, termsOf } from './call-terms.ts';
import { type Instant, instantOf } from './instant.ts';
import type { Due } from './policy/heap.ts';
import type { CallerLine, QueueEntry } from './policy/queue.ts';
import type { Grant } from './policy/window.ts';

/** What the runtime says of a call when it submits it. */
export interface CallRowInput {
  /** The call's id. */
  readonly id: string;
  /** Who calls, for fair shares. @defaultValue '' */
  readonly caller?: string | undefined;
  /** Whole number from -10 to 10, higher first. @defaultValue 0 */
  readonly priority?: number | undefined;
  /** How many shares its caller has, at least 1. @defaultValue 1 */
  readonly weight?: number | undefined;
  /** Estimated tokens, 0 where they are not counted. @defaultValue 0 */
  readonly tokens?: number | undefined;
  /** Epoch milliseconds by which the call must have ended. @defaultValue never */
  readonly deadlineAt?: number | undefined;
  /** Epoch milliseconds by which the call must have been dispatched. @defaultValue never */
  readonly queueDeadlineAt?: number | undefined;
  /** Epoch milliseconds from which its caller counts both, for what a failure says. @defaultValue when it was queued */
  readonly countedFrom?: number | undefined;
  /** Whether its answer is streamed. @defaultValue false */
  readonly streaming?: boolean | undefined;
  /** Whatever the runtime wants to find again when the dispatcher speaks of this call. Never read here, never written down. */
  readonly handle?: unknown;
}

/** How a running call ends. */
export interface CallVerdict {
  readonly event: 'call.complete' | 'call.fail' | 'call.cancel' | 'call.abort';
  readonly failure: Failure | null;
}

/** When a call must have been dispatched and ended; Infinity where it need not. */
export interface Deadline extends Due {
  readonly row: CallRow;
  readonly beginsBy: number;
  readonly endsBy: number;
  /** When its caller began to count; undefined where that is not known. */
  readonly countedFrom: number | undefined;
}

/** A call's place among those that wait for their next attempt. */
export interface RetryWait extends Due {
  readonly row: CallRow;
  /** True when its delay has passed and it waits for units. */
  isDue: boolean;
}

/** What there is of a call while it runs: from its first attempt to its end. */
export class CallRun {
  /** {@link CircuitBreaker.epoch} when it began; below 0 when its end says nothing of the vendor any more. */
  breakerEpoch: number;
  /** The units its latest attempt holds, from dispatch on. */
  grant: Grant | null = null;
  /** While it waits for its next attempt: when that is due. */
  retry: RetryWait | null = null;
  /** Why it was told to stop; its end is then `cancelled` or `aborted` whatever the endpoint still brings. */
  stopping: Failure | null = null;
  /** How it will end, once those who wanted to know before have said so; nothing changes it any more. */
  verdict: CallVerdict | null = null;
  /** Whether others wait to see if this attempt is refused. */
  isProbe = false;
  /** Whether somebody else carries on after its own attempts have failed. */
  isRescued = false;
  /** Whether a hook runs before its first attempt. */
  isHooked = false;

  /** Its neighbours among those that run. */
  before: CallRow | null = null;
  after: CallRow | null = null;

  constructor(breakerEpoch: number) {
    this.breakerEpoch = breakerEpoch;
  }
}

/**
 * One call as the dispatcher holds it. It is its own entry in the queue, so that waiting costs one object and leaving takes no search.
 *
 * A row that waits is copied by the collector until it is old: that is most of what waiting costs. So what only few calls have, and what
 * they have only once they run, hangs on it as an object of its own, and its times and terms are shared with others.
 */
export class CallRow implements QueueEntry<CallRow> {
  readonly id: string;
  /** Changed when a limit for tokens is set while it waits. */
  tokens: number;
  readonly handle: unknown;
  /** Null for a call that has all the time in the world. */
  readonly deadline: Deadline | null;

  /** Place in the call chart; changed by the dispatcher alone. */
  state: CallState = callState.created;
  readonly #terms: CallTerms;
  #queued: Instant | null = null;
  #started: Instant | null = null;
  /** How often it was sent. */
  attempts = 0;
  /** Null before it has begun and after it has ended: an old row, though nobody knows it, would keep what hangs on it from being collected with the young. */
  run: CallRun | null = null;

  /** Its number in the journal; 0 while that has not spoken of it. */
  journalNumber = 0;
  /** Rises from call to call. */
  order = 0;
  next: CallRow | null = null;
  previous: CallRow | null = null;
  line: CallerLine<CallRow> | null = null;

  constructor(input: CallRowInput) {
    const { deadlineAt: endsBy = Number.POSITIVE_INFINITY, queueDeadlineAt: beginsBy = Number.POSITIVE_INFINITY } =
      input;
    const { countedFrom } = input;
    this.id = input.id;
    this.#terms = termsOf(input);
    this.tokens = input.tokens ?? 0;
    this.handle = input.handle;
    this.deadline =
      Math.min(endsBy, beginsBy) === Number.POSITIVE_INFINITY
        ? null
        : { row: this, beginsBy, endsBy, countedFrom, dueAt: Number.POSITIVE_INFINITY, heapIndex: -1 };
  }

  get caller(): string {
    return this.#terms.caller;
  }

  get priority(): number {
    return this.#terms.priority;
  }

  get weight(): number {
    return this.#terms.weight;
  }

  get streaming(): boolean {
    return this.#terms.streaming;
  }

  /** Epoch milliseconds; -1 while it has not happened. */
  get queuedAt(): number {
    return this.#queued?.at ?? -1;
  }

  set queuedAt(at: number) {
    this.#queued = instantOf(at);
  }

  /** Epoch milliseconds of its first attempt; null while there was none. */
  get startedAt(): number | null {
    return this.#started?.at ?? null;
  }

  set startedAt(at: number) {
    this.#started = instantOf(at);
  }

  get cost(): number {
    return Math.max(1, this.tokens);
  }

  /** Epoch milliseconds by which it must have ended; Infinity when it need not. */
  get deadlineAt(): number {
    return this.deadline?.endsBy ?? Number.POSITIVE_INFINITY;
  }

  /** Epoch milliseconds by which it must have been dispatched; Infinity when it need not. */
  get queueDeadlineAt(): number {
    return this.deadline?.beginsBy ?? Number.POSITIVE_INFINITY;
  }
}
