import type { Chunk } from '../../../schemas/chunk.ts';
import type { ChunkSink } from '../../endpoints/endpoint.ts';

/**
 * The bounded buffer between an endpoint that pushes chunks and one reader that pulls them. Above `capacity` the endpoint is told to
 * stop reading its upstream; below half of it, to go on. Nothing is dropped.
 */
export class ChunkBuffer implements ChunkSink {
  readonly #capacity: number;
  /** Chunks not yet read; only those from `head` on are live. */
  #chunks: (Chunk | undefined)[] = [];
  #head = 0;
  #resume: (() => void) | null = null;
  #wake: (() => void) | null = null;
  #changed: Promise<void> | null = null;
  #closed = false;
  #onFirst: (() => void) | null;

  /**
   * @param capacity - Chunks held before the endpoint is told to stop.
   * @param onFirst - Runs when the first chunk arrives.
   */
  constructor(capacity: number, onFirst: () => void) {
    this.#capacity = capacity;
    this.#onFirst = onFirst;
  }

  write(chunk: Chunk): boolean {
    if (this.#closed) return true;
    if (this.#onFirst !== null) {
      this.#onFirst();
      this.#onFirst = null;
    }
    this.#chunks.push(chunk);
    this.#notify();
    return this.#chunks.length - this.#head < this.#capacity;
  }

  onDrain(resume: () => void): void {
    // The reader may have been faster than the endpoint, which was told to stop and asks only now.
    if (this.#closed || this.#chunks.length - this.#head <= this.#capacity / 2) resume();
    else this.#resume = resume;
  }

  /** No more chunks will come. What is buffered can still be read. */
  close(): void {
    this.#closed = true;
    this.#resume = null;
    this.#notify();
  }

  /** Forgets what is buffered and takes nothing more. */
  discard(): void {
    this.#chunks = [];
    this.#head = 0;
    this.close();
  }

  /** True when closed and read to the end. */
  get exhausted(): boolean {
    return this.#closed && this.#head === this.#chunks.length;
  }

  /** The next chunk, or undefined when none is there now. */
  take(): Chunk | undefined {
    const chunk = this.#chunks[this.#head];
    if (chunk === undefined) return undefined;
    this.#chunks[this.#head] = undefined;
    this.#head += 1;
    if (this.#head === this.#chunks.length) {
      this.#chunks = [];
      this.#head = 0;
    }
    if (this.#resume !== null && this.#chunks.length - this.#head <= this.#capacity / 2) {
      const resume = this.#resume;
      this.#resume = null;
      resume();
    }
    return chunk;
  }

  /** Resolves when {@link take} or {@link exhausted} has something new to say; for everybody who waits at that moment. */
  changed(): Promise<void> {
    this.#changed ??= new Promise((resolve) => {
      this.#wake = resolve;
    });
    return this.#changed;
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = null;
    this.#changed = null;
    wake?.();
  }
}

/** Takes chunks and keeps none: for a call whose reader wants the aggregate only. */
export const discardingSink: ChunkSink = { write: () => true, onDrain: () => {} };
