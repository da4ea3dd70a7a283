import type { ScreenSize } from './top-screen.ts';

/** Codes of ECMA-48 and of xterm, which all terminals in use know: https://invisible-island.net/xterm/ctlseqs/ctlseqs.html */
const codes = {
  enter: '\u001b[?1049h\u001b[?25l',
  leave: '\u001b[?25h\u001b[?1049l',
  home: '\u001b[H',
  clearToEndOfLine: '\u001b[K',
  clearBelow: '\u001b[J',
};

/** A terminal as a surface to draw on, with the keys that are pressed. What was on it before is back when this is disposed of. */
export class TerminalScreen implements Disposable {
  readonly #output: NodeJS.WriteStream;
  readonly #input: NodeJS.ReadStream;
  readonly #resized = (): void => this.onResize();
  readonly #pressed = (data: Buffer): void => {
    for (const key of data.toString()) this.onKey(key);
  };
  readonly #restore = (): void => {
    this.#output.write(codes.leave);
  };
  /** Hears that there is more or less room. */
  onResize: () => void = () => {};
  /** Hears a key. */
  onKey: (key: string) => void = () => {};

  constructor(output: NodeJS.WriteStream, input: NodeJS.ReadStream) {
    this.#output = output;
    this.#input = input;
    output.write(codes.enter);
    output.on('resize', this.#resized);
    // However the program ends.
    process.on('exit', this.#restore);
    if (!input.isTTY) return;
    input.setRawMode(true);
    input.on('data', this.#pressed);
    input.resume();
  }

  get size(): ScreenSize {
    return { columns: this.#output.columns, rows: this.#output.rows };
  }

  /** Draws lines from the top. They must fit. */
  draw(lines: readonly string[]): void {
    const text = lines.map((line) => line + codes.clearToEndOfLine).join('\r\n');
    this.#output.write(codes.home + text + codes.clearBelow);
  }

  [Symbol.dispose](): void {
    process.off('exit', this.#restore);
    this.#output.off('resize', this.#resized);
    this.#restore();
    if (!this.#input.isTTY) return;
    this.#input.off('data', this.#pressed);
    this.#input.setRawMode(false);
    this.#input.pause();
  }
}
