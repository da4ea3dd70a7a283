import type { Clock } from '../../actors/clock.ts';
import { type Chunk, chunkToWire } from '../../schemas/chunk.ts';
import type { StreamMessage } from '../../schemas/wire.ts';
import type { Bus, ContentType } from '../bus/bus.ts';
import { failureHeaders } from '../bus/headers.ts';
import type { ChunkSink } from '../endpoints/endpoint.ts';
import type { ApiCalling } from './api-calling.ts';

/** Messages of a live stream that are kept for observers who come late. */
const ringSize = 1_024;

/** What a served stream is made from. */
export interface ServedStreamOptions {
  readonly bus: Bus;
  readonly call: ApiCalling;
  readonly subject: string;
  readonly contentType: ContentType | undefined;
  readonly clock: Clock;
  /** Chunks the reader can take now; null when it gives no credit and delivery is best effort. */
  readonly credit: number | null;
}

/**
 * Publishes the chunks of one call: numbered from 1, then exactly one terminal message. With credit it never runs ahead of its reader: it
 * makes the upstream wait instead.
 */
export class ServedStream implements ChunkSink {
  readonly call: ApiCalling;
  /** When the reader was last heard, epoch milliseconds; only a reader that gives credit must be heard. */
  heardAt: number;
  readonly #options: ServedStreamOptions;
  /** The latest messages; entry `seq % ringSize`. */
  readonly #ring: StreamMessage[] = [];
  /** Chunks of a granted window that have come while the credit was used up; at most what was on its way when the endpoint stopped. */
  readonly #held: Chunk[] = [];
  #seq = 0;
  #credit: number;
  #resume: (() => void) | null = null;
  #endMessage: StreamMessage | null = null;

  constructor(options: ServedStreamOptions) {
    this.#options = options;
    this.call = options.call;
    this.#credit = options.credit ?? Number.POSITIVE_INFINITY;
    this.heardAt = options.clock.now();
    this.call.onEnd(() => this.#end());
  }

  /** Whether the reader gives credit, and so must be heard from. */
  get credited(): boolean {
    return this.#options.credit !== null;
  }

  /** True when the terminal message has been sent. */
  get ended(): boolean {
    return this.#endMessage !== null && this.#held.length === 0;
  }

  write(chunk: Chunk): boolean {
    this.call.chunkArrived(this.#options.clock.now());
    if (this.#credit > 0) this.#publishChunk(chunk);
    else this.#held.push(chunk);
    return this.#credit > 0;
  }

  onDrain(resume: () => void): void {
    this.#resume = resume;
  }

  /** The reader has taken so many chunks and can take as many more. */
  grant(chunks: number): void {
    this.#credit += chunks;
    while (this.#credit > 0 && this.#held.length > 0) this.#publishChunk(this.#held.shift() as Chunk);
    if (this.#credit <= 0) return;
    if (this.#endMessage !== null) {
      this.#publishEnd();
      return;
    }
    const resume = this.#resume;
    this.#resume = null;
    resume?.();
  }

  /** The kept messages after `seq`; null when some of them are kept no more. */
  after(seq: number): StreamMessage[] | null {
    const oldest = Math.max(1, this.#seq - ringSize + 1);
    if (seq + 1 < oldest && this.#seq > 0) return null;
    const messages: StreamMessage[] = [];
    for (let next = seq + 1; next <= this.#seq; next += 1) messages.push(this.#ring[next % ringSize] as StreamMessage);
    return messages;
  }

  #publishChunk(chunk: Chunk): void {
    this.#credit -= 1;
    this.#publish((seq) => ({ kind: 'chunk', seq, ...chunkToWire(chunk) }));
  }

  /** A reader that has stopped giving credit gets what is held once its call has ended: the call's memory must not wait for it. */
  #end(): void {
    this.#endMessage = { kind: 'end', seq: 0, call: this.call.toWire() };
    if (this.#held.length === 0 || this.call.status !== 'completed') this.#publishEnd();
  }

  #publishEnd(): void {
    const end = this.#endMessage;
    if (end === null || end.kind !== 'end' || end.seq > 0) return;
    const failure = this.call.failure;
    this.#publish(
      (seq) => {
        end.seq = seq;
        return end;
      },
      failure === null ? undefined : failureHeaders(failure),
    );
    this.#held.length = 0;
  }

  #publish(message: (seq: number) => StreamMessage, headers?: Readonly<Record<string, string>>): void {
    const { bus, subject, contentType } = this.#options;
    this.#seq += 1;
    const body = message(this.#seq);
    this.#ring[this.#seq % ringSize] = body;
    bus.publish(subject, body, {
      ...(contentType === undefined ? {} : { contentType }),
      ...(headers ? { headers } : {}),
    });
  }
}
