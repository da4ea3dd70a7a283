import type { ServerResponse } from 'node:http';

/** Bytes that may wait for a reader before it counts as behind. */
const maxWaiting = 262_144;

/** The answer to one page that watches: server-sent events on one response, and never more of them in memory than a page needs. */
export class Viewer {
  readonly #raw: ServerResponse;
  readonly #slowReaderMs: number;
  #missed = 0;
  #cutTimer: NodeJS.Timeout | undefined;

  /**
   * @param raw - A response of which nothing has been sent.
   * @param slowReaderMs - How long it may take nothing before it is cut.
   */
  constructor(raw: ServerResponse, slowReaderMs: number) {
    this.#raw = raw;
    this.#slowReaderMs = slowReaderMs;
    raw.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      // Proxies of the nginx kind collect answers before they pass them on.
      'x-accel-buffering': 'no',
    });
    raw.once('close', () => clearTimeout(this.#cutTimer));
  }

  /** Changes it has not been told of, because it was behind. */
  get missed(): number {
    return this.#missed;
  }

  /** Whether it has too much to read already. */
  get isBehind(): boolean {
    return this.#raw.writableLength > maxWaiting;
  }

  /** Leaves out so many changes. It is cut unless it catches up in time. */
  skip(changes: number): void {
    this.#missed += changes;
    if (this.#cutTimer !== undefined) return;
    this.#cutTimer = setTimeout(() => this.#raw.destroy(), this.#slowReaderMs);
    this.#raw.once('drain', () => {
      clearTimeout(this.#cutTimer);
      this.#cutTimer = undefined;
    });
  }

  /** Sends an event. @param text - JSON, without line breaks. */
  send(name: string, text: string): void {
    this.#missed = 0;
    this.#write(`event: ${name}\ndata: ${text}\n\n`);
  }

  /** Shows that the connection lives. */
  keepAlive(): void {
    if (!this.isBehind) this.#write(': still here\n\n');
  }

  /** Ends the answer. */
  close(): void {
    clearTimeout(this.#cutTimer);
    this.#raw.end();
  }

  #write(text: string): void {
    if (!this.#raw.writableEnded && !this.#raw.destroyed) this.#raw.write(text);
  }
}
