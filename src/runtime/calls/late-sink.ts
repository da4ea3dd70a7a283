import type { Chunk } from '../../../schemas/chunk.ts';
import type { ChunkSink } from '../../endpoints/endpoint.ts';
import { discardingSink } from './chunk-buffer.ts';

/** Where the chunks of a restored stream go: nowhere, until somebody is found who passes them on. */
export class LateSink implements ChunkSink {
  #sink: ChunkSink = discardingSink;

  /** Chunks go there from now on. */
  passTo(sink: ChunkSink): void {
    this.#sink = sink;
  }

  write(chunk: Chunk): boolean {
    return this.#sink.write(chunk);
  }

  onDrain(resume: () => void): void {
    this.#sink.onDrain(resume);
  }
}
