import { bytesToWire } from '../../../schemas/bytes.ts';
import { viewToWire } from '../../../schemas/call.ts';
import { type Chunk, chunkToWire } from '../../../schemas/chunk.ts';
import { type Failure, failureOf } from '../../../schemas/failure.ts';
import type { Headers } from '../../bus/bus.ts';
import { failureHeaders } from '../../bus/headers.ts';
import { NumberedSender, type NumberedSenderOptions } from '../../bus/numbered-sender.ts';
import type {
  ChunkSink,
  Endpoint,
  EndpointJob,
  EndpointReply,
  Fields,
  JobTrace,
  UpstreamNote,
} from '../../endpoints/endpoint.ts';
import { IModelError, toFailure } from '../../errors.ts';
import { servedAttempt } from '../../telemetry/bus-span.ts';
import type { WatchedStream } from './reader-watch.ts';

/** Notes of one run that are passed on: a journal wants to know what is strange, not all of a flood. */
const mostNotes = 100;

/** What a {@link ServedRun} runs. */
export interface ServedRunRequest {
  readonly callId: string;
  /** As the endpoint takes it. */
  readonly payload: Fields;
  readonly transport: Fields;
  readonly streaming: boolean;
}

/** One run of a call for an iModel elsewhere. */
export class ServedRun implements EndpointJob, ChunkSink, WatchedStream {
  readonly callId: string;
  readonly payload: Fields;
  readonly transport: Fields;
  readonly sink: ChunkSink | null;
  readonly sender: NumberedSender;
  /** When its iModel was last heard, epoch milliseconds. */
  heardAt: number;
  trace: JobTrace | null = null;
  /** Resolves when the terminal message has been sent. */
  readonly ended: Promise<void>;
  readonly #controller = new AbortController();
  #hasEnded: () => void = () => {};
  #notes = 0;

  constructor(request: ServedRunRequest, out: NumberedSenderOptions, now: number) {
    this.callId = request.callId;
    this.payload = request.payload;
    this.transport = request.transport;
    this.sink = request.streaming ? this : null;
    this.sender = new NumberedSender({ ...out, insteadOfEnd: (failure) => ended(null, failure) });
    this.heardAt = now;
    this.ended = new Promise((resolve) => {
      this.#hasEnded = resolve;
    });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  sent(): void {
    this.sender.send('sent', {});
  }

  answered(): void {
    this.sender.send('answered', {});
  }

  journal(note: UpstreamNote): void {
    this.#notes += 1;
    if (this.#notes <= mostNotes) this.sender.send('note', { note });
  }

  write(chunk: Chunk): boolean {
    return this.sender.send('chunk', chunkToWire(chunk));
  }

  onDrain(resume: () => void): void {
    this.sender.onDrain(resume);
  }

  probe(): Promise<boolean> {
    return this.sender.probe();
  }

  cancel(reason: string): void {
    this.stop(failureOf('cancelled', `The call was cancelled: ${reason}`, { reason }));
  }

  stop(failure: Failure): void {
    this.#controller.abort(new IModelError(failure));
  }

  /** Runs the call and sends how it ended. @returns Why it failed, or null. */
  async run(endpoint: Endpoint, trace: Headers | null): Promise<Failure | null> {
    let failure: Failure | null = null;
    const attempt = servedAttempt(trace, endpoint);
    this.trace = attempt ?? (trace === null ? null : { headers: trace });
    try {
      const begin = () => endpoint.run(this);
      this.#end(await (attempt?.follow(begin) ?? begin()), null);
    } catch (error) {
      failure = toFailure(error);
      this.#end(IModelError.is(error) ? (error.partial ?? null) : null, failure);
    }
    this.#hasEnded();
    return failure;
  }

  #end(reply: EndpointReply | null, failure: Failure | null): void {
    this.sender.end(ended(reply, failure), failure === null ? undefined : failureHeaders(failure), failure !== null);
  }
}

/** The terminal message, without its number. */
function ended(reply: EndpointReply | null, failure: Failure | null): Record<string, unknown> {
  return {
    failure,
    response: bytesToWire(reply?.response ?? null),
    view: reply === null ? null : viewToWire(reply.view),
    ...(reply?.sessionId === undefined ? {} : { session_id: reply.sessionId }),
  };
}
