import { type FSWatcher, watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** How long a file must be left alone before it is read: those who write it may do so bit by bit. In milliseconds. */
const quietMs = 200;

/** Watches one file for what stands in it. */
export class FileWatch {
  readonly #path: string;
  readonly #changed: () => void;
  #text: string | null = null;
  #watcher: FSWatcher | null = null;
  #timer: NodeJS.Timeout | undefined;

  /** @param changed - Called when the file holds another text, 200 ms after the last write. */
  constructor(path: string, changed: () => void) {
    this.#path = path;
    this.#changed = changed;
  }

  /** Begins with the present text. @param failed - Hears why the system cannot watch. */
  async start(failed: (error: unknown) => void): Promise<void> {
    this.#text = await this.#read();
    try {
      // The folder: most editors put another file in the old one's place, and mounted ones change by a link beside them.
      this.#watcher = watch(dirname(this.#path), { persistent: false }, () => this.#look());
      this.#watcher.on('error', failed);
    } catch (error) {
      failed(error);
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#watcher?.close();
  }

  #look(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#compare(), quietMs);
    this.#timer.unref();
  }

  async #compare(): Promise<void> {
    const text = await this.#read();
    // Between two of its versions it may be gone for a moment.
    if (text === null || text === this.#text) return;
    this.#text = text;
    this.#changed();
  }

  async #read(): Promise<string | null> {
    return readFile(this.#path, 'utf8').catch(() => null);
  }
}
