import type { Chunk } from '../../../schemas/chunk.ts';
import type { ChunkSink } from '../../endpoints/endpoint.ts';
import { discardingSink } from './chunk-buffer.ts';

/** Chunks that are kept, as many as a stream on the bus keeps. */
const ringSize = 1_024;

/** Passes chunks to their reader and keeps the latest, so that somebody else can see the stream from its beginning. */
export class KeptSink implements ChunkSink {
  readonly #reader: ChunkSink;
  /** Entry `count % ringSize` is the oldest once the ring is full. */
  #ring: Chunk[] = [];
  #count = 0;
  #observer: ChunkSink | null = null;

  constructor(reader: ChunkSink) {
    this.#reader = reader;
  }

  /** How many of its first chunks are kept no more. */
  get dropped(): number {
    return Math.max(0, this.#count - ringSize);
  }

  /** Passes what is kept, and everything after it, to an observer whose pace is nobody's concern. */
  showTo(observer: ChunkSink): void {
    this.#observer = observer;
    for (let index = this.dropped; index < this.#count; index += 1) this.#show(this.#ring[index % ringSize] as Chunk);
    this.#ring = [];
  }

  write(chunk: Chunk): boolean {
    if (this.#observer === null) this.#ring[this.#count % ringSize] = chunk;
    else this.#show(chunk);
    this.#count += 1;
    return this.#reader.write(chunk);
  }

  onDrain(resume: () => void): void {
    this.#reader.onDrain(resume);
  }

  /** What an observer throws, because its bus is closed or cannot write the chunk, must not reach the call. */
  #show(chunk: Chunk): void {
    try {
      this.#observer?.write(chunk);
    } catch {
      this.#observer = discardingSink;
    }
  }
}
