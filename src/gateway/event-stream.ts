import type { ServerResponse } from 'node:http';
import { IModelError, toFailure } from '../errors.ts';
import type { ModelStream } from '../runtime/model-stream.ts';
import type { StreamEncoder } from './dialect.ts';

/** Characters that are written at once, however many more may come in the same tick. */
const longestWrite = 65_536;

/** When a stream speaks up, and when it gives its reader up. Milliseconds. */
export interface EventStreamTimes {
  /** Silence after which a comment is sent. */
  readonly keepAliveMs: number;
  /** How long a reader may take nothing. */
  readonly slowReaderMs: number;
}

/**
 * A call's chunks as server-sent events on one response.
 *
 * The head is sent with the first chunk, or with the first comment when the call is slow to begin: until then a failure is an answer with a
 * status of its own. Several events of one tick leave in one write. A reader that falls behind makes the upstream wait.
 */
export class EventStream {
  readonly #raw: ServerResponse;
  readonly #headers: () => Record<string, string>;
  readonly #times: EventStreamTimes;
  readonly #giveUp: (error: IModelError) => void;
  #wrote = false;
  /** Events of this tick. */
  #pending = '';

  /**
   * @param headers - Made when the head is sent.
   * @param giveUp - Cancels the call of a reader that takes nothing.
   */
  constructor(
    raw: ServerResponse,
    headers: () => Record<string, string>,
    times: EventStreamTimes,
    giveUp: (error: IModelError) => void,
  ) {
    this.#raw = raw;
    this.#headers = headers;
    this.#times = times;
    this.#giveUp = giveUp;
  }

  /**
   * Writes a call's chunks and its end.
   *
   * @param begin - Runs before the first byte.
   * @throws IModelError what the call failed with, while nothing has been sent; later failures are the stream's last event.
   */
  async answer(stream: ModelStream, encoder: StreamEncoder, begin: () => void): Promise<void> {
    const timer = setInterval(() => this.#keepAlive(begin), this.#times.keepAliveMs);
    try {
      for await (const chunk of stream) {
        const text = encoder.chunk(chunk);
        if (text !== '' && !this.#write(text, begin)) await this.#drained();
      }
      this.#write(encoder.end(stream.call), begin);
    } catch (error) {
      if (!this.#raw.headersSent) throw error;
      this.#write(encoder.failed(toFailure(error)), begin);
    } finally {
      clearInterval(timer);
    }
    this.#flush();
    this.#raw.end();
  }

  /** @returns False when the reader is behind. */
  #write(text: string, begin: () => void): boolean {
    const raw = this.#raw;
    if (raw.destroyed) return true;
    if (!raw.headersSent) {
      begin();
      raw.writeHead(200, { ...this.#headers(), ...streamHeaders });
    }
    this.#wrote = true;
    if (this.#pending === '') process.nextTick(() => this.#flush());
    this.#pending += text;
    if (this.#pending.length > longestWrite) this.#flush();
    return !raw.writableNeedDrain;
  }

  /** Events are joined here and not by corking the response: under Node 24 one that ends while it is corked loses what it holds. */
  #flush(): void {
    const text = this.#pending;
    this.#pending = '';
    if (text !== '' && !this.#raw.writableEnded) this.#raw.write(text);
  }

  #keepAlive(begin: () => void): void {
    const quiet = !this.#wrote;
    this.#wrote = false;
    if (!quiet || this.#raw.writableEnded || this.#raw.writableNeedDrain) return;
    this.#write(': still here\n\n', begin);
    this.#wrote = false;
  }

  /** Waits until the reader has caught up, or is gone. */
  #drained(): Promise<void> {
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
        this.#giveUp(IModelError.of('cancelled', `The reader of the stream ${reason}`, { reason }));
        raw.destroy();
      }, this.#times.slowReaderMs);
      raw.once('drain', settle);
      raw.once('close', settle);
    });
  }
}

const streamHeaders = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  // Proxies of the nginx kind collect answers before they pass them on.
  'x-accel-buffering': 'no',
};
