import type { Clock } from '../actors/clock.ts';
import type { ModelOptions } from '../schemas/imodel.ts';
import type { Bus } from './bus/bus.ts';
import type { Endpoint } from './endpoints/endpoint.ts';
import type { StreamingProcessFunc } from './hooks/chunk-handling.ts';
import type { HookRegistry, HookRegistryOptions } from './hooks/registry.ts';
import type { iModel } from './imodel.ts';

/** What cannot be written down and so is no part of {@link ModelOptions}. */
export interface IModelFunctions {
  /** An endpoint of your own instead of one matched by name. It is not copied, and not closed with the iModel's other resources spared. */
  readonly endpoint?: string | Endpoint | undefined;
  /** Changes chunks of streams; see {@link StreamingProcessFunc}. */
  readonly streamingProcessFunc?: StreamingProcessFunc | null | undefined;
  /** Code that sees or changes calls at named points: a registry, which may be shared, or what one is made from. */
  readonly hookRegistry?: HookRegistry | HookRegistryOptions | null | undefined;
  /**
   * Models to ask, in this order and before the first chunk, when a call has failed for good with a failure that is retryable or in
   * `fallbackOn`: names as in `model`, options of an iModel, or iModels of yours. Those made here are closed with this one.
   *
   * @defaultValue none
   */
  readonly fallbacks?: readonly (string | IModelOptions | iModel)[] | undefined;
  /** Reaches the endpoint when it runs elsewhere: needed with `endpoint: 'remote'`. Stays the caller's to close. */
  readonly bus?: Bus | undefined;
  /** Where time comes from. @defaultValue the machine's clock */
  readonly clock?: Clock | undefined;
  /** Where keys and `LIONAGI_CHAT_PROVIDER` are looked up. @defaultValue `process.env`, read at call time */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
}

/** Options of an iModel: ours, and beside them the provider's (`model`, `temperature`, …), which become defaults of every request. */
export type IModelOptions = Omit<ModelOptions, 'endpoint'> & IModelFunctions & { readonly [option: string]: unknown };

/** How an iModel is copied. */
export interface CopyOptions {
  /** Whether the copy goes on with the same agent session. @defaultValue false */
  readonly shareSession?: boolean;
  /** The endpoint of the copy. @defaultValue another one of the same kind, where this one was made by name */
  readonly endpoint?: Endpoint;
}
