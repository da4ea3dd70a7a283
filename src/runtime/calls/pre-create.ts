import type { CallOptions } from '../../../schemas/imodel.ts';
import type { Fields } from '../../endpoints/endpoint.ts';
import { IModelError, printValue } from '../../errors.ts';
import { refusalBy } from '../../hooks/call-hooks.ts';
import type { CallClass } from '../../hooks/hook.ts';
import { HookEvent } from '../../hooks/hook-event.ts';
import type { HookOverrides } from '../../hooks/overrides.ts';
import type { LiveModel } from '../model/live-model.ts';
import { ApiCalling } from './api-calling.ts';

/** What the hooks before a call's creation are asked with. */
export interface PreCreateQuestion {
  readonly live: LiveModel;
  /** What the call will be made from; the hook finds it as `request` in its context. */
  readonly request: Fields;
  readonly overrides: HookOverrides | null;
  /** Makes the call, unless the hook has made one. */
  readonly create: () => ApiCalling;
  /** Ends the waiting for the hooks. */
  readonly stop?: AbortSignal | undefined;
  /** Who calls. */
  readonly caller?: string | undefined;
  /** Milliseconds that the call has. */
  readonly timeoutMs?: number | undefined;
}

const neverStopped = new AbortController().signal;

/**
 * Asks the hook before a call's creation, makes the call, and asks the hooks on the bus, who may change it.
 *
 * @returns The call, or the one of the right class and of this iModel that the hook returned in its place.
 * @throws IModelError `vetoed` or `timed_out` when the hook failed and was to end the call; `cancelled` when it took the call back; `vetoed`
 * by a hook on the bus; `timed_out` when the time of the call is up before they have answered.
 */
export async function createAfterHooks(question: PreCreateQuestion): Promise<ApiCalling> {
  const { live, stop, timeoutMs } = question;
  if (timeoutMs === undefined) return askAll(question);
  const limit = new AbortController();
  const timer = live.clock.setTimeout(() => limit.abort(), timeoutMs);
  try {
    const call = await askAll({
      ...question,
      stop: stop === undefined ? limit.signal : AbortSignal.any([stop, limit.signal]),
    });
    if (!limit.signal.aborted) return call;
  } finally {
    live.clock.clearTimeout(timer);
  }
  const message = `The call has not been made within its ${timeoutMs} ms: a hook before creation took longer`;
  throw IModelError.of('timed_out', message, { phase: 'hook', timeoutMs });
}

/** The options of a call whose hooks before creation were asked at an instant: what is left of its time. */
export function optionsAfterHooks(options: CallOptions, { clock }: LiveModel, askedAt: number): CallOptions {
  const { timeoutMs } = options;
  return timeoutMs === undefined ? options : { ...options, timeoutMs: Math.max(1, timeoutMs - clock.now() + askedAt) };
}

async function askAll(question: PreCreateQuestion): Promise<ApiCalling> {
  const { live, overrides, stop = neverStopped, caller } = question;
  const call = await createAfterHook(question);
  live.hooks.attach(call, overrides);
  try {
    await call.hooks?.askOnBus('pre_event_create', call, stop, caller);
  } catch (error) {
    // As below: it is told when it is submitted.
    if (!stop.aborted) throw error;
  }
  return call;
}

async function createAfterHook(question: PreCreateQuestion): Promise<ApiCalling> {
  const { live, request, overrides, create, stop } = question;
  const hook = live.hooks.registry.registered.hooks.pre_event_create;
  if (hook === undefined) return create();
  const callClass = callClassOf(overrides);
  const { exit, timeout, params } = overrides?.pre_event_create ?? {};
  const event = new HookEvent({
    point: 'pre_event_create',
    hook,
    subject: callClass,
    exit: exit ?? live.hooks.exit,
    timeout,
    params: { ...params, request },
    clock: live.clock,
    stop,
  });
  await event.invoke();
  // A caller that takes the call back is told so when it is submitted.
  if (event.shouldExit && stop?.aborted !== true) {
    live.events.hook(event, null);
    throw refusalBy(event);
  }
  const { response } = event;
  const call = response instanceof callClass && response.isOwnedBy(live) ? response : create();
  event.belongsTo(call);
  live.events.hook(event, call);
  return call;
}

/**
 * The class a call is to be made of.
 *
 * @throws IModelError `invalid_request` for one that is no class of calls.
 */
export function callClassOf(overrides: HookOverrides | null): CallClass {
  const given: unknown = overrides?.callClass ?? ApiCalling;
  if (given === ApiCalling || (typeof given === 'function' && given.prototype instanceof ApiCalling)) {
    return given as CallClass;
  }
  const value = printValue(given);
  throw IModelError.of('invalid_request', `Expected \`createEventType\` to be a class of calls, got ${value}`, {
    path: 'createEventType',
    value,
  });
}
