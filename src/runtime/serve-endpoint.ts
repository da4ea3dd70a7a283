import { randomUUID } from 'node:crypto';
import type { Clock } from '../../actors/clock.ts';
import type { EndpointStatus } from '../../actors/endpoint.ts';
import { viewToWire } from '../../schemas/call.ts';
import { type Chunk, chunkToWire } from '../../schemas/chunk.ts';
import { endpointCancel, endpointControl, endpointRequest } from '../../schemas/endpoint.ts';
import { type Failure, failureOf } from '../../schemas/failure.ts';
import type { Bus, ContentType, Headers, Message } from '../bus/bus.ts';
import { failureHeaders } from '../bus/headers.ts';
import { NumberedSender } from '../bus/numbered-sender.ts';
import { checkToken, endpointQueue, subjects } from '../bus/subjects.ts';
import type {
  ChunkSink,
  Endpoint,
  EndpointJob,
  EndpointReply,
  Fields,
  JobTrace,
  UpstreamNote,
} from '../endpoints/endpoint.ts';
import { IModelError, toFailure } from '../errors.ts';
import { servedAttempt } from '../telemetry/bus-span.ts';
import { checked } from './checked.ts';
import { EndpointStanding } from './endpoint-standing.ts';
import { ReaderWatch, type WatchedStream } from './reader-watch.ts';
import { RecentCalls } from './recent-calls.ts';
import { systemClock } from './system-clock.ts';
import { traceOf } from './wire-options.ts';

/** How often running calls are shown to be alive, and their iModels looked after, in milliseconds. */
const sweepMs = 400;

/** Notes of one run that are passed on: a journal wants to know what is strange, not all of a flood. */
const mostNotes = 100;

/** An endpoint that answers on a bus. */
export interface ServedEndpoint {
  /** Names this process in the subjects that are for it alone. */
  readonly node: string;
  readonly status: EndpointStatus;
  /** Takes no more calls, ends those that run as `interrupted`, and resolves when all have ended. The endpoint itself stays open. */
  close(): Promise<void>;
}

/**
 * Runs an endpoint for iModels that live elsewhere: on the machine that has the program, the key or the graphics card.
 *
 * @param name - One token of a subject; iModels name it with `endpoint: 'remote'` and this as their provider, or with `endpointName`.
 * @throws IModelError `config` for a name that is no token.
 *
 * @example
 * ```ts
 * const served = serveEndpoint(createEndpoint({ provider: 'claude_code' }), 'claude_code', await connectNats({ servers }));
 * ```
 */
export function serveEndpoint(endpoint: Endpoint, name: string, bus: Bus, clock: Clock = systemClock): ServedEndpoint {
  return new EndpointHost(endpoint, checkToken(name, 'name'), bus, clock);
}

class EndpointHost implements ServedEndpoint {
  readonly node = randomUUID().slice(0, 8);
  readonly #endpoint: Endpoint;
  readonly #name: string;
  readonly #bus: Bus;
  readonly #clock: Clock;
  readonly #standing = new EndpointStanding();
  /** Runs by call id: the same request sent twice is the same run. */
  readonly #runs: RecentCalls<ServedRun>;
  readonly #readers: ReaderWatch;
  readonly #closers: (() => void)[] = [];
  #closing = false;
  #sweepTimer: unknown;

  constructor(endpoint: Endpoint, name: string, bus: Bus, clock: Clock) {
    this.#endpoint = endpoint;
    this.#name = name;
    this.#bus = bus;
    this.#clock = clock;
    this.#runs = new RecentCalls(clock);
    this.#readers = new ReaderWatch(bus, clock);
    this.#on(subjects.endpointCall(name), (message) => this.#call(message), endpointQueue);
    this.#on(subjects.endpointCancel(name), (message) => this.#cancel(message));
    this.#on(subjects.endpointCtl(name, this.node), (message) => this.#control(message));
    this.#sweep();
  }

  get status(): EndpointStatus {
    return this.#standing.status;
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#clock.clearTimeout(this.#sweepTimer);
    const failure = failureOf('interrupted', 'The host of the endpoint stopped', {});
    const ends = [...this.#runs.live()].map((run) => {
      run.stop(failure);
      return run.ended;
    });
    await Promise.all(ends);
    for (const close of this.#closers) close();
    this.#readers.close();
    this.#standing.close();
  }

  #on(subject: string, handler: (message: Message) => void, queue?: string): void {
    const guarded = (message: Message): void => {
      try {
        handler(message);
      } catch (error) {
        const failure = toFailure(error);
        message.respond({ failure }, { headers: failureHeaders(failure) });
      }
    };
    const subscription = this.#bus.subscribe(subject, guarded, queue === undefined ? {} : { queue });
    this.#closers.push(() => subscription.close());
  }

  #call(message: Message): void {
    const request = checked(endpointRequest, message.value(), 'request', 'invalid_request');
    if (this.#closing) throw IModelError.of('closed', 'The host of the endpoint is stopping', {});
    const subject = subjects.endpointOut(this.#name, request.call_id);
    const accepted = { call_id: request.call_id, subject, node: this.node };
    if (this.#runs.get(request.call_id) === undefined) {
      // A session is its iModel's, which names it: a call must never go on with that of whoever came before.
      if (this.#endpoint.sessionId !== undefined) this.#endpoint.sessionId = null;
      // Checked and translated here: what comes over a bus is not trusted to have been.
      const payload = this.#endpoint.prepare(request.payload);
      const sender = { bus: this.#bus, subject, contentType: replyType(message.contentType), credit: request.credit };
      const run = new ServedRun(request.call_id, payload, request.transport ?? {}, request.streaming, sender);
      this.#runs.add(request.call_id, run);
      void run.run(this.#endpoint, traceOf(message.headers)).then((failure) => {
        this.#standing.note(failure);
        this.#runs.ended(request.call_id, true);
      });
    }
    message.respond(accepted);
  }

  #cancel(message: Message): void {
    const { call_id: callId, reason } = checked(endpointCancel, message.value(), 'message', 'invalid_request');
    this.#runs.get(callId)?.cancel(reason ?? 'cancelled by its iModel');
  }

  #control(message: Message): void {
    const request = checked(endpointControl, message.value(), 'message', 'invalid_request');
    const run = this.#runs.get(request.call_id);
    if (run === undefined) {
      const text = `Expected \`call_id\` to be a call of this node, got \`${request.call_id}\``;
      throw IModelError.of('invalid_request', text, { path: 'call_id', value: request.call_id });
    }
    if (request.type === 'credit') {
      run.sender.grant(request.chunks);
      return;
    }
    const messages = run.sender.after(request.after_seq);
    if (messages === null) {
      const text = `The messages after ${request.after_seq} of call ${request.call_id} are kept no more`;
      throw IModelError.of('invalid_request', text, { path: 'after_seq', value: String(request.after_seq) });
    }
    message.respond({ messages });
  }

  #sweep(): void {
    this.#sweepTimer = this.#clock.setTimeout(() => {
      for (const run of this.#runs.live()) void this.#readers.check(run);
      this.#sweep();
    }, sweepMs);
  }
}

/** One run of a call for an iModel elsewhere. */
class ServedRun implements EndpointJob, ChunkSink, WatchedStream {
  readonly callId: string;
  readonly payload: Fields;
  readonly transport: Fields;
  readonly sink: ChunkSink | null;
  readonly sender: NumberedSender;
  trace: JobTrace | null = null;
  /** Resolves when the terminal message has been sent. */
  readonly ended: Promise<void>;
  readonly #controller = new AbortController();
  #hasEnded: () => void = () => {};
  #notes = 0;

  constructor(
    callId: string,
    payload: Fields,
    transport: Fields,
    streaming: boolean,
    sender: ConstructorParameters<typeof NumberedSender>[0],
  ) {
    this.callId = callId;
    this.payload = payload;
    this.transport = transport;
    this.sink = streaming ? this : null;
    this.sender = new NumberedSender(sender);
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
    const body = {
      failure,
      response: reply?.response ?? null,
      view: reply === null ? null : viewToWire(reply.view),
      ...(reply?.sessionId === undefined ? {} : { session_id: reply.sessionId }),
    };
    this.sender.end(body, failure === null ? undefined : failureHeaders(failure), failure !== null);
  }
}

function replyType(contentType: ContentType | undefined): ContentType | undefined {
  return contentType === 'application/msgpack' ? contentType : undefined;
}
