import type { z } from 'zod';
import type { AnswerView, Chunk } from '../../schemas/chunk.ts';
import type { AbortSource } from '../http/exchange.ts';
import type { RateLimitInfo } from '../http/rate-limit-headers.ts';

/** A request or payload: the fields of one call, spelled as the vendor spells them. */
export type Fields = Readonly<Record<string, unknown>>;

/**
 * Where the chunks of one call go. Pushing is synchronous; backpressure comes back as the return value.
 */
export interface ChunkSink {
  /**
   * Hands over one chunk.
   *
   * @returns False when the reader is behind: stop reading the upstream until {@link onDrain} calls back. The chunk was taken all the same.
   */
  write(chunk: Chunk): boolean;
  /** Calls back once, when there is room again. A later registration replaces an earlier one. */
  onDrain(resume: () => void): void;
}

/** Something an upstream said that has no chunk: kept for the one who looks into a strange run. */
export interface UpstreamNote {
  readonly kind: 'unknown_event' | 'noise';
  /** The event's type, or `line` for noise. */
  readonly type: string;
  readonly raw: unknown;
}

/** The trace that an attempt belongs to. */
export interface JobTrace {
  /** `traceparent` and where there is one `tracestate`, for whoever runs the attempt or a part of it. */
  readonly headers: Readonly<Record<string, string>>;
  /** Told the HTTP status of the vendor's answer. */
  responded?(status: number): void;
}

/** One call as its endpoint sees it. */
export interface EndpointJob {
  /** The id of the call it is an attempt of. */
  readonly callId: string;
  /** What {@link Endpoint.prepare} returned for this call. */
  readonly payload: Fields;
  /** Values of the call that do not go into the body, such as the file of a transcription. */
  readonly transport: Fields;
  /** Where to write chunks; null for a one-shot call. */
  readonly sink: ChunkSink | null;
  /** Aborts when the call must end. Its reason is an `IModelError`. The endpoint rejects once socket or process are gone. */
  readonly signal: AbortSignal;
  /**
   * The same as {@link signal} for a single listener, at a tenth of the cost: making an `AbortSignal` and listening to it takes some
   * microseconds of every call. Absent where the job's maker has only the signal.
   */
  readonly abortSource?: AbortSource;
  /**
   * To be asked when the request is about to be written, by endpoints that can still leave it: true when the upstream has asked meanwhile to be
   * left alone. Then nothing is written and {@link Endpoint.run} rejects; it will be called again when the time has come.
   */
  withheld?(): boolean;
  /** To be called when the request has been handed to an open connection or a running child: the limit's window starts here. */
  sent(): void;
  /** To be called when the upstream began to answer (response headers of a success, first output). A refusal is no answer. */
  answered(): void;
  /** Takes what the upstream said and no chunk can carry, such as an event of a newer version. Synchronous, must not throw. */
  journal?(entry: UpstreamNote): void;
  /** The trace it belongs to; absent or null without one. */
  readonly trace?: JobTrace | null;
  /** Told what the reply's headers say about the vendor's limits, before `run` settles, of failures too; not called when they say nothing. */
  onRateLimit?(info: RateLimitInfo): void;
}

/** What a finished call brought. After a stream, `response` is the aggregate in the shape of a one-shot body where the protocol has one. */
export interface EndpointReply {
  /** The vendor's body, untouched. */
  readonly response: unknown;
  /** The same for every vendor. */
  readonly view: AnswerView;
  /** The agent session this call belongs to, for endpoints that keep sessions. */
  readonly sessionId?: string;
  /** True for an answer that came from this side, of a cache or a hook: it says nothing of the upstream. */
  readonly isUnasked?: boolean;
  /** What it cost in US dollars, where that is not for the iModel's own prices to say; null when nobody knows. */
  readonly cost?: number | null;
}

/** What an endpoint is, in the reference's words; written into dicts. Holds no key. */
export interface EndpointConfig {
  /** Label, `{provider}_{path}`. */
  readonly name: string;
  /** Canonical provider name. */
  readonly provider: string;
  /** Null for endpoints that are no HTTP service. */
  readonly baseUrl: string | null;
  /** Path below the base URL, or the protocol's name. */
  readonly endpoint: string;
  /** How requests are sent. */
  readonly method: 'POST';
  /** How the key travels. */
  readonly authType: 'bearer' | 'x-api-key' | 'none';
  /** Media type of request bodies; null where there are none. */
  readonly contentType: string | null;
  /** Extra headers of every request; credentials among them are redacted wherever they are written down. */
  readonly defaultHeaders: Readonly<Record<string, string>>;
  /** Seconds without the beginning of an answer, or between two pieces of one, before the call fails. */
  readonly timeout: number;
  /** Whether the prompt can be counted, and so `limitTokens` applies. */
  readonly requiresTokens: boolean;
  /** Tokens the model takes; null when that is not known. */
  readonly contextWindow: number | null;
  /** Payload defaults: `model`, `temperature`, …; a request's own fields win. */
  readonly kwargs: Fields;
}

/**
 * Speaks one wire protocol to one vendor, program or script. Implementations keep no queue, no limits and no retries: the iModel's
 * actor owns those.
 */
export interface Endpoint {
  /** What it is and where it sends to. */
  readonly config: EndpointConfig;
  /** True for command-line agents. */
  readonly isCli: boolean;
  /** True for one that another process runs. */
  readonly isElsewhere?: boolean;
  /** True for one that hands calls to an iModel elsewhere, which has spans of its own for them. */
  readonly isRelay?: boolean;
  /** What a request may hold; null when everything passes. */
  readonly requestOptions: z.ZodType | null;
  /** What this kind of endpoint can bear when its user says nothing. @defaultValue queue 100, no limit on concurrency */
  readonly defaultLimits?: { readonly queueCapacity: number; readonly concurrency: number | null };
  /** Names of request fields that go to {@link EndpointJob.transport} instead of the body. */
  readonly transportFields: readonly string[];
  /**
   * For endpoints that keep sessions: the id of the last one a call confirmed, null to begin anew. {@link prepare} lets a call go on with it
   * unless the request names a session itself. A copy that shares the session is given it; any other starts with null.
   */
  sessionId?: string | null | undefined;
  /** Milliseconds {@link run} may need after its signal aborted, until its transport is gone. @defaultValue the executor's own */
  readonly stopGraceMs?: number;

  /**
   * Checks a request and builds the payload: defaults overlaid by the request, translated to the vendor's fields. Never changes its
   * argument, and copies what it edits. No key is read here.
   *
   * @throws IModelError `invalid_request`, naming the field and printing the value.
   */
  prepare(request: Fields): Fields;

  /**
   * Checks what a request holds of {@link transportFields}, where it holds any. Absent where nothing is checked before it is used.
   *
   * @throws IModelError `invalid_request`, naming the field.
   */
  checkTransport?(transport: Fields): void;

  /** Estimated prompt tokens plus the requested maximum of the answer; 0 when the endpoint does not count. Never throws. */
  estimateTokens(payload: Fields): number;

  /**
   * Runs one call once.
   *
   * @throws IModelError whatever stopped it; when the signal aborted, the signal's reason, and only after the transport is gone.
   */
  run(job: EndpointJob): Promise<EndpointReply>;

  /**
   * Names what a one-shot call asks of whom, for response caches: method, URL, payload and a hash of the key. Null when answers must not be
   * reused. Absent where nothing can be.
   *
   * @throws IModelError `missing_api_key`, as {@link run} would.
   */
  cacheKey?(payload: Fields, transport: Fields): string | null;

  /** Frees pooled connections and child processes. */
  close(): Promise<void>;
}
