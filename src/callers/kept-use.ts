import { z } from 'zod';
import { callerName } from '../../schemas/caller.ts';
import { type CallerUseState, callerUse } from '../../schemas/live-state.ts';
import { IModelError } from '../errors.ts';
import type { KeptPart } from '../runtime/state/part-keeper.ts';
import type { CallerBook } from './caller-book.ts';

const usedByName = z.record(callerName, callerUse);

/** What the callers of a gateway have used of their limits, as it outlives the process. */
export class KeptUse implements KeptPart {
  readonly name = 'gateway.callers';
  /** What was kept; empty where nothing was. */
  readonly before = new Map<string, CallerUseState>();
  /** Whose use is kept; nothing is written before. */
  book: CallerBook | null = null;

  restore(state: unknown, place: string): void {
    const { data, error } = usedByName.safeParse(state);
    if (data === undefined) {
      const field = `${place}: ${error.issues[0]?.path.join('.') ?? ''}`;
      const message = `Expected ${place} to hold what callers have used: ${error.issues[0]?.message ?? 'it is no record'}`;
      throw IModelError.of('config', message, { field }, { cause: error });
    }
    for (const [name, used] of Object.entries(data)) this.before.set(name, used);
  }

  write(): unknown {
    const used = this.book?.used() ?? {};
    return Object.keys(used).length === 0 ? null : used;
  }
}
