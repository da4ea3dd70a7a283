import { MsgHdrsImpl, type NatsConnection, type PublishOptions as NatsPublishOptions } from 'nats';
import { IModelError, toFailure } from '../errors.ts';
import type {
  Bus,
  BusStatus,
  ContentType,
  DrainOptions,
  Message,
  MessageHandler,
  PublishOptions,
  RequestOptions,
  SubscribeOptions,
  Subscription,
} from './bus.ts';
import { type EncodedBody, encodeBody } from './codec.ts';
import { busClosed, busUnavailable, checkMs } from './failures.ts';
import { checkHeaders, failureHeaders } from './headers.ts';
import { Interest } from './interest.ts';
import { LargeBodies, type PackedMessage, type PackOptions } from './large-bodies.ts';
import { LocalMessage, type Publish } from './local-message.ts';
import { followConnection } from './nats-life.ts';
import type { NatsOptions } from './nats-options.ts';
import { discardTransport } from './nats-transport.ts';
import { bodyRoot } from './offered-bodies.ts';
import { Outgoing, type OutgoingMessage } from './outgoing.ts';
import { Replies } from './replies.ts';
import { machineClock, type OpenRequest, Requests } from './requests.ts';
import { Router } from './router.ts';
import { StatusFeed } from './status-feed.ts';
import { checkPattern, checkQueue, checkSubject } from './subjects.ts';
import type { Answer, WireMessage } from './wire-message.ts';
import { WireSubscriptions } from './wire-subscriptions.ts';
import { within } from './within.ts';

/** A {@link Bus} over one connection to a NATS server. */
export class NatsBus implements Bus {
  /** The client's connection, for what a bus does not do: JetStream, key-value buckets, the object store. */
  readonly connection: NatsConnection;
  readonly #router: Router;
  readonly #requests: Requests;
  readonly #interest: Interest;
  readonly #outgoing: Outgoing;
  readonly #status: StatusFeed;
  readonly #report: (error: unknown, subject: string) => void;
  readonly #replies: Replies;
  readonly #localDelivery: boolean;
  readonly #subscriptions: WireSubscriptions;
  readonly #closing = new AbortController();
  readonly #checked = new Set<string>();
  readonly #publish: Publish = (subject, payload, options) => this.publish(subject, payload, options);
  #draining = false;
  #largestMessageBytes: number;
  readonly #bodies: LargeBodies;
  readonly maxPayloadBytes: number;

  /** @internal Use {@link connectNats}. */
  constructor(connection: NatsConnection, options: NatsOptions, secrets: readonly string[]) {
    const clock = options.clock ?? machineClock;
    this.connection = connection;
    this.#report = guarded(options.onError);
    this.#router = new Router(this.#report);
    this.#requests = new Requests(clock);
    this.#interest = new Interest(clock);
    this.#status = new StatusFeed(() => clock.now(), 'connected');
    this.#localDelivery = options.localDelivery ?? true;
    this.#largestMessageBytes = connection.info?.max_payload ?? 1024 * 1024;
    this.maxPayloadBytes = options.maxBodyBytes ?? 64 * 1024 * 1024;
    this.#outgoing = new Outgoing(
      {
        write: (message) => writeTo(connection, message),
        confirm: () => connection.flush(),
        failed: (error, message) => this.#report(error, message.subject),
      },
      options.pendingBytes ?? 64 * 1024 * 1024,
    );
    this.#bodies = new LargeBodies({
      connection,
      request: (subject, payload, requestOptions) => this.request(subject, payload, requestOptions),
      send: (message) => this.#outgoing.send(message),
      report: this.#report,
      prefix: options.bodyPrefix ?? bodyRoot,
      limitBytes: this.maxPayloadBytes,
    });
    this.#subscriptions = new WireSubscriptions({
      connection,
      bodies: this.#bodies,
      answer: this.#answer,
      run: (handler, message) => this.#router.run(handler, message),
      track: (work) => this.#router.track(work),
      failed: (error, message) => this.#failed(error, message),
    });
    const prefix = options.inboxPrefix ?? '_INBOX';
    const { requests, bodies, answer } = { requests: this.#requests, bodies: this.#bodies, answer: this.#answer };
    this.#replies = new Replies({
      interest: this.#interest,
      connection,
      prefix,
      requests,
      bodies,
      answer,
    });
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

  get pendingBytes(): number {
    return this.#outgoing.pendingBytes;
  }

  publish(subject: string, payload: unknown, options?: PublishOptions): void {
    this.#check(subject, options);
    // A reply to a request of this very connection has nowhere to go but here.
    if (subject.startsWith(this.#replies.inbox)) {
      this.#requests.settle(
        subject.slice(this.#replies.inbox.length),
        new LocalMessage(subject, payload, options, this.#publish),
      );
      return;
    }
    if (options?.toOne === true && this.#isHere(subject)) {
      this.#router.route(subject, new LocalMessage(subject, payload, options, this.#publish));
      return;
    }
    const body = encodeBody(payload, options?.contentType);
    const { headers, replyTo } = options ?? {};
    this.#sendOrRelease(this.#pack(subject, body, { headers, replyTo, keep: 'while asked for' }));
  }

  announce(subject: string, make: () => unknown): void {
    if (this.#status.state === 'closed') return;
    const token = this.#interest.next(subject);
    if (token === null) return;
    try {
      this.publish(subject, make(), token === '' ? undefined : { replyTo: this.#replies.inbox + token });
    } catch (error) {
      this.#report(error, subject);
    }
  }

  subscribe(pattern: string, handler: MessageHandler, options: SubscribeOptions = {}): Subscription {
    this.#refuseIfEnding();
    checkPattern(pattern);
    const queue = options.queue === undefined ? undefined : checkQueue(options.queue);
    const wire = this.#subscriptions.add(pattern, queue, handler);
    if (queue === undefined) return wire;
    const local = this.#router.add(pattern, handler, queue);
    const drain = (): void => {
      local.drain();
      wire.drain();
    };
    const close = (): void => {
      local.close();
      wire.close();
    };
    return { pattern, drain, close };
  }

  request(subject: string, payload: unknown, options: RequestOptions = {}): Promise<Message> {
    try {
      this.#check(subject, options);
      checkMs(options.timeoutMs, 'timeoutMs');
      options.signal?.throwIfAborted();
      return this.#isHere(subject)
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
    this.#interest.clear();
    this.#router.clear();
    this.#outgoing.close(busClosed());
    this.#bodies.clear();
    await this.connection.close();
    discardTransport(this.connection);
  }

  /** Whether what is meant for one receiver need not leave this process. */
  #isHere(subject: string): boolean {
    return this.#localDelivery && this.#router.hasGroup(subject);
  }

  #requestLocally(subject: string, payload: unknown, options: RequestOptions): Promise<Message> {
    const { request, reply } = this.#requests.open(subject, options);
    request.detached = true;
    const { headers, contentType } = options;
    const message = new LocalMessage(
      subject,
      payload,
      {
        replyTo: this.#replies.inbox + request.token,
        ...(headers === undefined ? {} : { headers }),
        ...(contentType === undefined ? {} : { contentType }),
      },
      this.#publish,
    );
    this.#router.route(subject, message);
    return reply;
  }

  #requestOverWire(subject: string, payload: unknown, options: RequestOptions): Promise<Message> {
    if (this.#replies.refusal !== undefined) throw this.#replies.refusal;
    const body = encodeBody(payload, options.contentType);
    const { request, reply } = this.#requests.open(subject, options);
    try {
      const replyTo = this.#replies.inbox + request.token;
      const { headers } = options;
      const { message, release } = this.#pack(subject, body, { headers, replyTo, keep: 'until released' });
      request.release = release;
      this.#outgoing.send(message);
      request.idempotent = options.idempotent === true;
      if (message.held || request.idempotent) request.outgoing = message;
    } catch (error) {
      this.#requests.fail(request.token, error);
    }
    return reply;
  }

  #pack(subject: string, body: EncodedBody, options: PackOptions): PackedMessage {
    return this.#bodies.pack(subject, body, options, this.#largestMessageBytes);
  }

  #sendOrRelease({ message, release }: PackedMessage): void {
    try {
      this.#outgoing.send(message);
    } catch (error) {
      release?.();
      throw error;
    }
  }

  readonly #answer: Answer = (replyTo, value, type, headers) => {
    if (replyTo.startsWith(this.#replies.inbox)) {
      this.publish(replyTo, value, headers === undefined ? {} : { headers });
      return;
    }
    const body = encodeBody(value, value instanceof Uint8Array ? undefined : type);
    // Its subject came from the server, and is another for every reply.
    if (this.#status.state === 'closed') throw busClosed();
    if (headers !== undefined) checkHeaders(headers);
    try {
      this.#sendOrRelease(this.#pack(replyTo, body, { headers, replyTo: undefined, keep: 'until fetched' }));
    } catch (error) {
      // The one who asked must hear of it, or it waits for its time-out.
      if (!IModelError.is(error) || error.code !== 'payload_too_large') throw error;
      this.#answerFailure(replyTo, error, type);
    }
  };

  #answerFailure(replyTo: string, error: unknown, contentType: ContentType): void {
    const failure = toFailure(error);
    this.publish(replyTo, { failure }, { contentType, headers: failureHeaders(failure) });
  }

  /** A message whose body does not come: who sent it hears of it if it can. */
  #failed(error: unknown, message: WireMessage): void {
    this.#report(error, message.subject);
    if (message.replyTo === undefined || this.#status.state === 'closed') return;
    try {
      this.#answerFailure(message.replyTo, error, 'application/json');
    } catch (thrown) {
      this.#report(thrown, message.subject);
    }
  }

  #connected(): void {
    this.#largestMessageBytes = this.connection.info?.max_payload ?? this.#largestMessageBytes;
    this.#interest.clear();
    // What the server refused it may allow now.
    this.#replies.reopen();
    this.#subscriptions.reopen();
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
  #afterDisconnect({ detached, outgoing, idempotent, subject }: OpenRequest): IModelError | undefined {
    if (detached || outgoing?.held === true) return undefined;
    if (!idempotent || outgoing === undefined) {
      return busUnavailable(`The connection was lost while a reply on \`${subject}\` was awaited`);
    }
    this.#outgoing.sendAgain(outgoing);
    return undefined;
  }

  #refused(error: IModelError, operation: 'publish' | 'subscription', subject: string): void {
    if (operation === 'subscription') this.#replies.refused(error, subject);
    if (operation === 'publish') {
      this.#requests.failWhere((request) => (request.subject === subject && !request.detached ? error : undefined));
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
    this.#subscriptions.drain();
    if (this.#outgoing.isConnected) await this.connection.flush().catch(() => {});
    do {
      await this.#router.idle();
      await this.#requests.settled();
    } while (!this.#router.isIdle);
    await within(this.#bodies.fetched(), 2_000, this.#closing.signal);
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
