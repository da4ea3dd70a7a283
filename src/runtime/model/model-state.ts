import type { DispatcherView } from '../../../actors/dispatcher-view.ts';
import type { ModelState } from '../../../schemas/state.ts';
import type { iModel } from '../../imodel.ts';
import type { LiveModel } from './live-model.ts';

/** How many calls wait, and what the limits leave: what of its state a caller is told with every answer. @internal */
export type Backlog = Pick<ModelState, 'queue' | 'budget'>;

/** @internal */
export function backlogOf({
  limits,
  waiting,
  outside,
  usedRequests,
  usedTokens,
  nextRefreshAt,
}: DispatcherView): Backlog {
  const { queueCapacity, onFull, window } = limits;
  return {
    queue: { waiting, outside, capacity: queueCapacity, on_full: onFull },
    budget: {
      window_ms: window.lengthMs,
      requests: budgetOf(window.requests, usedRequests),
      tokens: budgetOf(window.tokens, usedTokens),
      refreshes_at: nextRefreshAt,
    },
  };
}

/** Gathers what an iModel and its actor say of themselves. @internal */
export function stateOf(model: iModel, live: LiveModel): ModelState {
  const view = live.view();
  const { queue, budget } = backlogOf(view);
  const { provider, endpoint } = model.endpoint.config;
  return {
    id: model.id,
    provider,
    endpoint,
    endpoint_status: live.standing.status,
    model: model.modelName,
    created_at: model.createdAt,
    mode: live.mode,
    regions: live.regions,
    queue,
    running: view.running,
    concurrency_limit: view.limits.concurrency,
    blocked: view.blocked,
    cooling_until: view.coolingUntil,
    backing_off: view.backingOff,
    budget,
    counters: { ...view.counters },
  };
}

function budgetOf(limit: number | null, used: number): ModelState['budget']['requests'] {
  return { limit, used, remaining: limit === null ? null : Math.max(0, limit - used) };
}
