import type { ModelEventMessage } from '../../schemas/event.ts';
import type { HookRegistry, HookRegistryOptions } from '../../src/index.ts';
import { timedModel } from './timed-endpoint.ts';

/** A model whose hooks and core write into one log. */
export function logged(hooks: HookRegistryOptions | HookRegistry, options: Record<string, unknown> = {}) {
  const timed = timedModel({ hookRegistry: hooks, retry: null, ...options });
  const events: ModelEventMessage[] = [];
  timed.model.observe((event) => events.push(event));
  return { ...timed, hookEvents: () => events.filter(({ type }) => type === 'hook') };
}
