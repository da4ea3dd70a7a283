import type { CallRow } from '../../../actors/call-row.ts';
import type { Failure } from '../../../schemas/failure.ts';
import type {
  ChunkSink,
  Endpoint,
  EndpointJob,
  EndpointReply,
  Fields,
  JobTrace,
  UpstreamNote,
} from '../../endpoints/endpoint.ts';
import { IModelError } from '../../errors.ts';
import type { AbortSource } from '../../http/exchange.ts';
import type { RateLimitInfo } from '../../http/rate-limit-headers.ts';
import type { ApiCalling } from './api-calling.ts';
import { FirstChunkGuard } from './first-chunk-guard.ts';

/** What runs tell of. */
export interface CallRunListener {
  /** Whether nothing should be written now. */
  withholds(): boolean;
  sent(run: CallRun): void;
  answered(run: CallRun): void;
  learned(info: RateLimitInfo): void;
  noted(run: CallRun, note: UpstreamNote): void;
}

/** One attempt of a call, as its endpoint sees it. */
export class CallRun implements EndpointJob, AbortSource {
  readonly call: ApiCalling;
  readonly row: CallRow;
  readonly sink: ChunkSink | null;
  readonly #listener: CallRunListener;
  readonly #guard: FirstChunkGuard | null;
  #controller: AbortController | null = null;
  #abortListener: { handleEvent(): void } | null = null;
  #hasAnswered = false;
  trace: JobTrace | null;
  /** Whether it left its request unwritten. */
  isWithheld = false;
  aborted = false;
  reason: unknown;

  constructor(call: ApiCalling, row: CallRow, listener: CallRunListener) {
    this.call = call;
    this.row = row;
    this.#listener = listener;
    this.#guard = call.sink === null ? null : new FirstChunkGuard(call, call.outlet ?? call.sink);
    this.sink = this.#guard;
    this.trace = call.trace === null ? null : { headers: call.trace };
  }

  /** Has an endpoint make the attempt. */
  on(endpoint: Pick<Endpoint, 'run'>): Promise<EndpointReply> {
    const { own, span } = this.call;
    own?.take();
    try {
      const attempt = span?.attempt() ?? null;
      if (attempt === null) return endpoint.run(this);
      this.trace = attempt;
      return attempt.follow(() => endpoint.run(this));
    } finally {
      own?.give();
    }
  }

  get callId(): string {
    return this.call.id;
  }

  get payload(): Fields {
    return this.call.payload;
  }

  get transport(): Fields {
    return this.call.transport;
  }

  /** Made only for endpoints that ask for it; see {@link EndpointJob.abortSource}. */
  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.aborted) this.#controller.abort(this.reason);
    }
    return this.#controller.signal;
  }

  get abortSource(): AbortSource {
    return this;
  }

  /** Whether the caller has seen something of this attempt. */
  get isDelivered(): boolean {
    return this.#guard?.isDelivered ?? false;
  }

  addEventListener(_type: 'abort', listener: { handleEvent(): void }): void {
    this.#abortListener = listener;
  }

  removeEventListener(_type: 'abort', listener: { handleEvent(): void }): void {
    if (this.#abortListener === listener) this.#abortListener = null;
  }

  withheld(): boolean {
    this.isWithheld = this.#listener.withholds();
    return this.isWithheld;
  }

  sent(): void {
    this.#listener.sent(this);
  }

  answered(): void {
    // An endpoint may say so twice, or when its call has ended without it.
    if (this.#hasAnswered || this.call.ended) return;
    this.#hasAnswered = true;
    this.#listener.answered(this);
  }

  onRateLimit(info: RateLimitInfo): void {
    this.#listener.learned(info);
  }

  journal(note: UpstreamNote): void {
    this.#listener.noted(this, note);
  }

  /** Tells the endpoint to end it. */
  stop(failure: Failure): void {
    this.aborted = true;
    this.reason = new IModelError(failure);
    this.#controller?.abort(this.reason);
    this.#abortListener?.handleEvent();
  }

  /** Hands over what was held back, when no other attempt will follow. */
  release(): void {
    this.#guard?.release();
  }
}
