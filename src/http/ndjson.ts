import { Utf8Decoder } from './utf8.ts';

/**
 * Reads newline-delimited JSON from bytes that may be cut anywhere. Blank lines are skipped, a last line needs no line end, and lines have
 * no longest length. Parsing is left to the handler. Bytes that are no UTF-8 fail it as `malformed`.
 */
export class NdjsonReader {
  readonly #decoder = new Utf8Decoder();
  readonly #handler: (line: string) => void;
  #pending: string[] = [];

  constructor(handler: (line: string) => void) {
    this.#handler = handler;
  }

  /** Takes the next bytes; calls the handler for every line they complete. What the handler throws is thrown here. */
  feed(bytes: Buffer): void {
    this.#text(this.#decoder.write(bytes));
  }

  /** Hears that no more bytes come, and delivers an unfinished last line. */
  end(): void {
    this.#text(`${this.#decoder.end()}\n`);
  }

  #text(text: string): void {
    let start = 0;
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
      this.#line(text.slice(start, end));
      start = end + 1;
    }
    if (start < text.length) this.#pending.push(text.slice(start));
  }

  #line(tail: string): void {
    const line = this.#pending.length === 0 ? tail : this.#pending.join('') + tail;
    this.#pending = [];
    const trimmed = line.trim();
    if (trimmed !== '') this.#handler(trimmed);
  }
}
