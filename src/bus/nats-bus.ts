import { randomBytes } from 'node:crypto';
import {
  type Msg,
  MsgHdrsImpl,
  type NatsConnection,
  type PublishOptions as NatsPublishOptions,
  type Subscription as NatsSubscription,
} from 'nats';
import { IModelError } from '../errors.ts';
import type {
  Bus,
  BusStatus,
  ContentType,
  DrainOptions,
  Headers,
  Message,
  MessageHandler,
  PublishOptions,
  RequestOptions,
  SubscribeOptions,
  Subscription,
} from './bus.ts';
import { type EncodedBody, encodeBody } from './codec.ts';
import { busClosed, busUnavailable, checkMs, noResponder, payloadTooLarge } from './failures.ts';
import { checkHeaders, failureHeaders, headerNames, headersSizeBytes, readHeader } from './headers.ts';
import { LocalMessage, type Publish } from './local-message.ts';
import { followConnection } from './nats-life.ts';
import type { NatsOptions } from './nats-options.ts';
import { discardTransport } from './nats-transport.ts';
import { Outgoing, type OutgoingMessage } from './outgoing.ts';
import { machineClock, type OpenRequest, Requests } from './requests.ts';
import { Router } from './router.ts';
import { StatusFeed } from './status-feed.ts';
import { checkPattern, checkQueue, checkSubject } from './subjects.ts';
import { isNoResponder, WireMessage } from './wire-message.ts';
import { within } from './within.ts';

/** A subscription as long as its owner keeps it; the client's own end when the server refuses them. */
interface WireSubscription extends Subscription {
  readonly queue: string | undefined;
  readonly handler: MessageHandler;
  client: NatsSubscription | undefined;
  closed: boolean;
}

/** A {@link Bus} over one connection to a NATS server. */
export class NatsBus implements Bus {
  /** The client's connection, for what a bus does not do: JetStream, key-value buckets, the object store. */
  readonly connection: NatsConnection;
  readonly #router: Router;
  readonly #requests: Requests;
  readonly #outgoing: Outgoing;
  readonly #status: StatusFeed;
  readonly #report: (error: unknown, subject: string) => void;
  readonly #inbox: string;
  readonly #localDelivery: boolean;
  readonly #subscriptions = new Set<WireSubscription>();
  readonly #closing = new AbortController();
  readonly #checked = new Set<string>();
  readonly #publish: Publish = (subject, payload, options) => this.publish(subject, payload, options);
  #draining = false;
  #replies: NatsSubscription | undefined;
  #repliesRefused: IModelError | undefined;
  #maxPayloadBytes: number;

  /** @internal Use {@link connectNats}. */
  constructor(connection: NatsConnection, options: NatsOptions, secrets: readonly string[]) {
    const clock = options.clock ?? machineClock;
    this.connection = connection;
    this.#report = guarded(options.onError);
    this.#router = new Router(this.#report);
    this.#requests = new Requests(clock);
    this.#status = new StatusFeed(() => clock.now(), 'connected');
    this.#localDelivery = options.localDelivery ?? true;
    this.#inbox = `${options.inboxPrefix ?? '_INBOX'}.${randomBytes(12).toString('base64url')}.`;
    this.#maxPayloadBytes = connection.info?.max_payload ?? 1024 * 1024;
    this.#outgoing = new Outgoing(
      {
        write: (message) => writeTo(connection, message),
        confirm: () => connection.flush(),
        failed: (error, message) => this.#report(error, message.subject),
      },
      options.pendingBytes ?? 64 * 1024 * 1024,
    );
    this.#listenForReplies();
    void followConnection(connection, secrets, {
      connected: () => this.#connected(),
      disconnected: () => this.#disconnected(),
      refused: (error, { operation, subject }) => this.#refused(error, operation, subject),
      report: (type, detail, error) => this.#tell(type, detail, error),
      ended: () => void this.close(),
    });
  }

  get status(): AsyncIterable<BusStatus> {
    return this.#status;
  }

  get maxPayloadBytes(): number {
    return this.#maxPayloadBytes;
  }

  publish(subject: string, payload: unknown, options?: PublishOptions): void {
    this.#check(subject, options);
    // A reply to a request of this very connection has nowhere to go but here.
    if (subject.startsWith(this.#inbox)) {
      this.#requests.settle(
        subject.slice(this.#inbox.length),
        new LocalMessage(subject, payload, options, this.#publish),
      );
      return;
    }
    const body = encodeBody(payload, options?.contentType);
    this.#outgoing.send(this.#message(subject, body, options?.headers, options?.replyTo));
  }

  subscribe(pattern: string, handler: MessageHandler, options: SubscribeOptions = {}): Subscription {
    this.#refuseIfEnding();
    checkPattern(pattern);
    const queue = options.queue === undefined ? undefined : checkQueue(options.queue);
    const local = queue === undefined ? undefined : this.#router.add(pattern, handler, queue);
    const subscription: WireSubscription = {
      pattern,
      queue,
      handler,
      client: undefined,
      closed: false,
      close: () => {
        subscription.closed = true;
        local?.close();
        this.#subscriptions.delete(subscription);
        if (subscription.client?.isClosed() === false) subscription.client.unsubscribe();
      },
    };
    this.#subscriptions.add(subscription);
    this.#open(subscription);
    return subscription;
  }

  request(subject: string, payload: unknown, options: RequestOptions = {}): Promise<Message> {
    try {
      this.#check(subject, options);
      checkMs(options.timeoutMs, 'timeoutMs');
      options.signal?.throwIfAborted();
      return this.#localDelivery && this.#router.hasGroup(subject)
        ? this.#requestLocally(subject, payload, options)
        : this.#requestOverWire(subject, payload, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async flush(): Promise<void> {
    if (this.#status.state === 'closed') throw busClosed();
    await this.#router.delivered();
    try {
      await this.#outgoing.flush();
    } catch (error) {
      throw IModelError.is(error) ? error : busUnavailable('The connection was lost during a flush', error);
    }
  }

  async drain(options: DrainOptions = {}): Promise<void> {
    checkMs(options.timeoutMs, 'timeoutMs');
    this.#refuseIfEnding();
    this.#draining = true;
    this.#status.report('draining');
    await within(this.#finish(), options.timeoutMs ?? 30_000, this.#closing.signal);
    await this.close();
  }

  async close(): Promise<void> {
    if (this.#status.state === 'closed') return;
    this.#status.report('closed');
    this.#closing.abort();
    this.#requests.failWhere(() => busClosed());
    this.#router.clear();
    this.#outgoing.close(busClosed());
    await this.connection.close();
    discardTransport(this.connection);
  }

  #requestLocally(subject: string, payload: unknown, options: RequestOptions): Promise<Message> {
    const { request, reply } = this.#requests.open(subject, options);
    request.local = true;
    const { headers, contentType } = options;
    const message = new LocalMessage(
      subject,
      payload,
      {
        replyTo: this.#inbox + request.token,
        ...(headers === undefined ? {} : { headers }),
        ...(contentType === undefined ? {} : { contentType }),
      },
      this.#publish,
    );
    this.#router.route(subject, message);
    return reply;
  }

  #requestOverWire(subject: string, payload: unknown, options: RequestOptions): Promise<Message> {
    if (this.#repliesRefused !== undefined) throw this.#repliesRefused;
    const body = encodeBody(payload, options.contentType);
    const { request, reply } = this.#requests.open(subject, options);
    try {
      const message = this.#message(subject, body, options.headers, this.#inbox + request.token);
      this.#outgoing.send(message);
      if (message.held || options.idempotent === true) request.outgoing = message;
    } catch (error) {
      this.#requests.fail(request.token, error);
    }
    return reply;
  }

  /** Builds what is sent, and refuses what the server would refuse by closing the connection. */
  #message(
    subject: string,
    { bytes, contentType, needsHeader }: EncodedBody,
    given: Headers | undefined,
    replyTo: string | undefined,
  ): OutgoingMessage {
    const named = given !== undefined && readHeader(given, headerNames.contentType) !== undefined;
    const headers = needsHeader && !named ? { ...given, [headerNames.contentType]: contentType } : given;
    const sizeBytes = bytes.length + (headers === undefined ? 0 : headersSizeBytes(headers));
    if (sizeBytes > this.#maxPayloadBytes) throw payloadTooLarge(subject, sizeBytes, this.#maxPayloadBytes);
    return { subject, bytes, sizeBytes, replyTo, headers, abandoned: false, held: false };
  }

  #answer(replyTo: string, value: unknown, contentType: ContentType, headers: Headers | undefined): void {
    const options: PublishOptions = {
      ...(headers === undefined ? {} : { headers }),
      ...(value instanceof Uint8Array ? {} : { contentType }),
    };
    try {
      this.publish(replyTo, value, options);
    } catch (error) {
      // The one who asked must hear of it, or it waits for its time-out.
      if (!IModelError.is(error) || error.code !== 'payload_too_large') throw error;
      this.publish(replyTo, { error: error.failure }, { contentType, headers: failureHeaders(error.failure) });
    }
  }

  #open(subscription: WireSubscription): void {
    subscription.client = this.connection.subscribe(subscription.pattern, {
      ...(subscription.queue === undefined ? {} : { queue: subscription.queue }),
      callback: (error, message) => {
        // The client has ended the subscription then; `#refused` reports it, and a reconnect tries again.
        if (error === null && !subscription.closed) this.#receive(subscription.handler, message);
      },
    });
  }

  #receive(handler: MessageHandler, message: Msg): void {
    this.#router.run(handler, this.#incoming(message));
  }

  #incoming(message: Msg): WireMessage {
    return new WireMessage(message, this.#answerTo);
  }

  readonly #answerTo = (
    replyTo: string,
    value: unknown,
    contentType: ContentType,
    headers: Headers | undefined,
  ): void => this.#answer(replyTo, value, contentType, headers);

  #listenForReplies(): void {
    this.#repliesRefused = undefined;
    this.#replies = this.connection.subscribe(`${this.#inbox}*`, {
      callback: (error, message) => {
        if (error === null) this.#settle(message);
      },
    });
  }

  #settle(message: Msg): void {
    const token = message.subject.slice(this.#inbox.length);
    if (!isNoResponder(message)) this.#requests.settle(token, this.#incoming(message));
    else this.#requests.fail(token, noResponder(this.#requests.find(token)?.subject ?? message.subject));
  }

  #connected(): void {
    this.#maxPayloadBytes = this.connection.info?.max_payload ?? this.#maxPayloadBytes;
    // What the server refused it may allow now.
    if (this.#replies?.isClosed() === true) this.#listenForReplies();
    for (const subscription of this.#subscriptions)
      if (subscription.client?.isClosed() === true) this.#open(subscription);
    this.#outgoing.connected();
  }

  #disconnected(): void {
    const lost = this.#outgoing.disconnected();
    this.#requests.failWhere((request) => this.#afterDisconnect(request));
    if (lost.count === 0) return;
    const message = `The connection was lost with ${lost.count} messages (${lost.bytes} bytes) not confirmed; they may be lost`;
    this.#tell('error', message, busUnavailable(message));
  }

  /** The error that a lost connection means for a request; undefined for one that goes on. */
  #afterDisconnect({ local, outgoing, subject }: OpenRequest): IModelError | undefined {
    if (local || outgoing?.held === true) return undefined;
    if (outgoing === undefined)
      return busUnavailable(`The connection was lost while a reply on \`${subject}\` was awaited`);
    this.#outgoing.sendAgain(outgoing);
    return undefined;
  }

  #refused(error: IModelError, operation: 'publish' | 'subscription', subject: string): void {
    if (operation === 'subscription' && subject === `${this.#inbox}*`) {
      this.#repliesRefused = error;
      this.#requests.failWhere(({ local }) => (local ? undefined : error));
    }
    if (operation === 'publish') {
      this.#requests.failWhere((request) => (request.subject === subject && !request.local ? error : undefined));
    }
    this.#status.report('error', error.message);
    this.#report(error, subject);
  }

  #tell(type: BusStatus['type'], detail: string, error?: IModelError): void {
    // What a connection does on its way to the end changes nothing any more.
    if (this.#status.state === 'closed') return;
    this.#status.report(type, detail);
    if (error !== undefined) this.#report(error, '');
  }

  async #finish(): Promise<void> {
    // The server sends nothing new after this; what it had sent arrives before the flush ends.
    for (const { client } of this.#subscriptions) if (client?.isClosed() === false) void client.drain();
    if (this.#outgoing.isConnected) await this.connection.flush().catch(() => {});
    do {
      await this.#router.idle();
      await this.#requests.settled();
    } while (!this.#router.isIdle);
    await this.#outgoing.flush().catch(() => {});
  }

  #check(subject: string, options: PublishOptions | undefined): void {
    if (this.#status.state === 'closed') throw busClosed();
    if (!this.#checked.has(subject)) {
      checkSubject(subject);
      if (this.#checked.size >= 1_024) this.#checked.clear();
      this.#checked.add(subject);
    }
    if (options?.headers !== undefined) checkHeaders(options.headers);
    if (options?.replyTo !== undefined) checkSubject(options.replyTo, 'replyTo');
  }

  #refuseIfEnding(): void {
    if (this.#status.state === 'closed') throw busClosed();
    if (this.#closing.signal.aborted || this.#draining) throw busClosed('The bus is draining');
  }
}

function writeTo(connection: NatsConnection, message: OutgoingMessage): void {
  const options: NatsPublishOptions = {};
  if (message.replyTo !== undefined) options.reply = message.replyTo;
  if (message.headers !== undefined) {
    const lists: Record<string, string[]> = {};
    for (const [name, value] of Object.entries(message.headers)) lists[name] = [value];
    options.headers = MsgHdrsImpl.fromRecord(lists);
  }
  connection.publish(message.subject, message.bytes, options);
}

/** A listener that is absent or throws must not disturb the bus. */
function guarded(onError: NatsOptions['onError']): (error: unknown, subject: string) => void {
  return (error, subject) => {
    try {
      onError?.(error, subject);
    } catch {
      // A reporter that throws has nobody left to report to.
    }
  };
}
