import { type Chunk, chunkFromWire } from '../../schemas/chunk.ts';
import type { CallOptions } from '../../schemas/imodel.ts';
import { type CtlRequest, resumeReply, type StreamMessage, streamMessage, streamReply } from '../../schemas/wire.ts';
import type { Bus, Message, Subscription } from '../bus/bus.ts';
import { headerNames } from '../bus/headers.ts';
import { subjects } from '../bus/subjects.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { IModelError, toFailure } from '../errors.ts';
import { checked } from './checked.ts';
import { ChunkBuffer } from './chunk-buffer.ts';
import { readReply } from './read-reply.ts';
import { RemoteCall } from './remote-call.ts';
import { toHeaders } from './wire-options.ts';

/** How often a reader that gives credit says that it is still there, in milliseconds. */
const heartbeatMs = 10_000;

/** How long a stream request, a resume or a cancelled stream's end is waited for, in milliseconds. */
const answerTimeoutMs = 5_000;

/** What a remote stream is made from. @internal */
export interface RemoteStreamInit {
  readonly bus: Bus;
  readonly modelId: string;
  readonly request: Fields | string;
  readonly options: CallOptions & { readonly callId: string };
  readonly credit: number;
  readonly idleTimeoutMs: number;
}

/**
 * The chunks of a call that runs elsewhere. Messages are checked for gaps; what was lost is asked for again, and where it is kept no more
 * the stream fails: it never skips.
 */
export class RemoteStream implements AsyncIterableIterator<Chunk> {
  /** The call's id, chosen by this side. */
  readonly callId: string;
  readonly #init: RemoteStreamInit;
  readonly #subscription: Subscription;
  readonly #buffer: ChunkBuffer;
  /** Messages that came ahead of a gap, by their number. */
  readonly #early = new Map<number, StreamMessage>();
  #nextSeq = 1;
  #unreported = 0;
  #node: string | null = null;
  #call: RemoteCall | null = null;
  #error: unknown = null;
  #resuming = false;
  #finished = false;
  #heardAt = performance.now();
  readonly #timers: NodeJS.Timeout[] = [];

  /** @internal */
  constructor(init: RemoteStreamInit) {
    this.#init = init;
    this.callId = init.options.callId;
    this.#buffer = new ChunkBuffer(Number.POSITIVE_INFINITY, () => {});
    const subject = subjects.chunks(init.modelId, this.callId);
    this.#subscription = init.bus.subscribe(subject, (message) => this.#receive(message));
    this.#open();
  }

  /** The call as it ended; null until the stream has been read to its end. */
  get call(): RemoteCall | null {
    return this.#call;
  }

  async next(): Promise<IteratorResult<Chunk, undefined>> {
    for (;;) {
      const chunk = this.#buffer.take();
      if (chunk !== undefined) {
        this.#giveCredit();
        return { value: chunk, done: false };
      }
      if (this.#finished) return { value: undefined, done: true };
      if (this.#buffer.exhausted) {
        this.#finished = true;
        if (this.#error !== null) throw this.#error;
        return { value: undefined, done: true };
      }
      await this.#buffer.changed();
    }
  }

  async return(): Promise<IteratorResult<Chunk, undefined>> {
    this.#finished = true;
    if (!this.#buffer.exhausted && this.#call === null && this.#error === null) {
      this.#init.bus.publish(subjects.cancel(this.#init.modelId), { call_id: this.callId, reason: 'the reader left' });
      const timer = setTimeout(() => this.#fail(null), answerTimeoutMs);
      while (this.#call === null && !this.#buffer.exhausted) {
        while (this.#buffer.take() !== undefined) this.#giveCredit();
        if (!this.#buffer.exhausted) await this.#buffer.changed();
      }
      clearTimeout(timer);
    }
    this.#close();
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #open(): void {
    const { bus, modelId, request, options, credit, idleTimeoutMs } = this.#init;
    const { signal } = options;
    const headers = toHeaders(options) ?? {};
    if (credit > 0) headers[headerNames.credit] = String(credit);
    bus.request(subjects.stream(modelId), request, { headers, idempotent: true, timeoutMs: answerTimeoutMs }).then(
      (message) => this.#opened(message),
      (error: unknown) => this.#fail(error),
    );
    if (credit > 0) this.#every(heartbeatMs, () => this.#tell({ type: 'extend', call_id: this.callId }));
    this.#every(Math.min(1_000, idleTimeoutMs), () => this.#checkIdle(idleTimeoutMs));
    if (signal === undefined) return;
    const abort = (): void => {
      const reason = signal.reason instanceof Error ? signal.reason.message : String(signal.reason);
      bus.publish(subjects.cancel(modelId), { call_id: this.callId, reason: reason.slice(0, 1_000) });
    };
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  }

  #opened(message: Message): void {
    try {
      this.#node = checked(streamReply, readReply(message), 'reply', 'invalid_request').node;
    } catch (error) {
      this.#fail(error);
    }
  }

  #receive(message: Message): void {
    const parsed = streamMessage.safeParse(message.value());
    if (!parsed.success) {
      this.#fail(
        IModelError.of('malformed', `A message of stream ${this.callId} could not be read`, { source: 'bus' }),
      );
      return;
    }
    this.#heardAt = performance.now();
    this.#take(parsed.data);
  }

  #take(message: StreamMessage): void {
    if (message.seq < this.#nextSeq) return;
    if (message.seq > this.#nextSeq) {
      this.#early.set(message.seq, message);
      this.#resume();
      return;
    }
    this.#nextSeq += 1;
    if (message.kind === 'chunk') this.#buffer.write(chunkFromWire(message));
    else this.#end(new RemoteCall(message.call));
    const early = this.#early.get(this.#nextSeq);
    if (early === undefined) return;
    this.#early.delete(this.#nextSeq);
    this.#take(early);
  }

  /** Asks the holder for what is missing. */
  #resume(): void {
    if (this.#resuming) return;
    this.#resuming = true;
    const body = { call_id: this.callId, after_seq: this.#nextSeq - 1 };
    this.#init.bus
      .request(subjects.resume(this.#init.modelId), body, { timeoutMs: answerTimeoutMs })
      .then((message) => {
        this.#resuming = false;
        for (const kept of checked(resumeReply, readReply(message), 'reply', 'invalid_request').messages)
          this.#take(kept);
      })
      .catch((cause: unknown) => {
        this.#resuming = false;
        const text = `Chunks of call ${this.callId} were lost after number ${this.#nextSeq - 1}: ${toFailure(cause).message}`;
        this.#fail(IModelError.of('unavailable', text, { source: 'bus' }, { cause }));
      });
  }

  #end(call: RemoteCall): void {
    this.#call = call;
    this.#error = call.status === 'completed' ? null : call.error;
    this.#close();
  }

  #fail(error: unknown): void {
    if (this.#call !== null || this.#buffer.exhausted) return;
    this.#error ??= error;
    this.#close();
  }

  #close(): void {
    this.#subscription.close();
    for (const timer of this.#timers) clearInterval(timer);
    this.#buffer.close();
  }

  #giveCredit(): void {
    const { credit } = this.#init;
    if (credit === 0) return;
    this.#unreported += 1;
    if (this.#unreported * 2 < credit || this.#node === null) return;
    this.#tell({ type: 'credit', call_id: this.callId, chunks: this.#unreported });
    this.#unreported = 0;
  }

  #tell(request: CtlRequest): void {
    if (this.#node === null || this.#call !== null) return;
    try {
      this.#init.bus.publish(subjects.ctl(this.#init.modelId, this.#node), request);
    } catch (error) {
      this.#fail(error);
    }
  }

  #checkIdle(idleTimeoutMs: number): void {
    if (performance.now() - this.#heardAt < idleTimeoutMs) return;
    const text = `No message of stream ${this.callId} came for ${idleTimeoutMs} ms`;
    this.#fail(IModelError.of('timed_out', text, { phase: 'stream', timeoutMs: idleTimeoutMs, source: 'bus' }));
  }

  #every(intervalMs: number, action: () => void): void {
    const timer = setInterval(action, intervalMs);
    timer.unref();
    this.#timers.push(timer);
  }
}
