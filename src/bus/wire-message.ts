import type { Msg } from 'nats';
import { IModelError, toFailure } from '../errors.ts';
import type { ContentType, Headers, Message } from './bus.ts';
import { contentTypeOf, decodeBody } from './codec.ts';
import { headerNames, noHeaders, readHeader } from './headers.ts';
import { isReplySubject } from './subjects.ts';

/** What a {@link WireMessage} needs to answer. */
export type Answer = (replyTo: string, value: unknown, contentType: ContentType, headers: Headers | undefined) => void;

/** A message that came from the server. Nothing of it is decoded before somebody asks. */
export class WireMessage implements Message {
  readonly #message: Msg;
  readonly #answer: Answer;
  #bytes: Uint8Array | undefined;
  /** Null before somebody asks. */
  #replyTo: string | undefined | null = null;
  #headers: Headers | undefined;
  #contentType: ContentType | undefined;
  #value: { readonly value: unknown } | undefined;

  /** @param bytes - The body when it is not the message's own. */
  constructor(message: Msg, answer: Answer, bytes?: Uint8Array) {
    this.#message = message;
    this.#answer = answer;
    this.#bytes = bytes;
  }

  get subject(): string {
    return this.#message.subject;
  }

  get replyTo(): string | undefined {
    if (this.#replyTo === null) {
      const { reply } = this.#message;
      this.#replyTo = reply !== undefined && isReplySubject(reply) ? reply : undefined;
    }
    return this.#replyTo;
  }

  /** @throws IModelError `malformed` when the client cannot read them. */
  get headers(): Headers {
    this.#headers ??= headersOf(this.#message);
    return this.#headers;
  }

  get contentType(): ContentType {
    this.#contentType ??= contentTypeOf(this.bytes, readHeader(this.headers, headerNames.contentType));
    return this.#contentType;
  }

  value(): unknown {
    this.#value ??= { value: this.#decode() };
    return this.#value.value;
  }

  respond(value: unknown, options?: { readonly headers?: Headers }): void {
    const { replyTo } = this;
    if (replyTo !== undefined) this.#answer(replyTo, value, this.#replyType(), options?.headers);
  }

  /** The body as it came. */
  get bytes(): Uint8Array {
    this.#bytes ??= this.#message.data;
    return this.#bytes;
  }

  /** The same message with the body that it announced. */
  withBody(bytes: Uint8Array): WireMessage {
    return new WireMessage(this.#message, this.#answer, bytes);
  }

  #decode(): unknown {
    const { bytes } = this;
    if (bytes.length === 0 && readHeader(this.headers, headerNames.contentType) === undefined) return undefined;
    return decodeBody(bytes, this.contentType, this.subject);
  }

  /** Replies are written as the request was; who sent nothing, or something unreadable, gets JSON. */
  #replyType(): ContentType {
    if (this.bytes.length === 0) return 'application/json';
    try {
      return this.contentType;
    } catch {
      return 'application/json';
    }
  }
}

/** The headers of a client's message as a plain record; of several values of one name the first. */
function headersOf(message: Msg): Headers {
  const headers = readHeaders(message);
  if (headers === undefined) return noHeaders;
  // Without a prototype, since names come from outside.
  const record = Object.create(null) as Record<string, string>;
  for (const [name, values] of headers) record[name] = values[0] ?? '';
  return record;
}

/** The client reads headers at the first look, and throws at a name that is none: out of a callback of its own that would be its end. */
function readHeaders(message: Msg): Msg['headers'] {
  try {
    return message.headers;
  } catch (cause) {
    const text = `The headers of a message on \`${message.subject}\` cannot be read: ${toFailure(cause).message}`;
    throw IModelError.of('malformed', text, { path: 'headers', source: 'bus' }, { cause });
  }
}

/**
 * Whether the server says that nobody listens on the subject of a request.
 *
 * @throws IModelError `malformed` for headers that cannot be read.
 */
export function isNoResponder(message: Msg): boolean {
  const headers = readHeaders(message);
  return headers !== undefined && headers.code === 503 && message.data.length === 0;
}
