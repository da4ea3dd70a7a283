import type { NatsConnection, Subscription as NatsSubscription } from 'nats';
import { Arrivals, type ArrivalsListener } from './arrivals.ts';
import type { Message, MessageHandler, Subscription } from './bus.ts';
import type { LargeBodies } from './large-bodies.ts';
import { type Answer, WireMessage } from './wire-message.ts';

/** What {@link WireSubscriptions} needs of its bus. */
export interface WireSubscriptionsOptions {
  readonly connection: NatsConnection;
  readonly bodies: LargeBodies;
  readonly answer: Answer;
  /** Calls a handler. */
  run(handler: MessageHandler, message: Message): void;
  /** Work that a drain has to wait for; never rejects. */
  track(work: Promise<void>): void;
  /** A message that could not be delivered. */
  readonly failed: ArrivalsListener['failed'];
}

interface Entry {
  readonly pattern: string;
  readonly queue: string | undefined;
  readonly handler: MessageHandler;
  client: NatsSubscription;
  closed: boolean;
}

/**
 * The subscriptions of one connection. They live as long as their owners keep them, while the client ends its own when the server refuses
 * them.
 */
export class WireSubscriptions {
  readonly #options: WireSubscriptionsOptions;
  readonly #open = new Set<Entry>();

  constructor(options: WireSubscriptionsOptions) {
    this.#options = options;
  }

  /** Subscribes. */
  add(pattern: string, queue: string | undefined, handler: MessageHandler): Subscription {
    const shape = { pattern, queue, handler, closed: false };
    const entry: Entry = Object.assign(shape, { client: this.#subscribe(shape) });
    this.#open.add(entry);
    return {
      pattern,
      drain: () => {
        // It is not to come back with a reconnect.
        this.#open.delete(entry);
        if (!entry.client.isClosed() && !entry.client.isDraining()) entry.client.drain().catch(nothing);
      },
      close: () => {
        shape.closed = true;
        this.#open.delete(entry);
        if (!entry.client.isClosed()) entry.client.unsubscribe();
      },
    };
  }

  /** Tries again what the server refused; it may allow it after a reconnect. */
  reopen(): void {
    for (const entry of this.#open) if (entry.client.isClosed()) entry.client = this.#subscribe(entry);
  }

  /** Asks the server to send nothing more; what it has sent already still arrives. */
  drain(): void {
    for (const { client } of this.#open) if (!client.isClosed()) client.drain().catch(nothing);
  }

  #subscribe(entry: Omit<Entry, 'client'>): NatsSubscription {
    const { connection, bodies, answer, run, track, failed } = this.#options;
    const deliver = (message: WireMessage): void => {
      if (!entry.closed) run(entry.handler, message);
    };
    const arrivals = new Arrivals({ deliver, failed });
    return connection.subscribe(entry.pattern, {
      ...(entry.queue === undefined ? {} : { queue: entry.queue }),
      callback: (error, message) => {
        // With an error the client has ended the subscription. The bus hears of it otherwise.
        if (error !== null || entry.closed) return;
        const arrived = new WireMessage(message, answer);
        try {
          const body = bodies.bodyOf(arrived, () => !entry.closed);
          if (body !== undefined) track(body.then(nothing, nothing));
          arrivals.take(arrived, body);
        } catch (thrown) {
          failed(thrown, arrived);
        }
      },
    });
  }
}

function nothing(): void {}
