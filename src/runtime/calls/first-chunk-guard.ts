import type { Chunk } from '../../../schemas/chunk.ts';
import type { ChunkSink } from '../../endpoints/endpoint.ts';
import type { ApiCalling } from './api-calling.ts';

/**
 * Holds back the report of an error that comes before anything else: if the attempt is made again, its reader never knows. A stream of
 * which something was read is never begun anew.
 */
export class FirstChunkGuard implements ChunkSink {
  readonly #call: ApiCalling;
  readonly #sink: ChunkSink;
  #held: Chunk | null = null;
  /** Whether the reader has been given anything. */
  isDelivered = false;

  constructor(call: ApiCalling, sink: ChunkSink) {
    this.#call = call;
    this.#sink = sink;
  }

  write(chunk: Chunk): boolean {
    if (!this.isDelivered && chunk.type === 'error') {
      this.#held = chunk;
      return true;
    }
    this.isDelivered = true;
    this.#call.chunks += 1;
    return this.#sink.write(chunk);
  }

  onDrain(resume: () => void): void {
    this.#sink.onDrain(resume);
  }

  /** Hands over what was held back, when nobody else will carry on. */
  release(): void {
    if (this.#held !== null) this.#sink.write(this.#held);
    this.#held = null;
  }
}
