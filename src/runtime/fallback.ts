import type { Failure, FailureCode } from '../../schemas/failure.ts';
import type { CallOptions } from '../../schemas/imodel.ts';
import type { EndpointReply, Fields } from '../endpoints/endpoint.ts';
import { IModelError } from '../errors.ts';
import type { ApiCalling } from './api-calling.ts';
import type { LiveModel } from './live-model.ts';

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
    return this.#inner?.timing.firstChunkAt != null;
  }

  /**
   * @param first - Why the model itself failed; thrown when no stand-in does better.
   * @returns The answer of the first stand-in that gives one.
   * @throws IModelError `first`, or the failure of a stand-in that broke off in the middle of a stream.
   */
  async run(first: IModelError): Promise<EndpointReply> {
    for (const model of this.#policy.models) {
      const ended = await this.#try(model);
      this.#records.push({
        id: model.id,
        model: String(ended.payload.model ?? ''),
        status: ended.status,
        ...(ended.failure === null ? {} : { failure: ended.failure.code }),
      });
      const { text, thinking, toolUses, finishReason, usage, response, failure } = ended;
      const reply = { response, view: { text, thinking, toolUses, finishReason, usage } };
      if (failure === null) return reply;
      const error = new IModelError(failure, { cause: ended.error });
      error.partial = reply;
      if (this.#stopped !== null || this.isDelivered) throw error;
    }
    throw first;
  }

  /** Ends what runs. */
  stop(failure: Failure): void {
    this.#stopped = failure;
    this.#inner?.cancel(new IModelError(failure));
  }

  async #try(model: FallbackModel): Promise<ApiCalling> {
    // The model's name belongs to the vendor that failed.
    const { model: _model, ...request } = this.#call.request ?? this.#call.payload;
    const inner = model.createApiCalling(request);
    this.#inner = inner;
    const sink = this.#call.sink === null ? null : (this.#call.outlet ?? this.#call.sink);
    if (sink !== null) {
      inner.sink = {
        write: (chunk) => {
          inner.chunkArrived(model.live.clock.now());
          return sink.write(chunk);
        },
        onDrain: (resume) => sink.onDrain(resume),
      };
    }
    model.live.submit(inner, this.#options);
    if (this.#stopped !== null) inner.cancel(new IModelError(this.#stopped));
    return inner.done;
  }
}
