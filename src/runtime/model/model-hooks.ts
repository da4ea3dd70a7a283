import type { Clock } from '../../../actors/clock.ts';
import type { AskedHookOptions } from '../../../schemas/imodel.ts';
import { toFailure } from '../../errors.ts';
import { BusHooks } from '../../hooks/bus-hooks.ts';
import { CallHooks } from '../../hooks/call-hooks.ts';
import { ChunkHandling, type StreamingProcessFunc } from '../../hooks/chunk-handling.ts';
import { ChunkOutlet } from '../../hooks/chunk-outlet.ts';
import type { HookOverrides } from '../../hooks/overrides.ts';
import type { HookRegistry } from '../../hooks/registry.ts';
import type { ApiCalling } from '../calls/api-calling.ts';
import { discardingSink } from '../calls/chunk-buffer.ts';
import type { ModelEvents } from './model-events.ts';

/** What sees or changes the calls of one iModel. @internal */
export interface HookOptions {
  readonly registry: HookRegistry;
  /** The hooks on the bus that it asks. */
  readonly onBus: readonly AskedHookOptions[];
  /** Runs for the chunks of streams that have no handler. */
  readonly process: StreamingProcessFunc | null;
  /** Whether a hook's failure ends its call, unless the call says otherwise. */
  readonly exit: boolean;
}

/** What the hooks of an iModel work with. @internal */
export interface ModelHooksInit extends HookOptions {
  readonly modelId: string;
  readonly clock: Clock;
  readonly events: ModelEvents;
  /** Ends a call for a reason that is not the endpoint's. */
  readonly fail: (call: ApiCalling, error: unknown) => void;
}

/** The hooks of one iModel, in the process and on the bus, and how they come to its calls. @internal */
export class ModelHooks {
  readonly registry: HookRegistry;
  /** Null for most models. */
  readonly onBus: BusHooks | null;
  readonly exit: boolean;
  readonly #init: ModelHooksInit;

  constructor(init: ModelHooksInit) {
    const { modelId, registry, onBus, exit, clock, events } = init;
    this.#init = init;
    this.registry = registry;
    this.exit = exit;
    this.onBus =
      onBus.length === 0
        ? null
        : new BusHooks({
            modelId,
            hooks: onBus,
            clock,
            report: (hook, failure, call) => events.hookReport(hook, failure, call),
          });
  }

  /** Whether somebody is to be asked before a call is made. */
  get asksBeforeCreation(): boolean {
    return (
      this.registry.registered.hooks.pre_event_create !== undefined || this.onBus?.asksAt('pre_event_create') === true
    );
  }

  /** Gives a call the hooks that are registered now, unless it has its own; none when there are none. */
  attach(call: ApiCalling, overrides: HookOverrides | null = null): void {
    if (call.hooks !== null || (this.registry.isEmpty && this.onBus === null)) return;
    const { clock, events } = this.#init;
    call.hooks = new CallHooks({
      registered: this.registry.registered,
      onBus: this.onBus,
      overrides,
      exit: this.exit,
      clock,
      report: (event, hooked) => events.hook(event, hooked),
    });
  }

  /** Puts between a call and its reader what sees or changes its chunks, as it is now; nothing when there is nothing. */
  placeOutlet(call: ApiCalling): void {
    const { handlers } = this.registry.registered;
    const { process, clock, events, fail } = this.#init;
    const isRead = call.sink !== null && call.sink !== discardingSink;
    const isHandled = isRead && (handlers.size > 0 || process !== null);
    const busHooks = this.onBus?.asksAt('chunk') === true ? this.onBus : null;
    if (!isHandled && busHooks === null) return;
    const handling = new ChunkHandling({
      handlers,
      process,
      exit: this.exit,
      report: (hook, error, handled) => events.hookReport(hook, toFailure(error), handled),
    });
    call.outlet = new ChunkOutlet({
      call,
      sink: call.sink ?? discardingSink,
      clock,
      handling: isHandled ? handling : null,
      busHooks,
      refuse: (error) => fail(call, error),
    });
  }
}
