import type { NatsConnection, Subscription as NatsSubscription } from 'nats';
import type { Bus, Headers } from './bus.ts';
import type { EncodedBody } from './codec.ts';
import { busUnavailable, payloadTooLarge } from './failures.ts';
import { FetchedBodies } from './fetched-bodies.ts';
import { failureHeaders, headerNames, headersSizeBytes, noHeaders, readHeader } from './headers.ts';
import { type Keep, OfferedBodies } from './offered-bodies.ts';
import { type OutgoingMessage, outgoingMessage } from './outgoing.ts';
import { WireMessage } from './wire-message.ts';

/** Room that an announcement takes beside the headers of its sender. */
const announcementBytes = 1_024;
/** How long one part may take; it is asked for again after a reconnect. */
const partTimeoutMs = 10_000;

/** What {@link LargeBodies} needs of its bus. */
export interface LargeBodiesOptions {
  readonly connection: NatsConnection;
  readonly request: Bus['request'];
  send(message: OutgoingMessage): void;
  report(error: unknown, subject: string): void;
  readonly prefix: string;
  readonly limitBytes: number;
}

/** What {@link LargeBodies.pack} takes. */
export interface PackOptions {
  readonly headers: Headers | undefined;
  readonly replyTo: string | undefined;
  readonly keep: Keep;
}

/** A message to send, and what to call when its receiver needs its body no longer. */
export interface PackedMessage {
  readonly message: OutgoingMessage;
  readonly release: (() => void) | undefined;
}

/** Both ends of the way on which bodies above the server's limit travel: in numbered parts, fetched by the receiver. */
export class LargeBodies {
  readonly #options: LargeBodiesOptions;
  readonly #offered: OfferedBodies;
  readonly #fetched: FetchedBodies;
  #offering: NatsSubscription | undefined;

  constructor(options: LargeBodiesOptions) {
    this.#options = options;
    this.#offered = new OfferedBodies(options.prefix, options.limitBytes);
    this.#fetched = new FetchedBodies((subject) => this.#fetchPart(subject), options.limitBytes);
  }

  /**
   * Builds what is sent; a body that the server would refuse is kept here, and announced.
   *
   * @param largestBytes - What the server takes in one message, headers included.
   * @throws IModelError `payload_too_large`, `unavailable`; see `OfferedBodies.offer`.
   */
  pack(
    subject: string,
    { bytes, contentType, needsHeader }: EncodedBody,
    options: PackOptions,
    largestBytes: number,
  ): PackedMessage {
    const { headers: given, replyTo, keep } = options;
    const named = given !== undefined && readHeader(given, headerNames.contentType) !== undefined;
    const headers = needsHeader && !named ? { ...given, [headerNames.contentType]: contentType } : given;
    const headersBytes = headers === undefined ? 0 : headersSizeBytes(headers);
    if (headersBytes + bytes.length <= largestBytes) {
      return { message: outgoingMessage(subject, bytes, headers, replyTo), release: undefined };
    }
    if (headersBytes + announcementBytes > largestBytes) throw payloadTooLarge(subject, headersBytes, largestBytes);
    this.#offering ??= this.#offer();
    const offered = this.#offered.offer(bytes, { subject, contentType, maxPayloadBytes: largestBytes, keep });
    const announcement = { ...offered.headers, ...given };
    return { message: outgoingMessage(subject, new Uint8Array(0), announcement, replyTo), release: offered.release };
  }

  /**
   * The body of a message that only announces it; undefined for one that carries it.
   *
   * @param isWanted - Asked now and then; false ends the fetching.
   * @throws IModelError at once for an announcement that is refused; the promise rejects when fetching fails. See `FetchedBodies`.
   */
  bodyOf(message: WireMessage, isWanted: () => boolean): Promise<Uint8Array> | undefined {
    if (message.headers === noHeaders) return undefined;
    const announced = this.#fetched.announced(message.headers, message.subject);
    return announced && this.#fetched.fetch(announced, isWanted);
  }

  /** Resolves when each body on offer was fetched once. */
  fetched(): Promise<void> {
    return this.#offered.fetched();
  }

  /** Forgets what is on offer. */
  clear(): void {
    this.#offered.clear();
  }

  #offer(): NatsSubscription {
    return this.#options.connection.subscribe(this.#offered.pattern, {
      callback: (error, { subject, reply }) => {
        if (error !== null || reply === undefined || reply === '') return;
        const part = this.#offered.part(subject);
        const refusal = failureHeaders(busUnavailable('That body is no longer kept').failure);
        const headers = part === undefined ? refusal : undefined;
        try {
          this.#options.send(outgoingMessage(reply, part ?? new Uint8Array(0), headers, undefined));
        } catch (thrown) {
          // The receiver's time runs out then.
          this.#options.report(thrown, subject);
        }
      },
    });
  }

  async #fetchPart(subject: string): Promise<Uint8Array> {
    const reply = await this.#options.request(subject, undefined, { timeoutMs: partTimeoutMs, idempotent: true });
    const refusal = readHeader(reply.headers, headerNames.error);
    if (refusal === undefined && reply instanceof WireMessage) return reply.bytes;
    throw busUnavailable(`Cannot fetch \`${subject}\`: ${refusal ?? 'it is no part of a body'}`);
  }
}
