import type { ActorState, CallRowState } from '../schemas/live-state.ts';
import type { BackingOff } from './backing-off.ts';
import { type CallState, callState } from './call.ts';
import { CallRow, CallRun, type RetryWait } from './call-row.ts';
import type { Deadlines } from './deadlines.ts';
import type { DispatcherCounters } from './dispatcher-view.ts';
import type { LiveRows } from './live-rows.ts';
import type { Grant } from './policy/window.ts';
import type { Upstream } from './upstream.ts';
import type { WaitingCalls } from './waiting-calls.ts';

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
  readonly waiting: WaitingCalls;
  readonly backingOff: BackingOff;
  readonly deadlines: Deadlines;
  readonly upstream: Upstream;
  readonly counters: DispatcherCounters;
}

/** The part of a state that follows from the structures. */
type WrittenParts = Omit<DispatcherState, 'is_gate_open' | 'blocked' | 'cool_at' | 'is_full'>;

/** Writes what the structures hold, as deep copies. */
export function writeParts(parts: DispatcherParts): WrittenParts {
  const held = new Set<Grant>();
  const dueOrders = parts.backingOff.orders();
  const calls: CallRowState[] = [];
  for (const row of parts.live.all()) {
    if (row.run?.grant) held.add(row.run.grant);
    calls.push(writeRow(row, dueOrders));
  }
  return {
    calls,
    ...parts.waiting.write(),
    again: parts.backingOff.write(),
    ...parts.upstream.write(held),
    counters: { ...parts.counters },
  };
}

/**
 * Fills empty structures with what was written.
 *
 * @param now - Epoch milliseconds; bounds what depends on the clock of whoever wrote the state.
 */
export function restoreParts(parts: DispatcherParts, { state, rows }: RestoredDispatcher, now: number): void {
  const waiting: CallRow[] = [];
  rows.forEach((row) => {
    parts.live.add(row);
    parts.deadlines.watchBeginning(row);
    if (row.run === null) waiting.push(row);
    else parts.deadlines.watchEnd(row);
  });
  parts.waiting.restore(state, waiting);
  restoreRetries(parts, state, rows);
  parts.upstream.restore(state, rows, now);
  Object.assign(parts.counters, state.counters);
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
  row.run = restoreRun(row, run);
  return row;
}

function restoreRun(row: CallRow, written: NonNullable<CallRowState['run']>): CallRun {
  const run = new CallRun(written.breaker_epoch);
  run.isProbe = written.is_probe ?? false;
  run.isRescued = written.is_rescued ?? false;
  run.isHooked = written.is_hooked ?? false;
  run.stopping = written.stopping ?? null;
  run.verdict = written.verdict ?? null;
  if (written.grant !== undefined) {
    const { tokens, sent_at: sentAt = -1, expires_at: dueAt = Number.POSITIVE_INFINITY } = written.grant;
    run.grant = { requests: 1, tokens, sentAt, dueAt, heapIndex: -1 };
  }
  if (written.retry !== undefined) {
    run.retry = { row, isDue: written.retry.is_due, dueAt: written.retry.due_at, heapIndex: -1 };
  }
  return run;
}

function restoreRetries({ backingOff }: DispatcherParts, state: DispatcherState, rows: readonly CallRow[]): void {
  const waits: { readonly wait: RetryWait; readonly order: number }[] = [];
  state.calls.forEach(({ run }, index) => {
    const wait = rows[index]?.run?.retry ?? null;
    if (wait !== null && run?.retry !== undefined) waits.push({ wait, order: run.retry.order });
  });
  waits.sort((one, other) => one.order - other.order);
  backingOff.restore(
    state.again,
    waits.map(({ wait }) => wait),
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

function writeRow(row: CallRow, dueOrders: ReadonlyMap<CallRow, number>): CallRowState {
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
  if (row.run !== null) written.run = writeRun(row, row.run, dueOrders.get(row));
  return written;
}

function writeRun(
  { startedAt, queuedAt, attempts }: CallRow,
  { breakerEpoch, grant, retry, stopping, verdict, ...flags }: CallRun,
  dueOrder: number | undefined,
): NonNullable<CallRowState['run']> {
  const run: NonNullable<CallRowState['run']> = {
    started_at: startedAt ?? queuedAt,
    attempts,
    breaker_epoch: breakerEpoch,
  };
  // What has expired says nothing any more.
  if (grant !== null && grant.sentAt < 0) run.grant = { tokens: grant.tokens };
  else if (grant !== null && grant.heapIndex >= 0) {
    run.grant = { tokens: grant.tokens, sent_at: grant.sentAt, expires_at: grant.dueAt };
  }
  if (retry !== null) {
    const order = retry.isDue ? (dueOrder ?? 0) : retry.heapIndex;
    run.retry = { due_at: retry.dueAt, is_due: retry.isDue, order };
  }
  if (flags.isProbe) run.is_probe = true;
  if (flags.isRescued) run.is_rescued = true;
  if (flags.isHooked) run.is_hooked = true;
  if (stopping !== null) run.stopping = structuredClone(stopping);
  if (verdict !== null) run.verdict = structuredClone(verdict);
  return run;
}
