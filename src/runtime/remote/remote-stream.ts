import { type Chunk, chunkFromWire } from '../../../schemas/chunk.ts';
import type { CallOptions } from '../../../schemas/imodel.ts';
import { type CtlRequest, resumeReply, streamMessage, streamReply } from '../../../schemas/wire.ts';
import type { Bus, Message } from '../../bus/bus.ts';
import { headerNames } from '../../bus/headers.ts';
import { NumberedReader } from '../../bus/numbered-reader.ts';
import type { NumberedMessage } from '../../bus/numbered-sender.ts';
import { subjects } from '../../bus/subjects.ts';
import type { Fields } from '../../endpoints/endpoint.ts';
import { IModelError } from '../../errors.ts';
import type { BusSpan } from '../../telemetry/bus-span.ts';
import { ChunkBuffer } from '../calls/chunk-buffer.ts';
import { toHeaders } from '../serving/wire-options.ts';
import { checkedReply } from './read-reply.ts';
import { RemoteCall } from './remote-call.ts';
import { requestCall } from './request-call.ts';

/** How often a reader that gives credit says that it is still there, in milliseconds. */
const heartbeatMs = 10_000;

/** How long the answer to a stream request or a cancelled stream's end is waited for, in milliseconds. */
const answerTimeoutMs = 5_000;

/** How long one question for lost messages waits, in milliseconds. */
const resumeTimeoutMs = 1_000;

/** What a remote stream is made from. @internal */
export interface RemoteStreamInit {
  readonly bus: Bus;
  readonly modelId: string;
  readonly request: Fields | string;
  readonly options: CallOptions & { readonly callId: string };
  readonly credit: number;
  readonly idleTimeoutMs: number;
  /** Its span; null where nothing is traced. */
  readonly span: BusSpan | null;
}

/**
 * The chunks of a call that runs elsewhere. Messages are checked for gaps; what was lost is asked for again, and where it is kept no more
 * the stream fails: it never skips.
 */
export class RemoteStream implements AsyncIterableIterator<Chunk> {
  /** The call's id, chosen by this side. */
  readonly callId: string;
  readonly #init: RemoteStreamInit;
  readonly #reader: NumberedReader;
  readonly #buffer: ChunkBuffer;
  #unreported = 0;
  #node: string | null = null;
  #call: RemoteCall | null = null;
  #error: unknown = null;
  #finished = false;
  #heartbeat: NodeJS.Timeout | undefined;
  #graceTimer: NodeJS.Timeout | undefined;

  /** @internal */
  constructor(init: RemoteStreamInit) {
    this.#init = init;
    this.callId = init.options.callId;
    this.#buffer = new ChunkBuffer(Number.POSITIVE_INFINITY, () => {});
    this.#reader = new NumberedReader({
      bus: init.bus,
      subject: subjects.chunks(init.modelId, this.callId),
      idleTimeoutMs: init.idleTimeoutMs,
      ask: (afterSeq) => this.#ask(afterSeq),
      take: (message) => this.#take(message),
      fail: (error) => this.#fail(error),
    });
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
      this.#tryCancel('the reader left');
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
    const { bus, modelId, request, options, credit } = this.#init;
    const { signal } = options;
    const headers = toHeaders(options) ?? {};
    if (credit > 0) headers[headerNames.credit] = String(credit);
    const asked = { headers, timeoutMs: answerTimeoutMs, idempotent: true } as const;
    const question = { bus, subject: subjects.stream(modelId), payload: request, options: asked };
    requestCall(question, {
      startedAt: performance.now(),
      replied: (message) => this.#opened(message),
      failed: (error) => this.#fail(error),
    });
    if (credit > 0) {
      this.#heartbeat = setInterval(() => this.#tell({ type: 'extend', call_id: this.callId }), heartbeatMs);
      this.#heartbeat.unref();
    }
    if (signal === undefined) return;
    if (signal.aborted) this.#abort();
    else signal.addEventListener('abort', this.#abort, { once: true });
  }

  /** Asks the host to cancel, and gives it a moment to say that it has. */
  readonly #abort = (): void => {
    const reason: unknown = this.#init.options.signal?.reason;
    this.#tryCancel(reason instanceof Error ? reason.message : String(reason));
    this.#graceTimer = setTimeout(() => {
      this.#fail(IModelError.of('cancelled', 'The call was cancelled', {}, { cause: reason }));
    }, answerTimeoutMs);
  };

  #tryCancel(reason: string): void {
    try {
      const body = { call_id: this.callId, reason: reason.slice(0, 1_000) };
      this.#init.bus.publish(subjects.cancel(this.#init.modelId), body);
    } catch {
      // The connection is gone for good: its host will notice.
    }
  }

  #opened(message: Message): void {
    try {
      this.#node = checkedReply(streamReply, message).node;
      // The whole window may have been read before it was known whom to tell.
      this.#returnCredit();
    } catch (error) {
      this.#fail(error);
    }
  }

  #take(message: NumberedMessage): void {
    const parsed = streamMessage.safeParse(message);
    if (!parsed.success) {
      const text = `A message of stream ${this.callId} could not be read`;
      this.#fail(IModelError.of('malformed', text, { source: 'bus' }));
    } else if (parsed.data.kind === 'chunk') {
      this.#buffer.write(chunkFromWire(parsed.data));
    } else {
      this.#end(new RemoteCall(parsed.data.call));
    }
  }

  /** What the host still has after a number. */
  async #ask(afterSeq: number): Promise<readonly unknown[]> {
    const body = { call_id: this.callId, after_seq: afterSeq };
    const subject = subjects.resume(this.#init.modelId);
    const message = await this.#init.bus.request(subject, body, { timeoutMs: resumeTimeoutMs });
    return checkedReply(resumeReply, message).messages;
  }

  #end(call: RemoteCall): void {
    this.#call = call;
    this.#error = call.status === 'completed' ? null : call.error;
    this.#init.span?.end(this.#error);
    this.#close();
  }

  #fail(error: unknown): void {
    if (this.#call !== null || this.#buffer.exhausted) return;
    this.#error ??= error;
    this.#init.span?.end(this.#error);
    // Nobody waits any more for whatever still runs there.
    this.#tryCancel('its reader has lost it');
    this.#close();
  }

  #close(): void {
    this.#reader.close();
    clearInterval(this.#heartbeat);
    clearTimeout(this.#graceTimer);
    this.#init.options.signal?.removeEventListener('abort', this.#abort);
    this.#buffer.close();
  }

  #giveCredit(): void {
    const { credit } = this.#init;
    if (credit === 0) return;
    this.#unreported += 1;
    this.#returnCredit();
  }

  #returnCredit(): void {
    const { credit } = this.#init;
    if (credit === 0 || this.#unreported * 2 < credit || this.#node === null) return;
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
}
