import { afterEach } from 'vitest';
import type { ModelEventMessage } from '../../schemas/event.ts';
import { type AskPoint, type HookAsk, hookAsk } from '../../schemas/hook.ts';
import type { AskedHookOptions } from '../../schemas/imodel.ts';
import type { NatsOptions } from '../../src/bus/nats.ts';
import { onHook } from '../../src/hooks/on-hook.ts';
import { type Ends, type Served, serveScripted } from '../integration/served-model.ts';

/** A question; a scripted model says it back, unless its script says otherwise. */
export const hello = { messages: [{ role: 'user', content: 'hello' }] };

/** A handler for each point at which a model asks. */
export type Handlers = { readonly [P in AskPoint]?: Parameters<typeof onHook<P>>[2] };

/** Models that ask their hooks over the bus, and the hooks at its other end; called in a `describe`, after each of whose tests they are gone. */
export function askedModels(open: (options?: NatsOptions) => Promise<Ends>) {
  const served: Served[] = [];
  afterEach(async () => {
    for (const one of served.splice(0)) await one[Symbol.asyncDispose]();
  });

  /** A served model that asks these hooks, and the events it tells. */
  const serve = async (hooks: AskedHookOptions[], script: Readonly<Record<string, unknown>> = {}, options = {}) => {
    const one = await serveScripted(open, script, { hooks, ...options });
    served.push(one);
    const events: ModelEventMessage[] = [];
    one.model.observe((event) => events.push(event));
    const told = () => events.filter(({ type }) => type === 'hook').map(({ hook, failure }) => ({ ...hook, failure }));
    return { ...one, told };
  };
  /** Answers at the other end of the bus. */
  const answer = async ({ caller, id }: Served, handlers: Handlers, options: object = {}): Promise<HookAsk[]> => {
    const asks: HookAsk[] = [];
    for (const point of Object.keys(handlers) as AskPoint[]) {
      const handler = handlers[point] as (ask: HookAsk) => never;
      const keep = (ask: HookAsk): never => {
        asks.push(hookAsk.parse(ask));
        return handler(ask);
      };
      onHook(caller, point, keep, { model: id, ...options });
    }
    await caller.flush();
    return asks;
  };

  return { serve, answer };
}
