import type { Clock } from '../../../actors/clock.ts';
import { type Chunk, chunkToWire, chunkTypes } from '../../../schemas/chunk.ts';
import { type NumberedMessage, NumberedSender, type NumberedSenderOptions } from '../../bus/numbered-sender.ts';
import type { ChunkSink } from '../../endpoints/endpoint.ts';
import type { ApiCalling } from '../calls/api-calling.ts';
import { outcomeHeaders, withoutAnswer } from './outcome.ts';
import type { WatchedStream } from './reader-watch.ts';

/** Publishes the chunks of one call for its reader and observers, and its outcome as the terminal message. */
export class ServedStream implements ChunkSink, WatchedStream {
  readonly call: ApiCalling;
  /** When the reader was last heard, epoch milliseconds. */
  heardAt: number;
  readonly #sender: NumberedSender;
  readonly #clock: Clock;
  #hasLeft = false;

  constructor(call: ApiCalling, clock: Clock, options: NumberedSenderOptions) {
    this.call = call;
    this.#clock = clock;
    this.#sender = new NumberedSender({
      ...options,
      insteadOfEnd: (failure) => ({ call: withoutAnswer(call.toWire(), failure) }),
    });
    this.heardAt = clock.now();
    call.onEnd(() => {
      if (!this.#hasLeft) this.#sender.end({ call: call.toWire() }, outcomeHeaders(call), call.failure !== null);
    });
  }

  /** Sends no end: the reader is told by whoever goes on with the call. */
  leave(): void {
    this.#hasLeft = true;
  }

  /** Whether the reader gives credit, and so must be heard from. */
  get credited(): boolean {
    return this.#sender.credited;
  }

  write(chunk: Chunk): boolean {
    this.call.chunkArrived(this.#clock.now());
    return this.#sender.send('chunk', chunkToWire(asChunk(chunk)));
  }

  onDrain(resume: () => void): void {
    this.#sender.onDrain(resume);
  }

  /** The reader can take so many chunks more. */
  grant(chunks: number): void {
    this.#sender.grant(chunks);
  }

  /** The kept messages after a number; null when some are kept no more. */
  after(seq: number): NumberedMessage[] | null {
    return this.#sender.after(seq);
  }

  /** Takes the call back. */
  cancel(reason: string): void {
    this.call.cancel(reason);
  }

  /** Shows readers that the call lives. @returns False when certainly nobody reads. */
  probe(): Promise<boolean> {
    return this.#sender.probe();
  }
}

/** What a process function returned is handed on as it is in this process; over a bus it must be a chunk, and anything else is its text. */
function asChunk(value: unknown): Chunk {
  const { type } = (typeof value === 'object' && value !== null ? value : {}) as Partial<Chunk>;
  if (type !== undefined && chunkTypes.includes(type)) return value as Chunk;
  const content = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return { type: 'text', content, isDelta: true };
}
