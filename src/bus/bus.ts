/** Header names and values of a message; names compare without case. One value per name. */
export type Headers = Readonly<Record<string, string>>;

/** How a value is written when it must become bytes; `application/octet-stream` is a `Uint8Array` that stays one. */
export type ContentType = 'application/json' | 'application/msgpack' | 'text/plain' | 'application/octet-stream';

/** Options of a single message. */
export interface PublishOptions {
  /** Headers to send along. */
  readonly headers?: Headers;
  /** Where the receiver should answer. Normally left to {@link Bus.request}. */
  readonly replyTo?: string;
  /**
   * How the payload is written. A `Uint8Array` with any type but `application/octet-stream` is taken as already written that way.
   *
   * @defaultValue 'text/plain' for a string, 'application/octet-stream' for a `Uint8Array`, 'application/json' for everything else
   */
  readonly contentType?: ContentType;
  /**
   * It is meant for one receiver: where a queue group listens on this very connection it is delivered in this process, as a request is, and
   * goes nowhere else.
   *
   * @defaultValue false
   */
  readonly toOne?: boolean;
}

/** Options of a request. */
export interface RequestOptions extends Omit<PublishOptions, 'replyTo' | 'toOne'> {
  /** Milliseconds to wait for the reply; no limit when absent. */
  readonly timeoutMs?: number;
  /** Stops the wait; the promise rejects with `cancelled`. */
  readonly signal?: AbortSignal;
  /**
   * The last token of the reply subject: unguessable, and used once. It lets a receiver name the request without a header, which costs more
   * than all the rest of a small message.
   *
   * @defaultValue a random one
   */
  readonly token?: string;
  /**
   * The receiver recognises the same request when it comes twice. Then a request that was in flight when the connection broke is sent
   * again after the reconnect, within its `timeoutMs`, instead of failing with `unavailable`.
   *
   * @defaultValue false
   */
  readonly idempotent?: boolean;
}

/** A message as a handler sees it. */
export interface Message {
  /** The subject it was published to. */
  readonly subject: string;
  /** Its headers, by the names of the wire; empty without any. */
  readonly headers: Headers;
  /** Where a reply goes; undefined when none is expected. */
  readonly replyTo: string | undefined;
  /** How the body was written; `undefined` when it never left this process and its sender named no type. */
  readonly contentType: ContentType | undefined;
  /**
   * The body, decoded at the first call and remembered. On the memory bus it is the very value that was published.
   *
   * @throws IModelError `malformed` when the bytes are not what their content type says.
   */
  value(): unknown;
  /**
   * Answers, in the encoding of the request. Does nothing when no reply is expected; only the first reply to a request is seen by
   * the requester.
   */
  respond(value: unknown, options?: { readonly headers?: Headers }): void;
}

/** Receives messages in the order of their arrival. Throwing (or rejecting) is reported to {@link BusOptions.onError} and stops nothing. */
export type MessageHandler = (message: Message) => void | Promise<void>;

/** Options of a subscription. */
export interface SubscribeOptions {
  /** Of all members of one queue group, one receives each message. */
  readonly queue?: string;
}

/** A live subscription. */
export interface Subscription {
  /** The subject or pattern that was subscribed to. */
  readonly pattern: string;
  /** Takes nothing new: what was sent before still arrives, so that no request is left without an answer. Idempotent. */
  drain(): void;
  /** Stops delivery at once. Idempotent. */
  close(): void;
}

/** What a bus reports about its connection. */
export interface BusStatus {
  readonly type:
    | 'connected'
    | 'disconnected'
    | 'reconnecting'
    | 'draining'
    | 'closed'
    | 'error'
    | 'slow_consumer'
    | 'lame_duck';
  /** Epoch milliseconds. */
  readonly at: number;
  /** More about it, for people: a server, a reason. */
  readonly detail?: string;
}

/** Options every bus takes. */
export interface BusOptions {
  /** Hears of handlers that threw and of messages that could not be delivered. Must not throw. @defaultValue ignores */
  readonly onError?: (error: unknown, subject: string) => void;
  /** Measures the time-outs of requests. @defaultValue the system's clock */
  readonly clock?: BusClock;
}

/** The part of a clock that a bus needs; `Clock` of actors/clock.ts fits. */
export interface BusClock {
  /** Epoch milliseconds. */
  now(): number;
  setTimeout(callback: () => void, delayMs: number): unknown;
  clearTimeout(handle: unknown): void;
}

/** Options of {@link Bus.drain}. */
export interface DrainOptions {
  /** Milliseconds after which what is left is given up. @defaultValue 30_000 */
  readonly timeoutMs?: number;
}

/**
 * A way to reach actors by subject. Subjects are dot-separated tokens; patterns may hold `*` (one token) and, last, `>` (one or more).
 *
 * Messages from one publisher on one subject arrive in order. Delivery is at most once.
 */
export interface Bus {
  /**
   * Sends to every matching subscription, and to one member of each matching queue group.
   *
   * @param payload - A JSON-like value, a string or a `Uint8Array`. The memory bus passes it by reference: do not change it afterwards.
   * @throws IModelError `config` for a subject with empty tokens, wildcards or white space; `closed` after {@link close};
   * `unavailable` while disconnected with the outgoing buffer full; `payload_too_large` above {@link maxPayloadBytes}.
   */
  publish(subject: string, payload: unknown, options?: PublishOptions): void;

  /**
   * Publishes for observers: as {@link publish}, but nearly free while nobody listens. Never throws; what cannot be sent is reported to
   * `onError`.
   *
   * On a server an observer that subscribes while others go without one hears a busy sender after 50 ms at most; in memory at once.
   *
   * @param make - Builds the payload; not called when nobody listens.
   */
  announce(subject: string, make: () => unknown): void;

  /** Delivers matching messages to the handler until closed. Throws as {@link publish} does for a malformed pattern. */
  subscribe(pattern: string, handler: MessageHandler, options?: SubscribeOptions): Subscription;

  /**
   * Sends a message and resolves with its first reply.
   *
   * @throws IModelError `no_responder` at once when nobody listens; `timed_out` (phase `reply`) after `timeoutMs`; the signal's reason when
   * it aborts; `unavailable` when the connection was lost with the request in flight; and as {@link publish}.
   */
  request(subject: string, payload: unknown, options?: RequestOptions): Promise<Message>;

  /** Resolves when everything published before has been taken by the server (or, in memory, delivered). */
  flush(): Promise<void>;

  /**
   * Stops taking new messages, lets handlers finish what has arrived (they may still publish and request), waits for requests that have
   * a time limit, sends what is buffered, then closes.
   */
  drain(options?: DrainOptions): Promise<void>;

  /** Ends at once; requests in flight reject with `closed`. Idempotent. */
  close(): Promise<void>;

  /** Connection changes, from the present state on. Each iterator buffers the latest 64. */
  readonly status: AsyncIterable<BusStatus>;

  /** Bytes that wait to be sent, or that the server has not confirmed yet; absent where nothing is sent. */
  readonly pendingBytes?: number;

  /** Largest body, in bytes, that is sent or taken; Infinity in memory. What exceeds a server's own limit travels in parts. */
  readonly maxPayloadBytes: number;
}
