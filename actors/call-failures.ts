import { type Failure, failureOf, type TimeoutPhase } from '../schemas/failure.ts';
import { callState, isRunning } from './call.ts';
import type { CallRow } from './call-row.ts';
import type { Blocked } from './dispatcher-view.ts';

/** The model takes no calls any more. */
export function closedFailure(): Failure {
  return failureOf('closed', 'The model is closed and takes no calls', {});
}

/** The queue is full, and calls are not to wait outside. */
export function queueFullFailure(capacity: number): Failure {
  return failureOf('queue_full', `The queue is full: ${capacity} calls wait`, { capacity });
}

/** No window can ever grant so many tokens. */
export function tooLargeFailure(tokens: number, limit: number): Failure {
  const message = `The request needs about ${tokens} tokens, but \`limitTokens\` is ${limit}`;
  return failureOf('estimate_too_large', message, { tokens, limit });
}

/** @param retryAfterMs - Until the breaker lets a trial through; Infinity when that is not known. */
export function circuitOpenFailure(retryAfterMs: number): Failure {
  const after = Number.isFinite(retryAfterMs) ? { retryAfterMs } : {};
  return failureOf('circuit_open', 'The breaker is open: the vendor has failed too often', after);
}

/** The call ran in a process that is gone. */
export function interruptedFailure(): Failure {
  return failureOf('interrupted', 'The process that ran the call is gone; the vendor may have served it', {});
}

/** @param blocked - What keeps the head of the queue from starting. */
export function timeoutFailure(row: CallRow, blocked: Blocked): Failure {
  const phase = phaseOf(row, blocked);
  const dueAt = Math.min(row.deadlineAt, isRunning(row.state) ? Infinity : row.queueDeadlineAt);
  const timeoutMs = Math.max(0, Math.round(dueAt - (row.deadline?.countedFrom ?? row.queuedAt)));
  const message = `The call's time of ${timeoutMs} ms ran out (${phaseText[phase]})`;
  return failureOf('timed_out', message, { phase, timeoutMs });
}

/** How a call ends that is ended for this reason. */
export function endingOf({ code }: Failure): 'call.cancel' | 'call.abort' | 'call.fail' {
  if (code === 'cancelled') return 'call.cancel';
  return code === 'timed_out' || code === 'closed' ? 'call.abort' : 'call.fail';
}

function phaseOf(row: CallRow, blocked: Blocked): TimeoutPhase {
  if (row.state === callState.queued) return blocked === 'cooling' ? 'rate' : (blocked ?? 'queue');
  if (row.state === callState.backingOff) return 'backoff';
  if (!isRunning(row.state)) return 'queue';
  if (row.run?.isHooked === true) return 'hook';
  return row.state === callState.answering && row.streaming ? 'stream' : 'attempt';
}

const phaseText: Partial<Record<TimeoutPhase, string>> = {
  queue: 'waiting for a place in the queue',
  paused: 'waiting while the model takes no calls',
  concurrency: 'waiting for a running call to end',
  rate: 'waiting for the rate limit',
  backoff: 'waiting for the next attempt',
  hook: 'waiting for a hook',
  attempt: 'waiting for the upstream',
  stream: 'reading the stream',
};
