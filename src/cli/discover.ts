import type { ModelState } from '../../schemas/state.ts';
import type { Bus } from '../bus/bus.ts';
import { type DiscoverOptions, discover } from '../runtime/remote/discover.ts';
import { connect } from '../runtime/remote/remote-model.ts';

/** One iModel, on however many nodes it is served. */
export interface Discovered {
  readonly id: string;
  readonly model: string;
  readonly status: string;
  readonly running: number;
  readonly waiting: number;
  /** How many processes answer for it. */
  readonly nodes: number;
}

/** The iModels that answer on a bus, by id. Each tells its state itself; with several nodes, the one that is first. */
export async function discoverStates(
  bus: Bus,
  options: DiscoverOptions,
): Promise<(Discovered & Record<string, string | number>)[]> {
  const models = await discover(bus, options);
  return Promise.all(
    models.map(async ({ id, provider, model, nodes }) => {
      const state = await stateOf(bus, id);
      return {
        id,
        model: `${provider}/${model}`,
        status: state?.mode ?? 'silent',
        running: state?.running ?? 0,
        waiting: state?.queue.waiting ?? 0,
        nodes: nodes.size,
      };
    }),
  );
}

async function stateOf(bus: Bus, id: string): Promise<ModelState | null> {
  try {
    return await connect(bus).model(id).state();
  } catch {
    // It has gone since, or hangs; the list says so.
    return null;
  }
}
