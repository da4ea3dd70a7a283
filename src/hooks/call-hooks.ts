import type { Clock } from '../../actors/clock.ts';
import type { CallOutcome, HookPoint } from '../../schemas/hook.ts';
import type { EndpointReply } from '../endpoints/endpoint.ts';
import { IModelError, toFailure } from '../errors.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';
import type { BusHooks } from './bus-hooks.ts';
import { HookEvent, isCancellation } from './hook-event.ts';
import type { HookOverrides } from './overrides.ts';
import type { RegisteredHooks } from './registry.ts';

/** Seconds that a post hook has when its call was ended, rather than ended by itself: somebody waits for the slot. */
const teardownGrace = 5;

/** What the hooks of a call work with. */
export interface CallHooksOptions {
  readonly registered: RegisteredHooks;
  /** The hooks on the bus, asked after those in this process; null without any. */
  readonly onBus: BusHooks | null;
  readonly overrides: HookOverrides | null;
  /** The iModel's `exitHook`. */
  readonly exit: boolean;
  readonly clock: Clock;
  /** Hears of every run. */
  readonly report: (event: HookEvent, call: ApiCalling) => void;
}

/** The hooks one call began with, and how far it has come. */
export class CallHooks {
  readonly options: CallHooksOptions;
  /** Whether the pre hook has let the call pass, so that the post hook runs. */
  passed = false;
  /** What a hook on the bus has answered in the vendor's place. */
  given: EndpointReply | null = null;

  constructor(options: CallHooksOptions) {
    this.options = options;
  }

  has(point: HookPoint): boolean {
    const { registered, onBus } = this.options;
    return registered.hooks[point] !== undefined || onBus?.asksAt(point) === true;
  }

  /** The same hooks for another call. */
  renew(): CallHooks {
    return new CallHooks(this.options);
  }

  /**
   * Asks the pre hook, then those on the bus, which may change the call or answer in the vendor's place.
   *
   * @throws IModelError `vetoed` with the hook's error as cause, `timed_out` in phase `hook`, `cancelled` when it took the call back; what
   * `stop` was aborted with.
   */
  async before(call: ApiCalling, stop: AbortSignal): Promise<void> {
    const event = this.#event('pre_invocation', call, stop);
    if (event !== null) {
      await event.invoke();
      this.#tell(event, call);
      stop.throwIfAborted();
      if (event.error !== null) throw refusalBy(event);
    }
    await this.askOnBus('pre_invocation', call, stop);
  }

  /**
   * Asks the hooks on the bus at one of the two points before a call is sent, unless one has answered already.
   *
   * @param caller - Who calls, while the call does not know it yet.
   * @throws IModelError as {@link before}.
   */
  async askOnBus(
    point: 'pre_event_create' | 'pre_invocation',
    call: ApiCalling,
    stop: AbortSignal,
    caller?: string,
  ): Promise<void> {
    const { onBus } = this.options;
    if (onBus !== null && this.given === null) this.given = await onBus.before(point, call, stop, caller);
  }

  /**
   * Tells the post hook how the call ends, then those on the bus.
   *
   * @returns Why a call that completed has failed after all; null when it stays as it is.
   */
  async after(call: ApiCalling, outcome: CallOutcome, stop: AbortSignal): Promise<IModelError | null> {
    const isTeardown = outcome === 'cancelled' || outcome === 'aborted' || outcome === 'closed';
    const grace = isTeardown ? teardownGrace : Number.POSITIVE_INFINITY;
    const spoiled = await this.#afterInProcess(call, outcome, stop, grace);
    const { onBus } = this.options;
    if (onBus === null) return spoiled;
    const refusal = await onBus.after(call, outcome, stop, grace * 1_000);
    if (refusal !== null) record(call, 'hook_errors', { hook: 'post_invocation', ...said(refusal) });
    return spoiled ?? refusal;
  }

  async #afterInProcess(
    call: ApiCalling,
    outcome: CallOutcome,
    stop: AbortSignal,
    grace: number,
  ): Promise<IModelError | null> {
    const event = this.#event('post_invocation', call, stop, grace);
    if (event === null) return null;
    await event.invoke();
    this.#tell(event, call);
    if (event.error === null) return null;
    const error = refusalBy(event);
    record(call, 'hook_errors', { hook: event.point, ...said(error) });
    return event.exit && outcome === 'completed' ? error : null;
  }

  #event(
    point: 'pre_invocation' | 'post_invocation',
    call: ApiCalling,
    stop: AbortSignal,
    limit = Number.POSITIVE_INFINITY,
  ) {
    const { registered, overrides, exit, clock } = this.options;
    const hook = registered.hooks[point];
    if (hook === undefined) return null;
    const given = overrides?.[point];
    const timeout = given?.timeout ?? 30;
    return new HookEvent({
      point,
      hook,
      subject: call,
      exit: given?.exit ?? exit,
      timeout: Math.min(timeout, limit),
      params: given?.params,
      clock,
      stop,
    });
  }

  #tell(event: HookEvent, call: ApiCalling): void {
    if (event.overran) record(call, 'hook_overruns', { hook: event.point, duration: event.duration });
    this.options.report(event, call);
  }
}

/** The failure of a hook as the failure of its call. */
export function refusalBy(event: HookEvent): IModelError {
  const { error, point } = event;
  if (IModelError.is(error) && (error.failure.code === 'timed_out' || error.failure.code === 'vetoed')) return error;
  const { message } = toFailure(error);
  if (isCancellation(error)) {
    return IModelError.of('cancelled', `The hook ${point} took the call back: ${message}`, {}, { cause: error });
  }
  return IModelError.of('vetoed', `The hook ${point} threw: ${message}`, { hook: point }, { cause: error });
}

function said({ code, message }: IModelError): { readonly code: string; readonly message: string } {
  return { code, message };
}

/** Adds a line to one of the lists that a call's metadata keep of its hooks. */
function record(call: ApiCalling, name: 'hook_errors' | 'hook_overruns', line: Record<string, unknown>): void {
  const { metadata } = call;
  const { [name]: lines } = metadata;
  // A hook may have frozen them: a call must not fail of what is only noted.
  Reflect.set(metadata, name, Array.isArray(lines) ? [...lines, line] : [line]);
}
