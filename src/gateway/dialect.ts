import type { Chunk } from '../../schemas/chunk.ts';
import type { Failure } from '../../schemas/failure.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';
import type { Target } from './target.ts';

/** How one vendor's clients are told that a request failed. */
export interface Dialect {
  /**
   * The body of the answer.
   *
   * @param status - The HTTP status it is sent with.
   * @param reason - The word for what has no failure code of its own.
   */
  failureBody(failure: Failure, status: number, reason?: string): unknown;
  /** The header in which clients of this dialect look for the id of a request. */
  readonly requestIdHeader: string;
  /** Headers about limits, named as clients of this dialect know them. */
  limitHeaders(budget: LimitBudget): Record<string, string>;
}

/** How one limit stands. */
export interface LimitStanding {
  /** Null is no limit. */
  readonly limit: number | null;
  readonly remaining: number | null;
  /** Milliseconds until the next unit comes free, 0 when none is used. */
  readonly resetMs: number;
}

/** The limits that headers tell of: an iModel's, or its caller's where less of those is left. */
export interface LimitBudget {
  readonly requests: LimitStanding;
  readonly tokens: LimitStanding;
  /** Epoch milliseconds now. */
  readonly now: number;
}

/** A caller's request, made ready for its iModel. */
export interface ShapedRequest {
  readonly request: Fields;
  readonly streaming: boolean;
  /** Fields the iModel cannot take and can do without; the caller is told their names. */
  readonly dropped: readonly string[];
  /** Whether a stream shall tell what was used. */
  readonly includeUsage: boolean;
  /** Whether vectors are written as base64. @defaultValue false */
  readonly base64?: boolean;
}

/** What an answer is written from. */
export interface AnswerContext {
  readonly target: Target;
  readonly callId: string;
  /** Epoch seconds. */
  readonly createdAt: number;
  readonly includeUsage: boolean;
  readonly base64: boolean;
}

/** Writes a stream as its caller's client parses it. Each text is ready for the socket; empty when there is nothing to say. */
export interface StreamEncoder {
  chunk(chunk: Chunk): string;
  /** What follows the last chunk of a call that has completed. */
  end(call: ApiCalling): string;
  /** What follows when the call failed after something had been sent; the end of the stream. */
  failed(failure: Failure): string;
}

/** One kind of request: how it is read, and how its answer is written. */
export interface Shape {
  readonly dialect: Dialect;
  /** @throws IModelError `invalid_request` naming what this iModel cannot do. */
  read(body: Fields, target: Target): ShapedRequest;
  /** Whether its requests come as `multipart/form-data` and not as JSON. @defaultValue false */
  readonly isForm?: boolean;
  /** The body of the answer to a completed call: what becomes JSON, or a {@link PlainBody}. */
  write(call: ApiCalling, context: AnswerContext): unknown;
  /** Null for what is not streamed. */
  readonly openStream: ((context: AnswerContext) => StreamEncoder) | null;
}

/** The body of an answer that is no JSON. */
export class PlainBody {
  readonly content: Buffer | string;
  readonly contentType: string;

  constructor(content: Buffer | string, contentType: string) {
    this.content = content;
    this.contentType = contentType;
  }
}
