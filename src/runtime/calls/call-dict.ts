import { bytesToWire } from '../../../schemas/bytes.ts';
import { type CallDict, viewToWire, type WireCall } from '../../../schemas/call.ts';
import type { AnswerView } from '../../../schemas/chunk.ts';
import { writeError, writeValue } from '../state/written.ts';
import type { ApiCalling } from './api-calling.ts';

/** When a call passed its stations, epoch milliseconds; null while it has not. */
export interface CallTiming {
  /** When it was submitted. */
  readonly queuedAt: number | null;
  /** When it was first dispatched. */
  readonly startedAt: number | null;
  /** When the first chunk of its stream came. */
  readonly firstChunkAt: number | null;
  /** When it came to its end. */
  readonly endedAt: number | null;
}

/**
 * A call as plain data, with exactly the reference's keys.
 *
 * @param metadata - The caller's own notes; null when there are none.
 */
export function writeCallDict(call: ApiCalling, metadata: Record<string, unknown> | null): CallDict {
  return {
    id: call.id,
    created_at: call.createdAt,
    metadata: writeMetadata(call, metadata),
    execution: writeExecution(call, writeValue(call.response)),
    payload: writeValue(call.payload) as Record<string, unknown>,
  };
}

/**
 * An ended call as it travels over a bus.
 *
 * @param metadata - The caller's own notes; null when there are none.
 * @param view - What came of it.
 */
export function writeWireCall(call: ApiCalling, metadata: Record<string, unknown> | null, view: AnswerView): WireCall {
  return {
    id: call.id,
    created_at: call.createdAt,
    metadata: writeMetadata(call, metadata),
    // The bus writes the response; on the memory bus it is passed by reference, as everything is.
    execution: writeExecution(call, wireResponse(call.response)),
    ...viewToWire(view),
    failure: call.failure,
  };
}

/** Never throws: a reader waits for the end of the call, whatever its endpoint has brought. */
function wireResponse(response: unknown): unknown {
  try {
    return bytesToWire(response);
  } catch {
    return writeValue(response);
  }
}

function writeExecution(call: ApiCalling, response: unknown): WireCall['execution'] {
  const { status, duration, error, failure } = call;
  return { status, duration, response, error: writeError(error), retryable: failure?.retryable ?? null };
}

function writeMetadata(call: ApiCalling, metadata: Record<string, unknown> | null): Record<string, unknown> {
  const { queuedAt, startedAt, firstChunkAt, endedAt } = call.timing;
  const timing: Record<string, number> = {};
  if (queuedAt !== null) timing.queued_at = queuedAt;
  if (startedAt !== null) timing.started_at = startedAt;
  if (firstChunkAt !== null) timing.first_chunk_at = firstChunkAt;
  if (endedAt !== null) timing.ended_at = endedAt;
  if (queuedAt !== null && startedAt !== null) timing.wait_ms = startedAt - queuedAt;
  const written: Record<string, unknown> = { lion_class: 'imodel.ApiCalling', timing };
  if (call.attempts > 0) written.attempts = call.attempts;
  if (call.cost !== null) written.cost_usd = call.cost;
  for (const name in metadata) written[name] ??= writeValue(metadata[name]);
  return written;
}
