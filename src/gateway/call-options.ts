import { randomUUID } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { CallOptions } from '../../schemas/imodel.ts';
import { noHeaders } from '../bus/headers.ts';
import { IModelError } from '../errors.ts';
import type { Backlog } from '../runtime/model/model-state.ts';
import { fromHeaders } from '../runtime/serving/wire-options.ts';
import { soonestStartMs } from './queue-headers.ts';

/** The options of a call that came over HTTP: it has an id, and does not wait for ever. */
export type HttpCallOptions = CallOptions & { readonly callId: string; readonly queueTimeoutMs: number };

/** What the options of a call have beside what its headers say. */
export interface GivenOptions {
  /** Milliseconds a call may wait, unless its headers ask for less. */
  readonly queueTimeoutMs: number;
  /** Aborts when its caller leaves; undefined for a call that goes on without it. */
  readonly signal: AbortSignal | undefined;
}

/**
 * The options of a call in its request's headers, which are those of the bus: `Imodel-Priority` and the like. Whose call it is, how many shares it
 * has and how urgent it may be is its key's to say, where it has one.
 */
export function callOptionsOf(
  { headers, caller, trace }: FastifyRequest,
  { queueTimeoutMs, signal }: GivenOptions,
): HttpCallOptions {
  let own = noHeaders;
  for (const name in headers) {
    if (!name.startsWith('imodel-')) continue;
    const value = headers[name];
    if (typeof value === 'string') own = { ...own, [name]: value };
  }
  const asked = fromHeaders(own);
  const options: HttpCallOptions = {
    ...asked,
    callId: asked.callId ?? randomUUID(),
    queueTimeoutMs: Math.min(asked.queueTimeoutMs ?? queueTimeoutMs, queueTimeoutMs),
  };
  if (signal !== undefined) options.signal = signal;
  if (trace !== null) Object.assign(options, trace);
  if (caller === null) return options;
  const { weight, maxPriority = 0 } = caller.config;
  const priority = Math.min(asked.priority ?? 0, maxPriority);
  return { ...options, caller: caller.name, weight, priority };
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
export function refuseHopeless(backlog: Backlog, { queueTimeoutMs, priority = 0, caller = '' }: HttpCallOptions): void {
  const waitMs = soonestStartMs(backlog, Date.now(), { mayOvertake: priority > 0 || caller !== '' });
  if (waitMs <= queueTimeoutMs) return;
  const message = `The limit of ${backlog.budget.requests.limit} requests leaves no room for another ${Math.ceil(waitMs / 1_000)} s, and the call may wait ${queueTimeoutMs / 1_000} s`;
  throw IModelError.of('rate_limited', message, { source: 'runtime', retryAfterMs: waitMs });
}
