import { busUnavailable } from './failures.ts';
import type { WireMessage } from './wire-message.ts';

/** Messages that may wait behind one whose body is being fetched. */
const mostWaiting = 10_000;

/** What {@link Arrivals} does with messages. */
export interface ArrivalsListener {
  deliver(message: WireMessage): void;
  /** A body could not be fetched, or too much waits behind one. */
  failed(error: unknown, message: WireMessage): void;
}

interface Waiting {
  message: WireMessage;
  ready: boolean;
}

/**
 * Hands the messages of one subscription on in the order of their arrival, also when the body of one has to be fetched first.
 *
 * Requests pass: each is a matter of its own, and one caller's megabytes must not hold up another's question.
 */
export class Arrivals {
  readonly #listener: ArrivalsListener;
  #waiting: Waiting[] = [];

  constructor(listener: ArrivalsListener) {
    this.#listener = listener;
  }

  /** @param body - The body when it is being fetched. */
  take(message: WireMessage, body?: Promise<Uint8Array>): void {
    if (message.replyTo !== undefined) {
      if (body === undefined) this.#listener.deliver(message);
      else void this.#complete(message, body).then((whole) => whole && this.#listener.deliver(whole));
      return;
    }
    if (body === undefined) {
      if (this.#waiting.length === 0) this.#listener.deliver(message);
      else if (this.#waiting.length < mostWaiting) this.#waiting.push({ message, ready: true });
      else
        this.#listener.failed(
          busUnavailable('Too many messages wait behind a large one; this one is dropped'),
          message,
        );
      return;
    }
    const place: Waiting = { message, ready: false };
    this.#waiting.push(place);
    void this.#complete(message, body).then((whole) => {
      if (whole === undefined) this.#waiting = this.#waiting.filter((other) => other !== place);
      else Object.assign(place, { message: whole, ready: true });
      this.#handOn();
    });
  }

  async #complete(message: WireMessage, body: Promise<Uint8Array>): Promise<WireMessage | undefined> {
    try {
      return message.withBody(await body);
    } catch (error) {
      this.#listener.failed(error, message);
      return undefined;
    }
  }

  #handOn(): void {
    let ready = 0;
    for (const place of this.#waiting) {
      if (!place.ready) break;
      this.#listener.deliver(place.message);
      ready += 1;
    }
    this.#waiting = this.#waiting.slice(ready);
  }
}
