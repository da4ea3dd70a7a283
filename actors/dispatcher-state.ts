import type { ActorState, CallRowState } from '../schemas/live-state.ts';
import { type CallState, callState, isRunning } from './call.ts';
import { CallRow, type LiveRows, type RetryWait } from './call-row.ts';
import type { DispatcherCounters } from './dispatcher-view.ts';
import type { CircuitBreaker } from './policy/breaker.ts';
import type { Cooling } from './policy/cooling.ts';
import type { DueHeap } from './policy/heap.ts';
import type { FairQueue } from './policy/queue.ts';
import type { Grant, RollingWindow } from './policy/window.ts';

/** What of an {@link ActorState} a dispatcher holds; the rest is its machine's. */
export type DispatcherState = Omit<ActorState, 'life'>;

/** What a dispatcher goes on from. */
export interface RestoredDispatcher {
  readonly state: DispatcherState;
  /** The rows of `state.calls`, in their order; see {@link restoreRow}. */
  readonly rows: readonly CallRow[];
}

/** The structures inside a dispatcher, which are written and restored here. */
export interface DispatcherParts {
  readonly live: LiveRows;
  readonly queue: FairQueue<CallRow>;
  readonly outside: FairQueue<CallRow>;
  readonly again: FairQueue<CallRow>;
  readonly retries: DueHeap<RetryWait>;
  readonly deadlines: DueHeap<CallRow>;
  readonly window: RollingWindow;
  readonly cooling: Cooling;
  readonly breaker: CircuitBreaker | null;
  readonly counters: DispatcherCounters;
}

/** The part of a state that follows from the structures. */
type WrittenParts = Omit<DispatcherState, 'is_gate_open' | 'blocked' | 'cool_at' | 'is_full'>;

/** Writes what the structures hold, as deep copies. */
export function writeParts(parts: DispatcherParts): WrittenParts {
  const held = new Set<Grant>();
  const againOrder = new Map<CallRow, number>();
  for (const row of parts.again) againOrder.set(row, againOrder.size);
  const calls: CallRowState[] = [];
  for (const row of parts.live) {
    if (row.grant !== null) held.add(row.grant);
    calls.push(writeRow(row, againOrder));
  }
  return {
    calls,
    queue: parts.queue.write(),
    outside: parts.outside.write(),
    again: parts.again.write(),
    window: parts.window.write(held),
    cooling: parts.cooling.write(),
    breaker: parts.breaker?.write() ?? null,
    counters: { ...parts.counters },
  };
}

/**
 * Fills empty structures with what was written.
 *
 * @param now - Epoch milliseconds; bounds what depends on the clock of whoever wrote the state.
 * @returns How many of the calls have begun.
 */
export function restoreParts(parts: DispatcherParts, { state, rows }: RestoredDispatcher, now: number): number {
  const begun: CallRow[] = [];
  const queued: CallRow[] = [];
  const outside: CallRow[] = [];
  for (const row of rows) {
    parts.live.add(row);
    if (isRunning(row.state)) begun.push(row);
    else (row.state === callState.outside ? outside : queued).push(row);
    const dueAt = isRunning(row.state) ? row.deadlineAt : Math.min(row.deadlineAt, row.queueDeadlineAt);
    if (dueAt !== Number.POSITIVE_INFINITY) parts.deadlines.move(row, dueAt);
  }
  parts.queue.restore(state.queue, queued);
  parts.outside.restore(state.outside, outside);
  restoreRetries(parts, state, rows);
  const held = begun.flatMap(({ grant }) => (grant === null ? [] : [grant]));
  parts.window.restore(state.window, held, now);
  parts.cooling.restore(state.cooling, now);
  if (state.breaker !== null) parts.breaker?.restore(state.breaker, now);
  Object.assign(parts.counters, state.counters);
  return begun.length;
}

/**
 * Makes the row of a call that was written down.
 *
 * @param handle - Whatever the runtime wants to find again when the dispatcher speaks of this call.
 */
export function restoreRow(written: CallRowState, handle?: unknown): CallRow {
  const row = new CallRow({
    id: written.id,
    caller: written.caller,
    priority: written.priority,
    weight: written.weight,
    tokens: written.tokens,
    deadlineAt: written.deadline_at,
    queueDeadlineAt: written.queue_deadline_at,
    streaming: written.streaming,
    handle,
  });
  row.queuedAt = written.queued_at;
  const { run } = written;
  row.state = callState[run === undefined ? waitingStage(written.stage) : runningStage(written.stage)];
  if (run === undefined) return row;
  row.startedAt = run.started_at;
  row.attempts = run.attempts;
  row.breakerEpoch = run.breaker_epoch;
  row.isProbe = run.is_probe ?? false;
  row.isRescued = run.is_rescued ?? false;
  row.isHooked = run.is_hooked ?? false;
  row.stopping = run.stopping ?? null;
  row.verdict = run.verdict ?? null;
  if (run.grant !== undefined) {
    const { tokens, sent_at: sentAt = -1, expires_at: dueAt = Number.POSITIVE_INFINITY } = run.grant;
    row.grant = { tokens, sentAt, dueAt, heapIndex: -1 };
  }
  if (run.retry !== undefined) {
    row.retry = { row, isDue: run.retry.is_due, dueAt: run.retry.due_at, heapIndex: -1 };
  }
  return row;
}

function restoreRetries({ again, retries }: DispatcherParts, state: DispatcherState, rows: readonly CallRow[]): void {
  const waits = state.calls
    .flatMap(({ run }, index) => {
      const wait = rows[index]?.retry ?? null;
      return wait === null || run?.retry === undefined ? [] : [{ wait, order: run.retry.order }];
    })
    .sort((one, other) => one.order - other.order)
    .map(({ wait }) => wait);
  // In the order of the heap it was, so that equal ones keep theirs.
  for (const wait of waits) if (!wait.isDue) retries.push(wait);
  again.restore(
    state.again,
    waits.filter(({ isDue }) => isDue).map(({ row }) => row),
  );
}

const stageNames = new Map<CallState, NonNullable<CallRowState['stage']>>([
  [callState.outside, 'outside'],
  [callState.sending, 'sending'],
  [callState.answering, 'answering'],
  [callState.backingOff, 'backingOff'],
]);

function waitingStage(stage: CallRowState['stage']): 'outside' | 'queued' {
  return stage === 'outside' ? 'outside' : 'queued';
}

function runningStage(stage: CallRowState['stage']): 'sending' | 'answering' | 'backingOff' {
  return stage === 'answering' || stage === 'backingOff' ? stage : 'sending';
}

function writeRow(row: CallRow, againOrder: ReadonlyMap<CallRow, number>): CallRowState {
  const written: CallRowState = { id: row.id, queued_at: row.queuedAt };
  const stage = stageNames.get(row.state);
  if (stage !== undefined) written.stage = stage;
  if (row.caller !== '') written.caller = row.caller;
  if (row.priority !== 0) written.priority = row.priority;
  if (row.weight !== 1) written.weight = row.weight;
  if (row.tokens !== 0) written.tokens = row.tokens;
  if (row.deadlineAt !== Number.POSITIVE_INFINITY) written.deadline_at = row.deadlineAt;
  if (row.queueDeadlineAt !== Number.POSITIVE_INFINITY) written.queue_deadline_at = row.queueDeadlineAt;
  if (row.streaming) written.streaming = true;
  if (isRunning(row.state)) written.run = writeRun(row, againOrder.get(row));
  return written;
}

function writeRun(row: CallRow, againOrder: number | undefined): NonNullable<CallRowState['run']> {
  const { grant, retry, stopping, verdict } = row;
  const run: NonNullable<CallRowState['run']> = {
    started_at: row.startedAt,
    attempts: row.attempts,
    breaker_epoch: row.breakerEpoch,
  };
  // What has expired says nothing any more.
  if (grant !== null && grant.sentAt < 0) run.grant = { tokens: grant.tokens };
  else if (grant !== null && grant.heapIndex >= 0) {
    run.grant = { tokens: grant.tokens, sent_at: grant.sentAt, expires_at: grant.dueAt };
  }
  if (retry !== null) {
    const order = retry.isDue ? (againOrder ?? 0) : retry.heapIndex;
    run.retry = { due_at: retry.dueAt, is_due: retry.isDue, order };
  }
  if (row.isProbe) run.is_probe = true;
  if (row.isRescued) run.is_rescued = true;
  if (row.isHooked) run.is_hooked = true;
  if (stopping !== null) run.stopping = structuredClone(stopping);
  if (verdict !== null) run.verdict = structuredClone(verdict);
  return run;
}
