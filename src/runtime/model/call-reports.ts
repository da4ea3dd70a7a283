import type { Failure } from '../../../schemas/failure.ts';
import type { UpstreamNote } from '../../endpoints/endpoint.ts';
import type { ApiCalling } from '../calls/api-calling.ts';
import type { ExecutorObserver } from '../calls/executor.ts';
import type { ModelEvents } from './model-events.ts';
import type { ModelJournal } from './model-journal.ts';

/** Keeps what must not be forgotten when the process dies. Must not throw. @internal */
export interface CallRecorder {
  /** An attempt is about to begin. It waits for what this returns; null when it need not. */
  starting(call: ApiCalling): Promise<void> | null;
  ended(call: ApiCalling): void;
}

/** Tells everybody who is to know what happens to the calls of an iModel: its observers, its traces, its journal, its keeper. @internal */
export class CallReports implements ExecutorObserver {
  /** Hears of attempts and ends before anybody else; null for most models. */
  recorder: CallRecorder | null = null;
  readonly #events: ModelEvents;
  readonly #journal: ModelJournal;

  constructor(events: ModelEvents, journal: ModelJournal) {
    this.#events = events;
    this.#journal = journal;
  }

  starting(call: ApiCalling): Promise<void> | null {
    return this.recorder === null ? null : this.recorder.starting(call);
  }

  started(call: ApiCalling): void {
    call.span?.dispatched();
    this.#events.call('pre_invocation', call);
  }

  retrying(call: ApiCalling, failure: Failure, delayMs: number): void {
    call.span?.retrying(failure, delayMs);
    call.own?.give();
    this.#events.call('retrying', call, { failure, delay_ms: delayMs, attempts: call.attempts });
  }

  rescued(call: ApiCalling, failure: Failure): void {
    call.span?.rescued(failure);
    this.#events.call('falling_back', call, { failure, attempts: call.attempts });
  }

  answered(call: ApiCalling): void {
    this.#events.call('answered', call);
  }

  noted(call: ApiCalling, note: UpstreamNote): void {
    this.#journal.note(call, note);
  }

  ended(call: ApiCalling): void {
    this.recorder?.ended(call);
    this.#events.call('post_invocation', call);
  }
}
