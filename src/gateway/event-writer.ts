import type { ServerResponse } from 'node:http';
import { IModelError } from '../errors.ts';

/** Characters that are written at once, however many more may come in the same tick. */
const longestWrite = 65_536;

/** When a stream speaks up, and when it gives its reader up. Milliseconds. */
export interface EventWriterTimes {
  /** Silence after which a comment is sent. */
  readonly keepAliveMs: number;
  /** How long a reader may take nothing. */
  readonly slowReaderMs: number;
}

/** What an {@link EventWriter} needs of the one who writes. */
export interface EventWriterHooks {
  /** Runs before the first byte; returns the headers of the answer. */
  begin(): Record<string, string>;
  /** Hears that the reader took nothing for too long; its connection is then cut. */
  giveUp(error: IModelError): void;
}

/**
 * Server-sent events on one response.
 *
 * The head is sent with the first event, or with the first comment when there is silence: until then a failure can be an answer with a status
 * of its own. Several events of one tick leave in one write.
 */
export class EventWriter {
  readonly #raw: ServerResponse;
  readonly #times: EventWriterTimes;
  readonly #hooks: EventWriterHooks;
  readonly #timer: NodeJS.Timeout;
  #wrote = false;
  /** Whether the answer is in chunks; it is not for a reader that speaks HTTP/1.0. */
  #isChunked = false;
  /** Events of this tick. */
  #pending = '';

  constructor(raw: ServerResponse, times: EventWriterTimes, hooks: EventWriterHooks) {
    this.#raw = raw;
    this.#times = times;
    this.#hooks = hooks;
    this.#timer = setInterval(() => this.#keepAlive(), times.keepAliveMs);
  }

  /** Whether anything has been sent, the head included. */
  get begun(): boolean {
    return this.#raw.headersSent;
  }

  /** @returns False when the reader is behind: wait for {@link drained}. What was written is sent all the same. */
  write(text: string): boolean {
    const raw = this.#raw;
    if (raw.destroyed) return true;
    if (!raw.headersSent) this.#begin();
    this.#wrote = true;
    if (this.#pending === '') process.nextTick(() => this.#flush());
    this.#pending += text;
    if (this.#pending.length > longestWrite) this.#flush();
    return !raw.writableNeedDrain;
  }

  /** Resolves when the reader has caught up, or is gone. */
  drained(): Promise<void> {
    const raw = this.#raw;
    return new Promise((resolve) => {
      const settle = (): void => {
        clearTimeout(timer);
        raw.off('drain', settle);
        raw.off('close', settle);
        resolve();
      };
      const timer = setTimeout(() => {
        const reason = `took nothing for ${this.#times.slowReaderMs / 1_000} s`;
        this.#hooks.giveUp(IModelError.of('cancelled', `The reader of the stream ${reason}`, { reason }));
        raw.destroy();
      }, this.#times.slowReaderMs);
      raw.once('drain', settle);
      raw.once('close', settle);
    });
  }

  /** Ends the answer. */
  end(): void {
    this.stop();
    const last = this.#isChunked ? `${this.#take()}0\r\n\r\n` : this.#take();
    if (!this.#raw.writableEnded) this.#raw.end(last);
  }

  /** Says nothing any more: the answer is somebody else's to end. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** Node writes a chunk as four pieces, which costs a quarter more than one: from here on chunks are made here. */
  #begin(): void {
    const raw = this.#raw;
    raw.writeHead(200, { ...this.#hooks.begin(), ...streamHeaders });
    this.#isChunked = raw.chunkedEncoding;
    raw.chunkedEncoding = false;
  }

  /** Events are joined here and not by corking the response: under Node 24 one that ends while it is corked loses what it holds. */
  #flush(): void {
    const text = this.#take();
    if (text !== '' && !this.#raw.writableEnded) this.#raw.write(text);
  }

  /** The events of this tick, as they travel. */
  #take(): string {
    const text = this.#pending;
    this.#pending = '';
    return text === '' || !this.#isChunked ? text : `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
  }

  #keepAlive(): void {
    const quiet = !this.#wrote;
    this.#wrote = false;
    if (!quiet || this.#raw.writableEnded || this.#raw.writableNeedDrain) return;
    this.write(': still here\n\n');
    this.#wrote = false;
  }
}

const streamHeaders = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  // Proxies of the nginx kind collect answers before they pass them on.
  'x-accel-buffering': 'no',
};
