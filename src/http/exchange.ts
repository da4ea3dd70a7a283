import type { Dispatcher } from 'undici';
import { IModelError } from '../errors.ts';
import { connectionError } from './connection-error.ts';
import type { Connection } from './connection-pool.ts';
import { type ContentEncoding, contentEncoding, UnpackingReader, unpack } from './content-encoding.ts';

/** Header names in lower case. */
export type HttpHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** What an upstream answered. */
export interface HttpResponse {
  readonly status: number;
  readonly headers: HttpHeaders;
  /** The whole body; empty when a {@link BodyReader} took it. */
  readonly body: Buffer;
}

/** What a reader can do to its exchange between two pieces. All may be called at any time, also after the end. */
export interface Flow {
  /** Holds the upstream back. */
  pause(): void;
  /** Lets it go on. */
  resume(): void;
  /** As returning true from {@link BodyReader.data}. */
  finish(): void;
  /** As throwing there. */
  fail(error: unknown): void;
}

/** Takes a body piece by piece, as the bytes come from the socket. */
export interface BodyReader {
  /**
   * Takes the next bytes. What it throws fails the exchange, and the socket is closed first.
   *
   * @returns True when it has all it needs: the exchange resolves now, and whatever still comes is thrown away.
   */
  data(bytes: Buffer, flow: Flow): boolean;
  /** Hears that the body is complete. What it throws or rejects with fails the exchange; a promise is waited for. */
  end(): void | Promise<void>;
}

/** The part of an `AbortSignal` that is used here. A caller with many short requests can bring something lighter. */
export interface AbortSource {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: 'abort', listener: { handleEvent(): void }): void;
  removeEventListener(type: 'abort', listener: { handleEvent(): void }): void;
}

/** One request, ready to be written. */
export interface HttpRequest {
  readonly method?: 'POST' | 'GET' | 'DELETE';
  /** Scheme, host and port, such as `https://api.openai.com`. */
  readonly origin: string;
  /** Path with query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | null;
  /** Aborting closes the socket; the exchange then rejects with the reason. */
  readonly signal?: AbortSource | undefined;
  /** Longest wait for the response headers, counted from the moment the request is written; in milliseconds. @defaultValue 600,000 */
  readonly headersTimeoutMs?: number;
  /** Longest wait between two pieces of the body while the reader wants more; in milliseconds. @defaultValue 120,000 */
  readonly idleTimeoutMs?: number;
  /** Largest body that is collected in memory, in bytes. @defaultValue 134,217,728 (128 MiB) */
  readonly maxBodyBytes?: number;
  /** Asked when a connection is open: true leaves the request unwritten, and the exchange rejects with `overloaded`. */
  withheld?(): boolean;
  /** Called when the request has been handed to an open connection. */
  sent?(): void;
  /** Called when the response headers arrive. */
  answered?(status: number): void;
  /** Chooses who takes the body, by status and headers; null collects it. Without it every body is collected. */
  reader?(status: number, headers: HttpHeaders): BodyReader | null;
}

/** How long a server may keep a body open after its reader had enough; then the socket is closed instead of being kept. */
const drainLimitMs = 1_000;
/** A longer one would fire at once. */
const longestTimerMs = 2 ** 31 - 1;
const defaultHeadersTimeoutMs = 600_000;
const defaultIdleTimeoutMs = 120_000;
const defaultMaxBodyBytes = 128 * 1_024 * 1_024;

const noBody = Buffer.alloc(0);

/**
 * One request and its response: the handler undici calls, and the limits and the signal that can end it.
 *
 * It settles once. Failing closes the socket before the promise rejects.
 */
export class Exchange implements Dispatcher.DispatchHandler, Flow {
  readonly #request: HttpRequest;
  readonly #connection: Connection;
  readonly #connectTimeoutMs: number;
  readonly #resolve: (response: HttpResponse) => void;
  readonly #reject: (error: unknown) => void;
  #controller: Dispatcher.DispatchController | null = null;
  #timer: NodeJS.Timeout | null = null;
  #limitMs = 0;
  #settled = false;
  /** Whether the request is being written, and its limit and {@link HttpRequest.sent} still wait for that. */
  #isUntold = false;
  #answered = false;
  /** Whether the connection has been given back. */
  #isOver = false;
  #status = 0;
  #headers: HttpHeaders = {};
  #reader: BodyReader | null = null;
  #encoding: ContentEncoding | null = null;
  #pieces: Buffer[] = [];
  #size = 0;

  constructor(
    request: HttpRequest,
    connection: Connection,
    connectTimeoutMs: number,
    resolve: (response: HttpResponse) => void,
    reject: (error: unknown) => void,
  ) {
    this.#request = request;
    this.#connection = connection;
    this.#connectTimeoutMs = connectTimeoutMs;
    this.#resolve = resolve;
    this.#reject = reject;
    request.signal?.addEventListener('abort', this);
  }

  /** The signal aborted. */
  handleEvent(): void {
    this.fail(this.#request.signal?.reason);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // The call ended while its connection was being opened: nothing has been written yet, and nothing may be.
    if (this.#settled) {
      controller.abort(new Error('The call ended before its connection was open'));
      return;
    }
    this.#controller = controller;
    if (this.#request.withheld?.() === true) {
      const message = `${new URL(this.#request.origin).host} has asked to be left alone before the request was written`;
      this.fail(IModelError.of('overloaded', message, {}));
      return;
    }
    // The bytes leave when this returns; what follows from that need not hold them up.
    this.#isUntold = true;
    process.nextTick(tellSent, this);
  }

  /** The request has been written. */
  tellSent(): void {
    if (!this.#isUntold) return;
    this.#isUntold = false;
    this.#limit(this.#request.headersTimeoutMs ?? defaultHeadersTimeoutMs);
    this.#request.sent?.();
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: HttpHeaders): void {
    if (status < 200 || this.#settled) return;
    this.tellSent();
    this.#answered = true;
    this.#status = status;
    this.#headers = headers;
    this.#limit(this.#request.idleTimeoutMs ?? defaultIdleTimeoutMs);
    try {
      this.#request.answered?.(status);
      this.#encoding = contentEncoding(headers['content-encoding']);
      const reader = this.#request.reader?.(status, headers) ?? null;
      this.#reader = reader === null || this.#encoding === null ? reader : new UnpackingReader(this.#encoding, reader);
    } catch (error) {
      this.fail(error);
    }
  }

  onResponseData(_controller: Dispatcher.DispatchController, bytes: Buffer): void {
    if (this.#settled) return;
    this.#timer?.refresh();
    if (this.#reader === null) {
      this.#collect(bytes);
      return;
    }
    try {
      if (this.#reader.data(bytes, this)) this.finish();
    } catch (error) {
      this.fail(error);
    }
  }

  onResponseEnd(): void {
    this.#controller = null;
    this.#isOver = true;
    this.#connection.release();
    if (this.#settled) {
      this.#release();
      return;
    }
    try {
      const ended = this.#reader?.end();
      if (ended === undefined) this.#succeed();
      else ended.then(() => this.#succeed()).catch((error: unknown) => this.fail(error));
    } catch (error) {
      this.fail(error);
    }
  }

  #succeed(): void {
    if (this.#settled) return;
    const body = this.#body();
    this.#settle();
    this.#resolve({ status: this.#status, headers: this.#headers, body });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#controller = null;
    if (this.#settled) {
      this.#release();
      return;
    }
    this.fail(connectionError(error, new URL(this.#request.origin).host, this.#connectTimeoutMs));
  }

  pause(): void {
    if (this.#settled) return;
    // A reader that is behind is no fault of the upstream: its silence is not counted meanwhile.
    clearTimeout(this.#timer ?? undefined);
    this.#timer = null;
    this.#controller?.pause();
  }

  resume(): void {
    if (!this.#settled) this.#limit(this.#request.idleTimeoutMs ?? defaultIdleTimeoutMs);
    this.#controller?.resume();
  }

  #collect(bytes: Buffer): void {
    this.#pieces.push(bytes);
    this.#size += bytes.length;
    const { maxBodyBytes = defaultMaxBodyBytes } = this.#request;
    if (this.#size <= maxBodyBytes) return;
    const message = `The reply is larger than ${maxBodyBytes} bytes`;
    this.fail(IModelError.of('payload_too_large', message, { sizeBytes: this.#size, limitBytes: maxBodyBytes }));
  }

  #body(): Buffer {
    const [first] = this.#pieces;
    if (first === undefined) return noBody;
    const body = this.#pieces.length === 1 ? first : Buffer.concat(this.#pieces, this.#size);
    const { maxBodyBytes = defaultMaxBodyBytes } = this.#request;
    return this.#encoding === null ? body : unpack(body, this.#encoding, maxBodyBytes);
  }

  finish(): void {
    if (this.#settled) return;
    this.#settle();
    if (!this.#isOver) this.#timer = setTimeout(() => this.#hangUp(new Error('The reader had enough')), drainLimitMs);
    this.#timer?.unref();
    this.#controller?.resume();
    this.#resolve({ status: this.#status, headers: this.#headers, body: noBody });
  }

  #limit(limitMs: number): void {
    // Most calls have one limit for both waits, and a refreshed timer costs a tenth of a new one.
    if (this.#timer !== null && limitMs === this.#limitMs) {
      this.#timer.refresh();
      return;
    }
    clearTimeout(this.#timer ?? undefined);
    this.#limitMs = limitMs;
    this.#timer = setTimeout(timeOut, Math.min(limitMs, longestTimerMs), this);
  }

  /** A limit passed. */
  timeOut(): void {
    const timeoutMs = this.#limitMs;
    const phase = this.#answered ? 'stream' : 'attempt';
    const what = this.#answered ? 'sent nothing more' : 'did not begin to answer';
    const message = `${new URL(this.#request.origin).host} ${what} within ${timeoutMs} ms`;
    this.fail(IModelError.of('timed_out', message, { phase, timeoutMs, retryable: true }));
  }

  #release(): void {
    clearTimeout(this.#timer ?? undefined);
    this.#timer = null;
    this.#request.signal?.removeEventListener('abort', this);
  }

  #settle(): void {
    this.tellSent();
    this.#settled = true;
    this.#release();
  }

  fail(error: unknown): void {
    if (this.#settled) return;
    this.#settle();
    this.#hangUp(error);
    this.#reject(error);
  }

  /** Closes the connection; its descriptor is closed when this returns. */
  #hangUp(error: unknown): void {
    if (this.#isOver) return;
    const controller = this.#controller;
    this.#controller = null;
    controller?.abort(error instanceof Error ? error : new Error(String(error)));
    this.#connection.discard();
  }
}

function tellSent(exchange: Exchange): void {
  exchange.tellSent();
}

function timeOut(exchange: Exchange): void {
  exchange.timeOut();
}
