import { Replay } from '../../actors/replay.ts';
import type { JournalEntry } from '../../schemas/journal.ts';
import type { ActorState } from '../../schemas/live-state.ts';

/** So many restarts of one actor within so many milliseconds; one that fails more often is left alone. */
const most = { restarts: 3, withinMs: 60_000 } as const;

/** Where an actor stood before the event that killed it. */
export interface LastGood {
  readonly state: ActorState;
  /** The numbers of its calls in the journal, in the order of `state.calls`. */
  readonly calls: readonly number[];
}

/** Decides whether an actor that has failed is begun anew, and finds where it is to go on. */
export class ActorRestarts {
  #restartedAt: number[] = [];

  /**
   * Where to go on. The event that killed the actor is not in its journal, which is written after an event was taken: what the journal leads to is
   * the last good state.
   *
   * @returns Null when it has been begun anew too often, is not there to take calls, or its journal does not tell.
   */
  next(journal: readonly JournalEntry[], now: number): LastGood | null {
    const recent = this.#restartedAt.filter((at) => at > now - most.withinMs);
    if (recent.length >= most.restarts) return null;
    const good = lastGood(journal);
    if (good !== null) this.#restartedAt = [...recent, now];
    return good;
  }
}

function lastGood(journal: readonly JournalEntry[]): LastGood | null {
  const replay = new Replay();
  try {
    for (const entry of journal) replay.take(entry);
    if (!replay.hasState) return null;
    const state = replay.state();
    if (state.life !== 'running' && state.life !== 'paused') return null;
    return { state, calls: [...replay.rows()].map(({ journalNumber }) => journalNumber) };
  } catch {
    // What kills the actor kills its replay too.
    return null;
  }
}
