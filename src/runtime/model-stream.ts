import type { Chunk } from '../../schemas/chunk.ts';
import { IModelError, toFailure } from '../errors.ts';
import type { ApiCalling } from './api-calling.ts';
import type { ChunkBuffer } from './chunk-buffer.ts';

/** Changes a chunk on its way to the reader; a result that is not null or undefined takes its place. */
export type StreamingProcessFunc = (chunk: Chunk) => unknown;

/**
 * The chunks of one streamed call, and the call itself.
 *
 * - Chunks arrive in the order of {@link Chunk}; the last is `result`.
 * - A failure throws an `IModelError` after the chunks that came before it, with the call in its `call` property.
 * - Leaving the loop early cancels the call and closes its connection before the loop is left.
 * - Reading is pull-based: a reader that pauses makes the upstream pause, some hundred chunks later.
 *
 * It can be iterated once. Awaiting it gives the same object, so `await model.stream(…)` works too.
 */
export class ModelStream implements AsyncIterableIterator<Chunk> {
  /** The call behind the stream: its id, status, and after the end its text, usage and response. */
  readonly call: ApiCalling;
  readonly #buffer: ChunkBuffer;
  readonly #process: StreamingProcessFunc | null;
  #finished = false;

  /** @internal */
  constructor(call: ApiCalling, buffer: ChunkBuffer, process: StreamingProcessFunc | null) {
    this.call = call;
    this.#buffer = buffer;
    this.#process = process;
  }

  async next(): Promise<IteratorResult<Chunk, undefined>> {
    for (;;) {
      const chunk = this.#buffer.take();
      if (chunk !== undefined)
        return { value: this.#process === null ? chunk : await this.#replaced(chunk), done: false };
      if (this.#finished) return { value: undefined, done: true };
      if (this.#buffer.exhausted) return this.#finish();
      await this.#buffer.changed();
    }
  }

  async return(): Promise<IteratorResult<Chunk, undefined>> {
    this.#finished = true;
    this.#buffer.discard();
    if (!this.call.ended) {
      this.call.cancel('the reader left the stream');
      await this.call.done;
    }
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #finish(): IteratorResult<Chunk, undefined> {
    this.#finished = true;
    if (this.call.status === 'completed') return { value: undefined, done: true };
    throw this.call.error;
  }

  async #replaced(chunk: Chunk): Promise<Chunk> {
    try {
      const replacement = await this.#process?.(chunk);
      // What a process function returns is handed on as it is, as in the reference.
      return (replacement ?? chunk) as Chunk;
    } catch (cause) {
      const message = `The streaming process function threw: ${toFailure(cause).message}`;
      const error = IModelError.of('vetoed', message, { hook: 'streamingProcessFunc' }, { cause });
      error.call = this.call;
      this.call.fail(error);
      await this.return();
      throw error;
    }
  }
}
