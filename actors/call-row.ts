import type { Failure } from '../schemas/failure.ts';
import { type CallState, callState } from './call.ts';
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

/** A call's place among those that wait for their next attempt. */
export interface RetryWait extends Due {
  readonly row: CallRow;
  /** True when its delay has passed and it waits for units. */
  isDue: boolean;
}

/**
 * One call as the dispatcher holds it. It is its own entry in the queue and in the heap of deadlines, so that waiting costs one
 * object and leaving takes no search.
 */
export class CallRow implements QueueEntry<CallRow>, Due {
  readonly id: string;
  readonly caller: string;
  readonly priority: number;
  readonly weight: number;
  readonly tokens: number;
  readonly cost: number;
  readonly deadlineAt: number;
  readonly queueDeadlineAt: number;
  readonly streaming: boolean;
  readonly handle: unknown;

  /** Place in the call chart; changed by the dispatcher alone. */
  state: CallState = callState.created;
  /** Epoch milliseconds; -1 while it has not happened. */
  queuedAt = -1;
  /** Epoch milliseconds of its first attempt; -1 while it has not happened. */
  startedAt = -1;
  /** Why the running call was told to stop; its end is then `cancelled` or `aborted` whatever the endpoint still brings. */
  stopping: Failure | null = null;
  /** The units its latest attempt holds, from dispatch on. */
  grant: Grant | null = null;
  /** How often it was sent. */
  attempts = 0;
  /** While it waits for its next attempt: when that is due. */
  retry: RetryWait | null = null;
  /** {@link CircuitBreaker.epoch} when it began. */
  breakerEpoch = 0;
  /** Whether others wait to see if this attempt is refused. */
  isProbe = false;
  /** Whether somebody else carries on after its own attempts have failed. */
  isRescued = false;
  /** Whether a hook runs before its first attempt. */
  isHooked = false;
  /** How it will end, once those who wanted to know before have said so; nothing changes it any more. */
  verdict: CallVerdict | null = null;

  /** Its number in the journal; 0 while that has not spoken of it. */
  journalNumber = 0;
  /** Rises from call to call. */
  order = 0;
  older: CallRow | null = null;
  newer: CallRow | null = null;
  next: CallRow | null = null;
  previous: CallRow | null = null;
  line: CallerLine<CallRow> | null = null;
  dueAt = Number.POSITIVE_INFINITY;
  heapIndex = -1;

  constructor(input: CallRowInput) {
    this.id = input.id;
    this.caller = input.caller ?? '';
    this.priority = input.priority ?? 0;
    this.weight = input.weight ?? 1;
    this.tokens = input.tokens ?? 0;
    this.cost = Math.max(1, this.tokens);
    this.deadlineAt = input.deadlineAt ?? Number.POSITIVE_INFINITY;
    this.queueDeadlineAt = input.queueDeadlineAt ?? Number.POSITIVE_INFINITY;
    this.streaming = input.streaming ?? false;
    this.handle = input.handle;
  }
}

/**
 * The calls that have not ended, oldest first. A linked list through the rows themselves: an index by id would cost more than all
 * other work of the dispatcher together.
 */
export class LiveRows {
  #oldest: CallRow | null = null;
  #newest: CallRow | null = null;
  #size = 0;
  #added = 0;

  get size(): number {
    return this.#size;
  }

  add(row: CallRow): void {
    row.order = this.#added;
    this.#added += 1;
    row.older = this.#newest;
    if (this.#newest === null) this.#oldest = row;
    else this.#newest.newer = row;
    this.#newest = row;
    this.#size += 1;
  }

  /** Takes out a row; one that was never added is left alone. */
  remove(row: CallRow): void {
    if (row.older === null && this.#oldest !== row) return;
    if (row.older === null) this.#oldest = row.newer;
    else row.older.newer = row.newer;
    if (row.newer === null) this.#newest = row.older;
    else row.newer.older = row.older;
    row.older = null;
    row.newer = null;
    this.#size -= 1;
  }

  *[Symbol.iterator](): Generator<CallRow, void, undefined> {
    for (let row = this.#oldest; row !== null; row = row.newer) yield row;
  }
}
