import type { CallRow } from '../../actors/call-row.ts';
import type { Clock } from '../../actors/clock.ts';
import type { DispatcherEffects, DispatcherEvent } from '../../actors/dispatcher.ts';
import type { Failure } from '../../schemas/failure.ts';
import type { ChunkSink, Endpoint, EndpointJob, EndpointReply } from '../endpoints/endpoint.ts';
import { IModelError, toFailure } from '../errors.ts';
import type { AbortSource } from '../http/exchange.ts';
import type { ApiCalling } from './api-calling.ts';
import type { EndpointStanding } from './endpoint-standing.ts';

/** How long an endpoint may take to tear its transport down before the call ends without it, in milliseconds. */
const stopGraceMs = 5_000;

/** Hears what happens to calls. Called synchronously; must not throw. */
export interface ExecutorObserver {
  started(call: ApiCalling): void;
  answered(call: ApiCalling): void;
  ended(call: ApiCalling): void;
}

/** What an executor works with. */
export interface ExecutorOptions {
  readonly endpoint: Endpoint;
  readonly standing: EndpointStanding;
  readonly clock: Clock;
  readonly observer: ExecutorObserver;
  /** A reply that names the session it belongs to. */
  readonly onSession: (sessionId: string) => void;
}

/**
 * Carries out what a dispatcher decides: runs calls on their endpoint, stops them, and reports back. It decides nothing itself.
 */
export class Executor implements DispatcherEffects {
  readonly #options: ExecutorOptions;
  readonly #runs = new Map<CallRow, CallRun>();
  #send: (event: DispatcherEvent) => void = () => {};

  constructor(options: ExecutorOptions) {
    this.#options = options;
  }

  /** Connects the executor to its dispatcher; before this it reports to nobody. */
  reportTo(send: (event: DispatcherEvent) => void): void {
    this.#send = send;
  }

  start(row: CallRow): void {
    const call = callOf(row);
    const run = new CallRun(row, call, this.#options.clock, this.#send, this.#options.observer);
    this.#runs.set(row, run);
    this.#options.observer.started(call);
    const { standing } = this.#options;
    let reply: Promise<EndpointReply>;
    try {
      reply = this.#options.endpoint.run(run);
    } catch (error) {
      reply = Promise.reject(error);
    }
    reply.then(
      (brought) => {
        call.bring(brought);
        standing.note(null);
        if (brought.sessionId) this.#options.onSession(brought.sessionId);
        run.settle(null, brought.view.usage?.totalTokens ?? null);
      },
      (error: unknown) => {
        run.error = error;
        const partial = IModelError.is(error) ? error.partial : undefined;
        if (partial !== undefined) call.bring(partial);
        const failure = toFailure(error);
        standing.note(failure);
        run.settle(failure, partial?.view.usage?.totalTokens ?? null);
      },
    );
  }

  stop(row: CallRow, failure: Failure): void {
    this.#runs.get(row)?.stop(failure);
  }

  ended(row: CallRow, failure: Failure | null): void {
    const call = callOf(row);
    const run = this.#runs.get(row);
    this.#runs.delete(row);
    call.end(failure, failure === null ? null : errorFor(failure, run?.error ?? call.cause), this.#options.clock.now());
    this.#options.observer.ended(call);
  }
}

/** One running call, as its endpoint sees it. */
class CallRun implements EndpointJob, AbortSource {
  readonly #row: CallRow;
  readonly #call: ApiCalling;
  readonly #clock: Clock;
  readonly #send: (event: DispatcherEvent) => void;
  readonly #observer: ExecutorObserver;
  #controller: AbortController | null = null;
  #listener: { handleEvent(): void } | null = null;
  #graceTimer: unknown;
  aborted = false;
  reason: unknown;
  /** What the endpoint threw, kept for its cause. */
  error: unknown = null;

  constructor(
    row: CallRow,
    call: ApiCalling,
    clock: Clock,
    send: (event: DispatcherEvent) => void,
    observer: ExecutorObserver,
  ) {
    this.#row = row;
    this.#call = call;
    this.#clock = clock;
    this.#send = send;
    this.#observer = observer;
  }

  get callId(): string {
    return this.#call.id;
  }

  get payload() {
    return this.#call.payload;
  }

  get transport() {
    return this.#call.transport;
  }

  get sink(): ChunkSink | null {
    return this.#call.sink;
  }

  /** Made only for endpoints that ask for it; see {@link EndpointJob.abortSource}. */
  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.aborted) this.#controller.abort(this.reason);
    }
    return this.#controller.signal;
  }

  get abortSource(): AbortSource {
    return this;
  }

  addEventListener(_type: 'abort', listener: { handleEvent(): void }): void {
    this.#listener = listener;
  }

  removeEventListener(_type: 'abort', listener: { handleEvent(): void }): void {
    if (this.#listener === listener) this.#listener = null;
  }

  sent(): void {
    this.#send({ type: 'call.sent', row: this.#row });
  }

  answered(): void {
    this.#send({ type: 'call.answer', row: this.#row });
    this.#observer.answered(this.#call);
  }

  stop(failure: Failure): void {
    this.#graceTimer = this.#clock.setTimeout(() => this.settle(failure, null), stopGraceMs);
    this.aborted = true;
    this.reason = new IModelError(failure);
    this.#controller?.abort(this.reason);
    this.#listener?.handleEvent();
  }

  settle(failure: Failure | null, tokens: number | null): void {
    if (this.#graceTimer !== undefined) this.#clock.clearTimeout(this.#graceTimer);
    this.#send({ type: 'call.settle', row: this.#row, failure, tokens });
  }
}

function callOf(row: CallRow): ApiCalling {
  // Rows are made by the iModel with the call as their handle.
  return row.handle as ApiCalling;
}

function errorFor(failure: Failure, thrown: unknown): IModelError {
  if (IModelError.is(thrown) && thrown.failure === failure) return thrown;
  return new IModelError(failure, thrown === null ? {} : { cause: thrown });
}
