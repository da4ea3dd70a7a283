import type { ActorState, CallRowState } from '../schemas/live-state.ts';
import type { CallRow } from './call-row.ts';
import type { Dispatcher } from './dispatcher.ts';
import { restoreRow } from './dispatcher-state.ts';
import type { ModelActor, ModelEvent, ModelRegions } from './imodel.ts';

/** How a machine that has just begun comes into each state of its `life`. */
export const wayTo: Record<ModelRegions['life'], readonly ModelEvent['type'][]> = {
  starting: [],
  running: ['model.start'],
  paused: ['model.pause'],
  draining: ['model.drain'],
  closing: ['model.close'],
  closed: ['model.close'],
};

/** Writes the state of a whole actor: plain data that shares nothing with it. */
export function writeActor(life: ModelRegions['life'], dispatcher: Dispatcher): ActorState {
  return { life, ...dispatcher.write() };
}

/**
 * Lets a machine that has been started and has heard nothing yet go on where another was written down.
 *
 * Running calls go on running: nobody is asked to begin them again, and somebody must settle them, or send `calls.interrupt` once this
 * has returned.
 *
 * @param handleOf - What to keep with the row of a call.
 * @returns The rows of `state.calls`, in their order.
 */
export function restoreActor(
  actor: ModelActor,
  state: ActorState,
  handleOf: (call: CallRowState, index: number) => unknown = () => undefined,
): CallRow[] {
  const { life, ...dispatcher } = state;
  const rows = state.calls.map((call, index) => restoreRow(call, handleOf(call, index)));
  actor.getSnapshot().children.dispatcher?.send({ type: 'calls.restore', restored: { state: dispatcher, rows } });
  for (const type of wayTo[life]) actor.send({ type });
  return rows;
}
