import type { Chunk } from '../../../schemas/chunk.ts';
import type { ApiCalling } from './api-calling.ts';
import type { ChunkBuffer } from './chunk-buffer.ts';

/** What must be over before a stream's call is submitted. */
export interface StreamStart {
  /** Never rejects. */
  readonly done: Promise<void>;
  /** Ends the waiting. */
  stop(): void;
}

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
  readonly #buffer: ChunkBuffer;
  #call: ApiCalling;
  #start: StreamStart | null = null;
  #finished = false;

  /** @internal */
  constructor(call: ApiCalling, buffer: ChunkBuffer) {
    this.#call = call;
    this.#buffer = buffer;
  }

  /** The call behind the stream: its id, status, and after the end its text, usage and response. A hook may replace it before it begins. */
  get call(): ApiCalling {
    return this.#call;
  }

  /** Waits for the hook that runs before the call is made. @internal */
  beginAfter(start: StreamStart): void {
    this.#start = start;
  }

  /** The call that a hook made in place of the other. @internal */
  replaceCall(call: ApiCalling): void {
    this.#call = call;
  }

  /** Ends the reading of a stream whose call never began. @internal */
  close(): void {
    this.#buffer.close();
  }

  async next(): Promise<IteratorResult<Chunk, undefined>> {
    for (;;) {
      const chunk = this.#buffer.take();
      if (chunk !== undefined) return { value: chunk, done: false };
      if (this.#finished) return { value: undefined, done: true };
      if (this.#buffer.exhausted) return this.#finish();
      await this.#buffer.changed();
    }
  }

  async return(): Promise<IteratorResult<Chunk, undefined>> {
    this.#finished = true;
    this.#buffer.discard();
    this.#start?.stop();
    await this.#start?.done;
    if (!this.call.ended) {
      this.call.isLeft = true;
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
}
