import { formatDuration } from './format.ts';

/** What ends sooner needs no sign of life, in milliseconds. */
const patienceMs = 1_000;

const frameMs = 100;
const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const clearLine = '\r\u001b[2K';

/** The part of a terminal that progress is written to. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** A sign of life on a terminal, from the second second on. Writes nothing where there is no terminal. */
export class Progress {
  readonly #stream: ProgressStream;
  readonly #enabled: boolean;
  #label = '';
  #timer: NodeJS.Timeout | undefined;
  #startedAt = 0;
  #shown = false;

  /**
   * @param stream - Usually stderr, so that output stays clean.
   * @param quiet - True for output that programs read.
   */
  constructor(stream: ProgressStream, quiet: boolean, env: Readonly<Record<string, string | undefined>> = process.env) {
    this.#stream = stream;
    this.#enabled = stream.isTTY === true && !quiet && env.TERM !== 'dumb';
  }

  /** Says what is being waited for; the time counts from the first call since the last {@link stop}. */
  show(label: string): void {
    this.#label = label;
    if (!this.#enabled || this.#timer !== undefined) return;
    this.#startedAt = performance.now();
    this.#timer = setTimeout(() => this.#draw(0), patienceMs);
    this.#timer.unref();
  }

  /** Takes the line away. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#shown) this.#stream.write(clearLine);
    this.#shown = false;
  }

  #draw(frame: number): void {
    const passed = formatDuration(Math.floor((performance.now() - this.#startedAt) / 1_000) * 1_000);
    this.#stream.write(`${clearLine}${frames[frame % frames.length]} ${this.#label} ${passed}`);
    this.#shown = true;
    this.#timer = setTimeout(() => this.#draw(frame + 1), frameMs);
    this.#timer.unref();
  }
}
