import type { ContentType, Headers, Message, PublishOptions } from './bus.ts';
import { decodeBody } from './codec.ts';
import { noHeaders } from './headers.ts';

/** What {@link LocalMessage} needs of its bus. */
export type Publish = (subject: string, payload: unknown, options?: PublishOptions) => void;

/** A message that never left this process: its value is the very one that was published. */
export class LocalMessage implements Message {
  readonly subject: string;
  readonly headers: Headers;
  readonly replyTo: string | undefined;
  readonly contentType: ContentType | undefined;
  readonly #publish: Publish;
  #payload: unknown;
  /** Bytes that the sender wrote in some encoding are read when somebody asks. */
  #encoded: boolean;

  constructor(subject: string, payload: unknown, options: PublishOptions | undefined, publish: Publish) {
    this.subject = subject;
    this.headers = options?.headers ?? noHeaders;
    this.replyTo = options?.replyTo;
    this.contentType = options?.contentType;
    this.#publish = publish;
    this.#payload = payload;
    this.#encoded = payload instanceof Uint8Array && this.contentType !== undefined;
  }

  value(): unknown {
    if (this.#encoded && this.contentType !== undefined) {
      this.#payload = decodeBody(this.#payload as Uint8Array, this.contentType, this.subject);
      this.#encoded = false;
    }
    return this.#payload;
  }

  respond(value: unknown, options?: { readonly headers?: Headers }): void {
    if (this.replyTo === undefined) return;
    // A value that stays in the process needs no encoding; the type goes along for those who forward it.
    this.#publish(this.replyTo, value, options);
  }
}
