import type { Failure, FailureCode } from '../../../schemas/failure.ts';
import type { CallOptions } from '../../../schemas/imodel.ts';
import type { EndpointReply, Fields } from '../../endpoints/endpoint.ts';
import { extraHeaders } from '../../endpoints/extra-headers.ts';
import { IModelError, toFailure } from '../../errors.ts';
import type { LiveModel } from '../model/live-model.ts';
import type { ApiCalling } from './api-calling.ts';
import { FirstChunkGuard } from './first-chunk-guard.ts';

/** An iModel that stands in for another. */
export interface FallbackModel {
  readonly id: string;
  readonly live: LiveModel;
  createApiCalling(request: Fields): ApiCalling;
}

/** How one stand-in fared, as the call's metadata tells it. */
export interface FallbackRecord {
  readonly id: string;
  readonly model: string;
  readonly status: string;
  readonly failure?: FailureCode;
}

/** Which stand-ins a model has, and for what. */
export interface FallbackPolicy {
  /** Tried in order, each once. */
  readonly models: readonly FallbackModel[];
  /** Failures that are worth another model, beside those that are retryable. */
  readonly codes: readonly FailureCode[];
}

/** Whether a failure is worth another model. */
export function isWorthFallback({ codes }: FallbackPolicy, failure: Failure): boolean {
  return failure.retryable || codes.includes(failure.code);
}

/** Carries one call on with other models, one after the other, until one answers. */
export class Rescue {
  readonly #call: ApiCalling;
  readonly #policy: FallbackPolicy;
  readonly #options: CallOptions;
  readonly #records: FallbackRecord[] = [];
  #inner: ApiCalling | null = null;
  #guard: FirstChunkGuard | null = null;
  #stopped: Failure | null = null;

  /** @param options - The call's own, with the time that is left. */
  constructor(call: ApiCalling, policy: FallbackPolicy, options: CallOptions) {
    this.#call = call;
    this.#policy = policy;
    this.#options = options;
    call.metadata.fallbacks = this.#records;
  }

  /** True when a stand-in has written something to the caller: from then on none other may. */
  get isDelivered(): boolean {
    return this.#guard?.isDelivered ?? false;
  }

  /**
   * @param first - Why the model itself failed; thrown when no stand-in does better.
   * @returns The answer of the first stand-in that gives one.
   * @throws IModelError `first`, or the failure of a stand-in that broke off in the middle of a stream.
   */
  async run(first: IModelError): Promise<EndpointReply> {
    for (const model of this.#policy.models) {
      const reply = await this.#ask(model);
      if (reply !== null) return reply;
    }
    throw first;
  }

  /** Ends what runs. */
  stop(failure: Failure): void {
    this.#stopped = failure;
    this.#inner?.cancel(new IModelError(failure));
  }

  /** @returns The stand-in's answer; null when it has none and another may be asked. */
  async #ask(model: FallbackModel): Promise<EndpointReply | null> {
    const inner = this.#callOf(model);
    if (inner === null) return null;
    model.live.submit(inner, this.#options);
    if (this.#stopped !== null) inner.cancel(new IModelError(this.#stopped));
    const { status, failure, error, response, text, thinking, toolUses, finishReason, usage, cost } = await inner.done;
    this.#note(model, status, failure);
    const reply: EndpointReply = { response, view: { text, thinking, toolUses, finishReason, usage }, cost };
    if (failure === null) return reply;
    if (this.#stopped === null && !this.isDelivered) {
      this.#call.alsoSpent({ usage, cost });
      return null;
    }
    const thrown = new IModelError(failure, { cause: error });
    thrown.partial = reply;
    throw thrown;
  }

  /** The same request to another model; null when that one does not take it. */
  #callOf(model: FallbackModel): ApiCalling | null {
    const call = this.#call;
    // The model's name belongs to the vendor that failed.
    const { model: _model, ...request } = call.request ?? call.payload;
    try {
      this.#inner = model.createApiCalling({ ...request, ...takenBy(model, call.transport) });
    } catch (error) {
      this.#note(model, 'skipped', toFailure(error));
      return null;
    }
    const inner = this.#inner;
    if (call.sink !== null) {
      const guard = new FirstChunkGuard(call, call.outlet ?? call.sink);
      this.#guard = guard;
      inner.sink = {
        write: (chunk) => {
          inner.chunkArrived(model.live.clock.now());
          return guard.write(chunk);
        },
        onDrain: (resume) => guard.onDrain(resume),
      };
    }
    return inner;
  }

  #note({ id, live }: FallbackModel, status: string, failure: Failure | null): void {
    const model = String(live.endpoint.config.kwargs.model ?? '');
    this.#records.push({ id, model, status, ...(failure === null ? {} : { failure: failure.code }) });
  }
}

/** Files and the like, as far as another model takes them; headers were meant for the vendor that failed. */
function takenBy({ live }: FallbackModel, transport: Fields): Fields {
  const names = live.endpoint.transportFields.filter((name) => name in transport && name !== extraHeaders);
  return Object.fromEntries(names.map((name) => [name, transport[name]]));
}
