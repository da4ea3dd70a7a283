import type { Chunk } from '../../schemas/chunk.ts';
import type { HookReport } from '../../schemas/hook.ts';
import { IModelError, toFailure } from '../errors.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';
import { type ChunkHandler, type ChunkKey, DROP } from './hook.ts';
import { isCancellation } from './hook-event.ts';
import { findHandler, nameOf } from './registry.ts';

/** Changes a chunk on its way to the reader; a result that is not null or undefined takes its place. */
export type StreamingProcessFunc = (chunk: Chunk) => unknown;

/** What happens to the chunks of one stream. */
export interface ChunkHandlingOptions {
  readonly handlers: ReadonlyMap<ChunkKey, ChunkHandler>;
  /** Runs for chunks without a handler. */
  readonly process: StreamingProcessFunc | null;
  /** Whether a handler's failure ends the stream. */
  readonly exit: boolean;
  /** Hears of handlers that threw. */
  readonly report: (report: HookReport, error: unknown, call: ApiCalling) => void;
}

/** Lets the handlers of a stream see its chunks, one after the other. */
export class ChunkHandling {
  readonly #options: ChunkHandlingOptions;

  constructor(options: ChunkHandlingOptions) {
    this.#options = options;
  }

  /**
   * What the reader gets for a chunk.
   *
   * @returns A chunk, or {@link DROP} for none.
   * @throws IModelError `vetoed`, with what was thrown as cause, when a handler with `exit` or the process function threw.
   */
  async handle(call: ApiCalling, chunk: Chunk): Promise<Chunk | typeof DROP> {
    const { handlers, process } = this.#options;
    const found = findHandler(handlers, chunk);
    if (found !== null) return this.#ask(call, chunk, found.key, found.handler);
    if (process === null) return chunk;
    try {
      const replacement = await process(chunk);
      // What a process function returns is handed on as it is, as in the reference.
      return replacement === DROP ? DROP : ((replacement ?? chunk) as Chunk);
    } catch (cause) {
      const message = `The streaming process function threw: ${toFailure(cause).message}`;
      throw IModelError.of('vetoed', message, { hook: 'streamingProcessFunc' }, { cause });
    }
  }

  async #ask(call: ApiCalling, chunk: Chunk, key: ChunkKey, handler: ChunkHandler): Promise<Chunk | typeof DROP> {
    const { exit, report } = this.#options;
    try {
      const replacement = await handler(call, key, chunk, { exit });
      if (replacement === DROP) return DROP;
      return replacement == null || replacement instanceof Error ? chunk : (replacement as Chunk);
    } catch (cause) {
      const name = `chunk:${nameOf(key)}`;
      const ends = exit || isCancellation(cause);
      report({ name, status: 'aborted', duration_ms: 0, ...(ends ? { exit: true } : {}) }, cause, call);
      if (!ends) return chunk;
      const message = `The handler of ${nameOf(key)} chunks threw: ${toFailure(cause).message}`;
      throw IModelError.of('vetoed', message, { hook: name }, { cause });
    }
  }
}
