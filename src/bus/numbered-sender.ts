import type { Failure } from '../../schemas/failure.ts';
import { IModelError, toFailure } from '../errors.ts';
import type { Bus, ContentType, Headers } from './bus.ts';
import { failureHeaders } from './headers.ts';

/** Messages that are kept for readers who missed some or come late. */
const ringSize = 1_024;

/** How long the question whether anybody listens waits for an answer that nobody has to give, in milliseconds. */
const probeTimeoutMs = 250;

/** A message as it travels: what was sent, with its number and its kind. */
export interface NumberedMessage {
  /** From 1, without gaps. */
  seq: number;
  /** `end` is the last; `alive` is no message of the stream and has no number. */
  readonly kind: string;
  readonly [field: string]: unknown;
}

/** What a {@link NumberedSender} is made from. */
export interface NumberedSenderOptions {
  readonly bus: Bus;
  readonly subject: string;
  /** @defaultValue JSON */
  readonly contentType?: ContentType | undefined;
  /** Messages the reader can take now; null when it gives no credit and delivery is best effort. */
  readonly credit: number | null;
  /** Whether one reader is meant, and nobody else shall listen. @defaultValue false */
  readonly toOne?: boolean;
  /** How many messages there have been before the first that is sent here. @defaultValue 0 */
  readonly after?: number;
  /**
   * What ends the stream when its terminal message cannot be sent, because it is too large or cannot be written.
   *
   * @defaultValue `{ failure }`
   */
  readonly insteadOfEnd?: ((failure: Failure) => Record<string, unknown>) | undefined;
}

/**
 * Publishes the messages of one stream on one subject: numbered from 1, then exactly one terminal message. With credit it never runs ahead
 * of its reader.
 */
export class NumberedSender {
  readonly #options: NumberedSenderOptions;
  /** The latest messages; entry `seq % ringSize`. */
  readonly #ring: NumberedMessage[] = [];
  /** What has come while the credit was used up: no more than was on its way when the source was told to stop. */
  #held: Record<string, unknown>[] = [];
  #seq: number;
  #credit: number;
  #resume: (() => void) | null = null;
  #end: { readonly body: Record<string, unknown>; readonly headers: Headers | undefined } | null = null;
  #ended = false;

  constructor(options: NumberedSenderOptions) {
    this.#options = options;
    this.#seq = options.after ?? 0;
    this.#credit = options.credit ?? Number.POSITIVE_INFINITY;
  }

  /** Whether the reader gives credit. */
  get credited(): boolean {
    return this.#options.credit !== null;
  }

  /** Sends one message. @returns False when the reader can take no more: wait for {@link onDrain}. This message was taken all the same. */
  send(kind: string, body: Record<string, unknown>): boolean {
    if (this.#end !== null) return true;
    if (this.#credit > 0) this.#publish(kind, body);
    else this.#held.push({ ...body, kind });
    return this.#credit > 0;
  }

  /** Calls back once, when there is credit again; at once when there is some already. */
  onDrain(resume: () => void): void {
    // The reader may have been faster than the source, which was told to stop and asks only now.
    if (this.#credit > 0) resume();
    else this.#resume = resume;
  }

  /** The reader can take so many messages more. */
  grant(count: number): void {
    this.#credit += count;
    this.#flush();
    if (this.#credit <= 0 || this.#end !== null) return;
    const resume = this.#resume;
    this.#resume = null;
    resume?.();
  }

  /**
   * Sends the terminal message, once; it needs no credit.
   *
   * @param hurry - Drops what still waits for credit, for a stream that has failed: its reader learns how it ended now.
   */
  end(body: Record<string, unknown>, headers: Headers | undefined, hurry: boolean): void {
    if (this.#end !== null) return;
    this.#end = { body, headers };
    if (hurry) this.#held = [];
    this.#flush();
  }

  /** The kept messages after a number; null when some of them are kept no more. */
  after(seq: number): NumberedMessage[] | null {
    const oldest = Math.max((this.#options.after ?? 0) + 1, this.#seq - ringSize + 1);
    if (seq + 1 < oldest) return null;
    const messages: NumberedMessage[] = [];
    for (let next = seq + 1; next <= this.#seq; next += 1) {
      messages.push(this.#ring[next % ringSize] as NumberedMessage);
    }
    return messages;
  }

  /**
   * Tells readers that the stream lives and how far it is, and finds out whether there are any.
   *
   * @returns False when the server is certain that nobody listens.
   */
  async probe(): Promise<boolean> {
    const { bus, subject } = this.#options;
    try {
      await bus.request(subject, { kind: 'alive', last_seq: this.#seq }, { timeoutMs: probeTimeoutMs });
    } catch (error) {
      return !(IModelError.is(error) && error.code === 'no_responder');
    }
    return true;
  }

  #flush(): void {
    let sent = 0;
    for (const body of this.#held) {
      if (this.#credit <= 0) break;
      sent += 1;
      if (!this.#publishHeld(body)) break;
    }
    if (sent > 0) this.#held.splice(0, sent);
    if (this.#end === null || this.#ended || this.#held.length > 0) return;
    this.#ended = true;
    this.#publishEnd(this.#end.body, this.#end.headers);
  }

  /** Its source has gone on since it wrote it, so a message that cannot be sent ends the stream: it would be a hole. */
  #publishHeld(body: Record<string, unknown>): boolean {
    try {
      this.#publish(String(body.kind), body);
      return true;
    } catch (error) {
      const failure = toFailure(error);
      this.#end = { body: this.#insteadOfEnd(failure), headers: failureHeaders(failure) };
      this.#held = [];
      return false;
    }
  }

  #insteadOfEnd(failure: Failure): Record<string, unknown> {
    return this.#options.insteadOfEnd?.(failure) ?? { failure };
  }

  /** Never throws: nobody but the reader could do anything about it. */
  #publishEnd(body: Record<string, unknown>, headers: Headers | undefined): void {
    try {
      this.#publish('end', body, headers);
    } catch (error) {
      const failure = toFailure(error);
      if (failure.code === 'closed') return;
      this.#publish('end', this.#insteadOfEnd(failure), { ...headers, ...failureHeaders(failure) });
    }
  }

  #publish(kind: string, body: Record<string, unknown>, headers?: Headers): void {
    const { bus, subject, contentType, toOne = false } = this.#options;
    this.#credit -= 1;
    this.#seq += 1;
    const message: NumberedMessage = { seq: this.#seq, ...body, kind };
    this.#ring[this.#seq % ringSize] = message;
    try {
      bus.publish(subject, message, {
        toOne,
        ...(contentType === undefined ? {} : { contentType }),
        ...(headers === undefined ? {} : { headers }),
      });
    } catch (error) {
      // A connection that is away too long loses messages; the ring has them, and a reader that sees the gap asks.
      if (IModelError.is(error) && error.code === 'unavailable') return;
      // Never sent, so no message: its number is free, and the stream has no gap.
      this.#credit += 1;
      this.#seq -= 1;
      throw error;
    }
  }
}
