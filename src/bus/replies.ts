import { randomBytes } from 'node:crypto';
import type { Msg, NatsConnection, Subscription as NatsSubscription } from 'nats';
import type { IModelError } from '../errors.ts';
import { noResponder } from './failures.ts';
import type { Interest } from './interest.ts';
import type { LargeBodies } from './large-bodies.ts';
import type { OpenRequest, Requests } from './requests.ts';
import { type Answer, isNoResponder, WireMessage } from './wire-message.ts';

/** What {@link Replies} needs of its bus. */
export interface RepliesOptions {
  readonly connection: NatsConnection;
  /** First tokens of the subject. */
  readonly prefix: string;
  readonly requests: Requests;
  /** Hears that nobody listens to an announcement. */
  readonly interest: Interest;
  readonly bodies: LargeBodies;
  readonly answer: Answer;
}

/** The one subscription to which the replies to all requests of a connection come. */
export class Replies {
  /** What stands before the token of a request in the subject of its reply. */
  readonly inbox: string;
  readonly #options: RepliesOptions;
  #subscription: NatsSubscription;
  #refusal: IModelError | undefined;

  constructor(options: RepliesOptions) {
    this.#options = options;
    // Unguessable: whoever may listen to other inboxes must not find this one.
    this.inbox = `${options.prefix}.${randomBytes(12).toString('base64url')}.`;
    this.#subscription = this.#subscribe();
  }

  /** Why no reply can arrive: the server refused the subscription. */
  get refusal(): IModelError | undefined {
    return this.#refusal;
  }

  /** Takes note of a refusal if it concerns this subscription: every request that waits fails. */
  refused(error: IModelError, subject: string): void {
    if (subject !== `${this.inbox}*`) return;
    this.#refusal = error;
    this.#options.requests.failWhere(({ detached }) => (detached ? undefined : error));
  }

  /** Tries again what the server refused; it may allow it after a reconnect. */
  reopen(): void {
    if (!this.#subscription.isClosed()) return;
    this.#refusal = undefined;
    this.#subscription = this.#subscribe();
  }

  #subscribe(): NatsSubscription {
    return this.#options.connection.subscribe(`${this.inbox}*`, {
      callback: (error, message) => {
        if (error === null) this.#settle(message);
      },
    });
  }

  /** Never throws: out of the client's callback that would be the end of its connection. */
  #settle(message: Msg): void {
    const { requests, interest } = this.#options;
    const token = message.subject.slice(this.inbox.length);
    try {
      const request = requests.find(token);
      if (!isNoResponder(message)) this.#answered(message, token, request);
      else if (request === undefined) interest.nobody(token);
      else requests.fail(token, noResponder(request.subject));
    } catch (error) {
      requests.fail(token, error);
    }
  }

  #answered(message: Msg, token: string, request: OpenRequest | undefined): void {
    if (request === undefined) return;
    const { requests, bodies, answer } = this.#options;
    const reply = new WireMessage(message, answer);
    const body = bodies.bodyOf(reply, () => requests.find(token) === request);
    if (body === undefined) {
      requests.settle(token, reply);
      return;
    }
    // The reply is here; if the connection breaks, its parts are asked for again.
    request.detached = true;
    body.then(
      (bytes) => requests.settle(token, reply.withBody(bytes)),
      (error) => requests.fail(token, error),
    );
  }
}
