import { randomBytes } from 'node:crypto';
import { refuseNoObject } from '../arguments.ts';
import type {
  Bus,
  BusOptions,
  BusStatus,
  DrainOptions,
  Message,
  MessageHandler,
  PublishOptions,
  RequestOptions,
  SubscribeOptions,
  Subscription,
} from './bus.ts';
import { busClosed, checkMs, noResponder } from './failures.ts';
import { checkHeaders } from './headers.ts';
import { LocalMessage, type Publish } from './local-message.ts';
import { machineClock, Requests } from './requests.ts';
import { Router } from './router.ts';
import { StatusFeed } from './status-feed.ts';
import { checkPattern, checkQueue, checkSubject } from './subjects.ts';
import { within } from './within.ts';

/**
 * A bus inside one process: nothing is encoded, copied or sent, and no server is needed.
 *
 * Handlers run in a microtask after the sending. While it drains, what handlers publish and request still arrives, so that work which
 * spans several actors comes to its end.
 */
export function createMemoryBus(options: BusOptions = {}): Bus {
  refuseNoObject('options', options);
  return new MemoryBus(options);
}

class MemoryBus implements Bus {
  readonly maxPayloadBytes = Number.POSITIVE_INFINITY;
  readonly #router: Router;
  readonly #report: (error: unknown, subject: string) => void;
  readonly #requests: Requests;
  readonly #status: StatusFeed;
  readonly #inbox = `_INBOX.${randomBytes(12).toString('base64url')}.`;
  readonly #publish: Publish = (subject, payload, options) => this.publish(subject, payload, options);
  readonly #closing = new AbortController();
  /** Subjects that passed the check; most traffic is on few. */
  readonly #checked = new Set<string>();

  constructor(options: BusOptions) {
    const clock = options.clock ?? machineClock;
    this.#requests = new Requests(clock);
    this.#status = new StatusFeed(() => clock.now(), 'connected');
    this.#report = (error, subject) => options.onError?.(error, subject);
    this.#router = new Router(this.#report);
  }

  get status(): AsyncIterable<BusStatus> {
    return this.#status;
  }

  publish(subject: string, payload: unknown, options?: PublishOptions): void {
    if (this.#status.state === 'closed') throw busClosed();
    this.#check(subject, options);
    const message = new LocalMessage(subject, payload, options, this.#publish);
    if (subject.startsWith(this.#inbox)) this.#requests.settle(subject.slice(this.#inbox.length), message);
    else this.#router.route(subject, message);
  }

  announce(subject: string, make: () => unknown): void {
    if (this.#status.state === 'closed' || !this.#router.hasReceivers(subject)) return;
    try {
      this.publish(subject, make());
    } catch (error) {
      this.#report(error, subject);
    }
  }

  subscribe(pattern: string, handler: MessageHandler, options: SubscribeOptions = {}): Subscription {
    this.#refuseIfEnding();
    const queue = options.queue === undefined ? undefined : checkQueue(options.queue);
    return this.#router.add(checkPattern(pattern), handler, queue);
  }

  request(subject: string, payload: unknown, options: RequestOptions = {}): Promise<Message> {
    try {
      if (this.#status.state === 'closed') throw busClosed();
      this.#check(subject, options);
      checkMs(options.timeoutMs, 'timeoutMs');
    } catch (error) {
      return Promise.reject(error);
    }
    if (options.signal?.aborted === true) return Promise.reject(options.signal.reason);
    const { request, reply } = this.#requests.open(subject, options);
    const replyTo = this.#inbox + request.token;
    const { headers, contentType } = options;
    const sent: PublishOptions = {
      replyTo,
      ...(headers === undefined ? {} : { headers }),
      ...(contentType === undefined ? {} : { contentType }),
    };
    const message = new LocalMessage(subject, payload, sent, this.#publish);
    if (!this.#router.route(subject, message)) this.#requests.fail(request.token, noResponder(subject));
    return reply;
  }

  flush(): Promise<void> {
    return this.#router.delivered();
  }

  async drain(options: DrainOptions = {}): Promise<void> {
    checkMs(options.timeoutMs, 'timeoutMs');
    this.#refuseIfEnding();
    this.#status.report('draining');
    await within(this.#settled(), options.timeoutMs ?? 30_000, this.#closing.signal);
    await this.close();
  }

  async close(): Promise<void> {
    if (this.#status.state === 'closed') return;
    this.#status.report('closed');
    this.#requests.failWhere(() => busClosed());
    this.#router.clear();
    this.#closing.abort();
  }

  async #settled(): Promise<void> {
    do {
      await this.#router.idle();
      await this.#requests.settled();
    } while (!this.#router.isIdle);
  }

  #check(subject: string, options: PublishOptions | undefined): void {
    // The subject of a reply is this bus's own, and another for every request.
    if (!subject.startsWith(this.#inbox) && !this.#checked.has(subject)) {
      checkSubject(subject);
      if (this.#checked.size >= 1_024) this.#checked.clear();
      this.#checked.add(subject);
    }
    if (options?.headers !== undefined) checkHeaders(options.headers);
    if (options?.replyTo !== undefined) checkSubject(options.replyTo, 'replyTo');
  }

  #refuseIfEnding(): void {
    if (this.#status.state === 'closed') throw busClosed();
    if (this.#status.state === 'draining') throw busClosed('The bus is draining');
  }
}
