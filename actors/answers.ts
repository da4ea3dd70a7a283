import type { Failure } from '../schemas/failure.ts';
import type { CallRow, CallVerdict } from './call-row.ts';
import type { DispatcherEffects, DispatcherInput, DispatcherJournal } from './dispatcher-input.ts';

/** What is decided elsewhere, by chance or by who carries the effects out. The journal notes every answer, so that a replay is told the same. */
export class Answers {
  readonly #effects: DispatcherEffects;
  readonly #chance: () => number;
  readonly #journal: DispatcherJournal | null;

  constructor({ effects, random, journal }: DispatcherInput) {
    this.#effects = effects;
    this.#chance = random;
    this.#journal = journal ?? null;
  }

  /** A number from 0 to below 1. */
  readonly random = (): number => this.#noted(this.#chance());

  /** How many tokens a call will need; below 0 when nobody can say. */
  estimate(row: CallRow): number {
    return this.#noted(this.#effects.estimate?.(row) ?? -1);
  }

  /** Whether somebody carries on a call whose attempts have failed. */
  isRescued(row: CallRow, failure: Failure): boolean {
    return this.#noted(this.#effects.rescue(row, failure));
  }

  /** Whether somebody has something to do before a call ends so. */
  isHeld(row: CallRow, event: CallVerdict['event'], failure: Failure | null): boolean {
    return this.#noted(this.#effects.ending?.(row, event, failure) === true);
  }

  #noted<T extends number | boolean>(answer: T): T {
    this.#journal?.answered(answer);
    return answer;
  }
}
