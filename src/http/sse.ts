import { createParser } from 'eventsource-parser';
import { Utf8Decoder } from './utf8.ts';

/**
 * Takes one server-sent event.
 *
 * @param data - The event's data lines, joined with line feeds; never empty.
 * @param event - The event's name, if it has one.
 */
export type SseHandler = (data: string, event: string | undefined) => void;

/** JSON between events that is longer is passed over. In characters. */
const longestStray = 65_536;

/**
 * Reads server-sent events from bytes that may be cut anywhere, also inside a character or a line end.
 *
 * Lines end in LF, CRLF or CR, a byte order mark and comments are skipped, lines have no longest length, and an event that the
 * body's end left without its blank line is still delivered. JSON that stands between events, bare, is taken for one: so do servers report what
 * went wrong after they had begun to stream. Bytes that are no UTF-8 fail it as `malformed`: a browser would put U+FFFD in
 * their place, but here an answer would be read as whole that is not.
 *
 * @see {@link https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream}
 */
export class SseReader {
  /** Lines of no event that may be JSON, as far as they have come. */
  #stray = '';
  readonly #decoder = new Utf8Decoder();
  readonly #parser;
  #begun = false;

  constructor(handler: SseHandler) {
    this.#parser = createParser({
      onEvent: (message) => {
        if (message.data !== '') handler(message.data, message.event);
      },
      onError: ({ type, line }) => {
        if (type === 'unknown-field' && line !== undefined) this.#strayLine(line, handler);
      },
    });
  }

  /** Takes the next bytes; calls the handler for every event they complete. What the handler throws is thrown here. */
  feed(bytes: Buffer): void {
    this.#text(this.#decoder.write(bytes));
  }

  /** Hears that no more bytes come, and delivers an unfinished last event. */
  end(): void {
    this.#text(this.#decoder.end());
    this.#parser.feed('\n\n');
  }

  #strayLine(line: string, handler: SseHandler): void {
    if (this.#stray === '' && !/^\s*[{[]/.test(line)) return;
    this.#stray += line;
    if (this.#stray.length > longestStray) this.#stray = '';
    if (!/[}\]]\s*$/.test(line) || !isJson(this.#stray)) return;
    const data = this.#stray;
    this.#stray = '';
    handler(data, undefined);
  }

  #text(text: string): void {
    if (text === '') return;
    const marked = !this.#begun && text.charCodeAt(0) === 0xfeff;
    this.#begun = true;
    this.#parser.feed(marked ? text.slice(1) : text);
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
