import type { z } from 'zod';
import type { AnswerView } from '../../schemas/chunk.ts';
import type { BodyReader, HttpResponse } from '../http/exchange.ts';
import type { VendorError } from '../http/vendor-error.ts';
import type { Answer } from './answer.ts';
import type { EndpointReply, Fields } from './endpoint.ts';

/** What a converter learns about the call it works for. */
export interface WireContext {
  /** True when the answer will be streamed. */
  readonly streaming: boolean;
  /** Canonical provider name. */
  readonly provider: string;
  /** Whether fields that the named model is known not to take are changed or left out; see `EndpointOptions.fitToModel`. */
  readonly fitsToModel: boolean;
  /** Tells of a request field that was changed or left out; see `EndpointOptions.onWarning`. */
  warn(message: string): void;
}

/** Reads the events of one streamed answer. Made anew for each stream. */
export interface StreamReading {
  /**
   * Takes one event.
   *
   * @param event - The parsed JSON.
   * @param name - The event's name on the wire, where the protocol has one.
   * @returns True when the answer is complete; whatever still comes is ignored.
   * @throws VendorFault when the vendor reports an error inside the stream.
   */
  event(event: unknown, name: string | undefined): boolean;
  /**
   * Hears that no more events come.
   *
   * @param terminated - True after `[DONE]`, false when the body just ended.
   * @returns True when the answer is complete (there was a terminator or a finish reason), false when it was cut short.
   */
  end(terminated: boolean): boolean;
  /** The answer as a one-shot call would have brought it. */
  response(): unknown;
}

/** Reads one answer that comes as plain bytes. */
export interface BytesReading {
  /** Takes the next bytes. They are the reader's from then on. */
  bytes(piece: Buffer): void;
  /** The answer as a one-shot call would have brought it. */
  response(): unknown;
}

/** An error a vendor reported inside a stream, or in a body with a success status. */
export class VendorFault extends Error {
  readonly vendor: VendorError;
  /** The vendor's event or body. */
  readonly raw: unknown;

  constructor(vendor: VendorError, raw: unknown) {
    super(vendor.message);
    this.vendor = vendor;
    this.raw = raw;
  }
}

/** A body ready to be written. */
export interface EncodedBody {
  readonly body: string | Uint8Array | null;
  readonly contentType: string | null;
}

/** Lets {@link Protocol.around} send requests of its own, with the call's key, headers, limits and signal. */
export interface SideRequests {
  readonly payload: Fields;
  /** The call's transport fields. */
  readonly transport: Fields;
  readonly signal: AbortSignal;
  /** Scheme, host and port. */
  readonly origin: string;
  /** The path of the base URL, without a slash at its end. */
  readonly basePath: string;
  /**
   * Sends one request to the same host and resolves with its reply.
   *
   * @param path - From the root of the host, with query.
   * @param options.reader - Takes a body with a success status as it comes.
   * @param options.signal - In place of the call's own.
   * @throws VendorFault when the status is no success.
   */
  send(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    options?: { readonly body?: unknown; readonly reader?: BodyReader; readonly signal?: AbortSignal },
  ): Promise<HttpResponse>;
}

/**
 * How to speak one wire protocol: pure converters, no I/O and no state of their own. A vendor's oddity is an option of the function that
 * makes the protocol, never a name compared in here.
 */
export interface Protocol {
  /** What a request may hold, checked before anything else; null passes everything. */
  readonly schema: z.ZodObject | null;
  /** Names of request fields that do not go into the body. */
  readonly transportFields?: readonly string[];
  /** How the pieces of a stream are told apart; null for protocols that do not stream. */
  readonly framing: 'sse' | 'ndjson' | null;

  /** Spellings of callers to those of the schema, before the check. Must not change its argument. */
  accept?(request: Fields): Fields;
  /** Request to payload: translates what callers write into what the vendor reads. Must not change its argument. */
  toWire(request: Fields, context: WireContext): Fields;
  /** What the body holds beyond the payload, depending on how it is sent (`stream`, `stream_options`). */
  finishWire?(payload: Fields, streaming: boolean): Fields;
  /** Payload to bytes; JSON unless given. */
  encode?(payload: Fields, transport: Fields): EncodedBody | Promise<EncodedBody>;
  /** Bytes to the value that becomes `response`; JSON unless given. */
  decode?(reply: HttpResponse): unknown;
  /** The error a body with a success status holds, or null. */
  faultIn?(body: unknown): VendorError | null;
  /** Body to the shared view. */
  fromWire(body: unknown): AnswerView;
  /**
   * Begins to read a stream. Absent where {@link framing} is null.
   *
   * @param payload - What was asked.
   */
  openStream?(answer: Answer, payload: Fields): StreamReading;
  /**
   * Begins to read an answer that is no events but bytes, such as sound, for a streaming caller.
   *
   * @param contentType - What the bytes are, by the reply's header; empty without one.
   */
  openBytes?(answer: Answer, contentType: string): BytesReading;
  /** Writes to a streaming caller what of a body that came in one piece is not in the view, such as images. */
  writeWhole?(answer: Answer, body: unknown): void;
  /** A vendor's own way to word its errors; the common dialects unless given. */
  readError?(body: unknown, text: string, reply: HttpResponse): VendorError;
  /** What happens before or after the exchange itself: a model to fetch first, a job to wait for. */
  around?(side: SideRequests, exchange: () => Promise<EndpointReply>): Promise<EndpointReply>;
}

/** One endpoint of a vendor over HTTP, as a provider's list holds it: data, and the protocol it speaks. */
export interface HttpEndpointKind {
  /** Path below the base URL, and the endpoint's name. */
  readonly path: string;
  /** Other names it is asked for by. */
  readonly aliases: readonly string[];
  readonly protocol: Protocol;
  /** Seconds without the beginning of an answer, or between two pieces of one. */
  readonly timeout: number;
  /** Whether prompts are counted against a token limit. */
  readonly requiresTokens: boolean;
  /** Model to use when none is given. */
  readonly model?: string;
  /** Environment variable whose value, when set, takes the place of `model`. */
  readonly modelEnv?: string;
  /** Header that tells the vendor which requests are attempts of one call, where it differs from the provider's. */
  readonly idempotencyHeader?: string;
  /** Content type of its requests. @defaultValue `application/json`; null leaves it to the body's encoding */
  readonly contentType?: string | null;
  /** Base URL, where it differs from the provider's. */
  readonly baseUrl?: string;
  /** Path that a given base URL gets when it has none of its own, such as `/v1`. */
  readonly defaultBasePath?: string;
}
