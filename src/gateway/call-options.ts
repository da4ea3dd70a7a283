import { randomUUID } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { CallOptions } from '../../schemas/imodel.ts';
import type { ModelState } from '../../schemas/state.ts';
import { noHeaders } from '../bus/headers.ts';
import { IModelError } from '../errors.ts';
import { fromHeaders } from '../runtime/serving/wire-options.ts';
import { soonestStartMs } from './queue-headers.ts';

/** The options of a call that came over HTTP: it has an id, and does not wait for ever. */
export type HttpCallOptions = CallOptions & { readonly callId: string; readonly queueTimeoutMs: number };

/**
 * The options of a call in its request's headers, which are those of the bus: `Imodel-Priority` and the like. Whose call it is, how many shares it
 * has and how urgent it may be is its key's to say, where it has one.
 */
export function callOptionsOf({ headers, caller, trace }: FastifyRequest, queueTimeoutMs: number): HttpCallOptions {
  let own = noHeaders;
  for (const name in headers) {
    const value = headers[name];
    if (name.startsWith('imodel-') && typeof value === 'string') own = { ...own, [name]: value };
  }
  const asked = fromHeaders(own);
  return {
    ...asked,
    ...trace,
    ...(caller === null
      ? {}
      : {
          caller: caller.name,
          weight: caller.config.weight,
          priority: Math.min(asked.priority ?? 0, caller.config.maxPriority ?? 0),
        }),
    callId: asked.callId ?? randomUUID(),
    queueTimeoutMs: Math.min(asked.queueTimeoutMs ?? queueTimeoutMs, queueTimeoutMs),
  };
}

/** What is left of a call's time after a wait that counts as one in its queue. */
export function optionsAfterWait(options: HttpCallOptions, waitedMs: number): HttpCallOptions {
  if (waitedMs <= 0) return options;
  const { timeoutMs, queueTimeoutMs } = options;
  return {
    ...options,
    queueTimeoutMs: Math.max(1, queueTimeoutMs - waitedMs),
    ...(timeoutMs === undefined ? {} : { timeoutMs: Math.max(1, timeoutMs - waitedMs) }),
  };
}

/**
 * Refuses at once what would wait in vain. A call that may overtake others waits for the next part of the limit at least.
 *
 * @throws IModelError `rate_limited`
 */
export function refuseHopeless(
  state: ModelState,
  { queueTimeoutMs, priority = 0, caller = '' }: HttpCallOptions,
): void {
  const waitMs = soonestStartMs(state, Date.now(), { mayOvertake: priority > 0 || caller !== '' });
  if (waitMs <= queueTimeoutMs) return;
  const message = `The limit of ${state.budget.requests.limit} requests leaves no room for another ${Math.ceil(waitMs / 1_000)} s, and the call may wait ${queueTimeoutMs / 1_000} s`;
  throw IModelError.of('rate_limited', message, { source: 'runtime', retryAfterMs: waitMs });
}
