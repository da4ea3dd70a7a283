const newline = 0x0a;
const carriageReturn = 0x0d;

/** What one piece of output completed. */
export interface SplitLines {
  /** Lines without their ends; bytes that are no UTF-8 became U+FFFD. */
  readonly lines: readonly string[];
  /** How many lines were dropped because they passed the limit. */
  readonly oversized: number;
}

/**
 * Cuts a byte stream into lines of text, whatever the sizes of its pieces.
 *
 * A line is decoded once, when it is complete, so that a character cut by two reads stays whole. Pieces of an unfinished line are kept as
 * they came and joined once: a line of 10 MB costs 10 MB, not its square.
 */
export class LineSplitter {
  readonly #maxLineBytes: number;
  #pieces: Buffer[] = [];
  #sizeBytes = 0;
  #discarding = false;

  /** @param maxLineBytes - A longer line is discarded up to its end. */
  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes;
  }

  /** Takes the next bytes. */
  push(bytes: Buffer): SplitLines {
    const lines: string[] = [];
    let oversized = 0;
    let from = 0;
    for (let end = bytes.indexOf(newline, from); end !== -1; end = bytes.indexOf(newline, from)) {
      this.#keep(bytes.subarray(from, end));
      from = end + 1;
      if (this.#discarding) oversized += 1;
      else lines.push(this.#take());
      this.#clear();
    }
    if (from < bytes.length) this.#keep(bytes.subarray(from));
    return { lines, oversized };
  }

  /** The unfinished line at the end of the stream; null when the stream ended with a newline, empty when it was too long. */
  end(): string | null {
    if (this.#discarding) {
      this.#clear();
      return '';
    }
    if (this.#sizeBytes === 0) return null;
    const rest = this.#take();
    this.#clear();
    return rest;
  }

  #keep(piece: Buffer): void {
    if (this.#discarding || piece.length === 0) return;
    this.#sizeBytes += piece.length;
    if (this.#sizeBytes > this.#maxLineBytes) {
      this.#discarding = true;
      this.#pieces = [];
      return;
    }
    this.#pieces.push(piece);
  }

  #take(): string {
    const first = this.#pieces[0];
    const whole =
      this.#pieces.length === 1 && first !== undefined ? first : Buffer.concat(this.#pieces, this.#sizeBytes);
    const end = whole.length > 0 && whole[whole.length - 1] === carriageReturn ? whole.length - 1 : whole.length;
    return whole.toString('utf8', 0, end);
  }

  #clear(): void {
    this.#pieces = [];
    this.#sizeBytes = 0;
    this.#discarding = false;
  }
}
