import { callState } from '../../../actors/call.ts';
import type { CallRow } from '../../../actors/call-row.ts';
import type { CallView } from '../../../schemas/state.ts';
import type { LiveModel } from '../model/live-model.ts';
import type { ApiCalling } from './api-calling.ts';

/**
 * Tells of single calls that have not ended: those that run, then those that wait, each oldest first.
 *
 * @param limit - How many at most. Places in the queue are counted among as many waiting calls.
 */
export function viewCalls(live: LiveModel, limit: number): CallView[] {
  const { begun, waiting } = live.actor.dispatcher.oldest(limit);
  const turn = [...waiting].sort((one, other) => other.priority - one.priority);
  const positions = new Map(turn.map((row, index) => [row, index + 1]));
  return [...begun, ...waiting].slice(0, limit).map((row) => viewOf(row, positions.get(row)));
}

function viewOf(row: CallRow, position: number | undefined): CallView {
  // Rows are made by the iModel with the call as their handle.
  const call = row.handle as ApiCalling;
  const { firstChunkAt } = call.timing;
  return {
    id: row.id,
    ...(row.caller === '' ? {} : { caller: row.caller }),
    stage: stageOf(row),
    ...(position === undefined ? {} : { position }),
    streaming: row.streaming,
    queued_at: row.queuedAt,
    ...(row.startedAt === null ? {} : { started_at: row.startedAt }),
    ...(firstChunkAt === null ? {} : { first_chunk_at: firstChunkAt }),
    chunks: call.chunks,
    attempts: row.attempts,
  };
}

function stageOf({ state }: CallRow): CallView['stage'] {
  switch (state) {
    case callState.outside:
      return 'outside';
    case callState.sending:
      return 'sending';
    case callState.answering:
      return 'answering';
    case callState.backingOff:
      return 'backing_off';
    default:
      return 'queued';
  }
}
