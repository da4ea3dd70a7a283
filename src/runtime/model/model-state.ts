import type { ModelState } from '../../../schemas/state.ts';
import type { iModel } from '../../imodel.ts';
import type { LiveModel } from './live-model.ts';

/** Gathers what an iModel and its actor say of themselves. @internal */
export function stateOf(model: iModel, live: LiveModel): ModelState {
  const view = live.view();
  const { queueCapacity, onFull, concurrency, window } = view.limits;
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
    queue: { waiting: view.waiting, outside: view.outside, capacity: queueCapacity, on_full: onFull },
    running: view.running,
    concurrency_limit: concurrency,
    blocked: view.blocked,
    cooling_until: view.coolingUntil,
    backing_off: view.backingOff,
    budget: {
      window_ms: window.lengthMs,
      requests: budget(window.requests, view.usedRequests),
      tokens: budget(window.tokens, view.usedTokens),
      refreshes_at: view.nextRefreshAt,
    },
    counters: { ...view.counters },
  };
}

function budget(limit: number | null, used: number): ModelState['budget']['requests'] {
  return { limit, used, remaining: limit === null ? null : Math.max(0, limit - used) };
}
