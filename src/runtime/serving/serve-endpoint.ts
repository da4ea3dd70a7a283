import { randomUUID } from 'node:crypto';
import type { Clock } from '../../../actors/clock.ts';
import type { EndpointStatus } from '../../../actors/endpoint.ts';
import { bytesFromWire } from '../../../schemas/bytes.ts';
import { endpointCancel, endpointControl, endpointRequest } from '../../../schemas/endpoint.ts';
import { failureOf } from '../../../schemas/failure.ts';
import type { Bus, ContentType, Message } from '../../bus/bus.ts';
import { failureHeaders } from '../../bus/headers.ts';
import { checkToken, endpointQueue, subjects } from '../../bus/subjects.ts';
import type { Endpoint, Fields } from '../../endpoints/endpoint.ts';
import { IModelError, toFailure } from '../../errors.ts';
import { EndpointStanding } from '../calls/endpoint-standing.ts';
import { RecentCalls } from '../calls/recent-calls.ts';
import { checked } from '../checked.ts';
import { systemClock } from '../system-clock.ts';
import { ReaderWatch } from './reader-watch.ts';
import { ServedRun } from './served-run.ts';
import { traceOf } from './wire-options.ts';

/** How often running calls are shown to be alive, and their iModels looked after, in milliseconds. */
const sweepMs = 400;

/** An iModel shows every 10 s that it is there; one that has not for this long is gone, and its run is cancelled. In milliseconds. */
const silentMs = 30_000;

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
    this.#on(subjects.endpointCtl(name, this.node), (message) => this.#control(message), endpointQueue);
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
        // Where nobody waits for an answer the bus reports it.
        if (message.replyTo === undefined) throw error;
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
      const { call_id: callId, streaming, credit } = request;
      const transport = bytesFromWire(request.transport ?? {}) as Fields;
      const out = { bus: this.#bus, subject, contentType: replyType(message.contentType), credit, toOne: true };
      const run = new ServedRun({ callId, payload, transport, streaming }, out, this.#clock.now());
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
    run.heardAt = this.#clock.now();
    if (request.type === 'credit') run.sender.grant(request.chunks);
    if (request.type !== 'resume') return;
    const messages = run.sender.after(request.after_seq);
    if (messages === null) {
      const text = `The messages after ${request.after_seq} of call ${request.call_id} are kept no more`;
      throw IModelError.of('invalid_request', text, { path: 'after_seq', value: String(request.after_seq) });
    }
    message.respond({ messages });
  }

  #sweep(): void {
    this.#sweepTimer = this.#clock.setTimeout(() => {
      this.#runs.forgetOld();
      const silentSince = this.#clock.now() - silentMs;
      for (const run of this.#runs.live()) {
        if (run.heardAt < silentSince) run.cancel('its iModel is silent');
        else void this.#readers.check(run);
      }
      this.#sweep();
    }, sweepMs);
  }
}

function replyType(contentType: ContentType | undefined): ContentType | undefined {
  return contentType === 'application/msgpack' ? contentType : undefined;
}
