import { createActor } from 'xstate';
import type { Dispatcher } from '../../../actors/dispatcher.ts';
import type { DispatcherEvent } from '../../../actors/dispatcher-events.ts';
import { type ModelActor, type ModelInput, type ModelRegions, modelMachine } from '../../../actors/imodel.ts';
import type { OwnerEvent } from '../../../actors/recorder.ts';
import { IModelError } from '../../errors.ts';

/** Hears what becomes of an actor. Must not throw. @internal */
export interface LiveActorObserver {
  turned(before: ModelRegions, regions: ModelRegions): void;
  /** The machine itself failed: a fault of ours. It hears nothing any more. */
  failed(error: unknown): void;
}

/** The machine of one iModel and its dispatcher, running. @internal */
export class LiveActor {
  readonly dispatcher: Dispatcher;
  /** Tells the dispatcher. */
  readonly send: (event: DispatcherEvent) => void;
  readonly #actor: ModelActor;
  #regions: ModelRegions;
  #fault: unknown = null;
  #stopped = false;

  constructor(input: ModelInput, observer: LiveActorObserver) {
    this.#actor = createActor(modelMachine, { clock: input.clock, input });
    this.#actor.subscribe({
      next: ({ value }) => {
        const before = this.#regions;
        this.#regions = value;
        observer.turned(before, value);
      },
      error: (error) => {
        this.#fault = error;
        this.#stopped = true;
        observer.failed(error);
      },
    });
    this.#regions = this.#actor.getSnapshot().value;
    this.#actor.start();
    const dispatcher = this.#actor.getSnapshot().children.dispatcher;
    if (dispatcher === undefined) throw IModelError.of('internal', 'The machine has no dispatcher', {});
    this.dispatcher = dispatcher.getSnapshot().dispatcher;
    this.send = (event) => dispatcher.send(event);
  }

  /** What the regions of the machine say. */
  get regions(): ModelRegions {
    return this.#regions;
  }

  /** Why it stopped by itself; null when it did not. */
  get fault(): unknown {
    return this.#fault;
  }

  /** True when it hears nothing any more: what is sent to it then would only be warned about. */
  get isStopped(): boolean {
    return this.#stopped;
  }

  /** Tells the machine. */
  tell(event: OwnerEvent): void {
    this.#actor.send(event);
  }

  /** Resolves when its life is over, or it has failed. */
  async untilClosed(): Promise<void> {
    if (this.#fault !== null || this.#regions.life === 'closed') return;
    await new Promise<void>((resolve) => {
      const subscription = this.#actor.subscribe({
        next: ({ value }) => {
          if (value.life !== 'closed') return;
          subscription.unsubscribe();
          resolve();
        },
        error: () => resolve(),
        complete: () => resolve(),
      });
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#actor.stop();
  }
}
