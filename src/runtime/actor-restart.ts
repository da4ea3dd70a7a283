import { writeActor } from '../../actors/actor-state.ts';
import type { CallRow } from '../../actors/call-row.ts';
import { Replay } from '../../actors/replay.ts';
import type { JournalEntry } from '../../schemas/journal.ts';
import type { ActorState } from '../../schemas/live-state.ts';
import type { LiveActor } from './model/live-actor.ts';

/** So many restarts of one actor within so many milliseconds; one that fails more often is left alone. */
const most = { restarts: 3, withinMs: 60_000 } as const;

/** Where an actor stood before the event that killed it. */
export interface LastGood {
  readonly state: ActorState;
  /** The rows that the dead actor had of `state.calls`, in their order; undefined for one that it had not. */
  readonly rows: readonly (CallRow | undefined)[];
}

/** Decides whether an actor that has failed is begun anew, and finds where it is to go on. */
export class ActorRestarts {
  #restartedAt: number[] = [];

  /**
   * Where to go on. The event that killed the actor is not in its journal, which is written after an event was taken: what the journal leads to is
   * the last good state. Without one it is what the actor itself held, which the event may have changed in part: what begins anew is made from
   * its rows, so that no call is lost and none is sent twice.
   *
   * @returns Null when it has been begun anew too often, is not there to take calls, or neither tells.
   */
  next(dead: LiveActor, journal: readonly JournalEntry[], now: number): LastGood | null {
    const recent = this.#restartedAt.filter((at) => at > now - most.withinMs);
    if (recent.length >= most.restarts) return null;
    const good = lastGood(dead, journal) ?? lastHeld(dead);
    if (good !== null) this.#restartedAt = [...recent, now];
    return good;
  }
}

function lastGood({ dispatcher }: LiveActor, journal: readonly JournalEntry[]): LastGood | null {
  const replay = new Replay();
  try {
    for (const entry of journal) replay.take(entry);
    if (!replay.hasState) return null;
    const state = replay.state();
    if (state.life !== 'running' && state.life !== 'paused') return null;
    const before = new Map(dispatcher.rows().map((row) => [row.journalNumber, row]));
    return { state, rows: [...replay.rows()].map(({ journalNumber }) => before.get(journalNumber)) };
  } catch {
    // What kills the actor kills its replay too.
    return null;
  }
}

function lastHeld({ dispatcher, regions: { life } }: LiveActor): LastGood | null {
  if (life !== 'running' && life !== 'paused') return null;
  try {
    return { state: writeActor(life, dispatcher), rows: dispatcher.rows() };
  } catch {
    return null;
  }
}
