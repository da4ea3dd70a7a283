import type { iModel } from '../../../src/imodel.ts';
import type { VirtualClock } from '../../../src/testing/virtual-clock.ts';

export type Step =
  | {
      readonly do: 'submit';
      readonly caller: string;
      readonly priority: number;
      readonly tokens: number;
      readonly timeoutMs: number | null;
      readonly delay: number;
      /** Finally: with what is not tried again; always: until there are no more tries; cools: likewise, and the vendor asks for a pause. */
      readonly fails: 'never' | 'finally' | 'always' | 'cools';
    }
  | { readonly do: 'cancel'; readonly ids: readonly string[] }
  | { readonly do: 'advance'; readonly ms: number }
  | { readonly do: 'pause' | 'resume' };

/** Time, what happened, the call, and for an end its status, the code of its failure, and the tokens that were reported. */
export type Entry = readonly (string | number | null)[];

export function begunAtOnce(model: iModel, clock: VirtualClock): Entry[];

export function play(
  model: iModel,
  clock: VirtualClock,
  steps: readonly Step[],
  firstIndex: number,
  log: Entry[],
): Promise<void>;
