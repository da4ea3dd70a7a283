import type { CallOptions } from '../../../schemas/imodel.ts';
import type { Bus, Message } from '../../bus/bus.ts';
import { subjects } from '../../bus/subjects.ts';
import type { Fields } from '../../endpoints/endpoint.ts';
import { IModelError } from '../../errors.ts';
import type { BusSpan } from '../../telemetry/bus-span.ts';
import { toHeaders } from '../serving/wire-options.ts';
import { type Follower, followLater, neverFollow } from './follow-later.ts';
import { FollowedCall } from './followed-call.ts';
import { readCall } from './read-call.ts';
import { RemoteCall } from './remote-call.ts';
import { type Requester, requestCall } from './request-call.ts';

/** How long after its deadline or cancel a call's terminal reply is waited for, in milliseconds. */
const replyGraceMs = 2_000;

/** What a {@link RemoteInvocation} is made from. */
export interface RemoteInvocationOptions {
  readonly bus: Bus;
  readonly modelId: string;
  readonly callId: string;
  readonly settings: CallOptions;
  readonly resolve: (call: RemoteCall) => void;
  readonly reject: (error: unknown) => void;
  /** Its span; null where nothing is traced. */
  readonly span: BusSpan | null;
}

/** One call that is invoked elsewhere, from its request to its outcome: whatever tells of it first. */
export class RemoteInvocation implements Requester, Follower {
  readonly #options: RemoteInvocationOptions;
  readonly startedAt = performance.now();
  place = -1;
  #ended = false;
  #follower: FollowedCall | null = null;
  #graceTimer: NodeJS.Timeout | undefined;

  constructor(options: RemoteInvocationOptions) {
    this.#options = options;
  }

  /** @param token - Names the request, and the call too where its caller has not named it. */
  send(subject: string, request: Fields | string, token: string): void {
    const { bus, settings } = this.#options;
    const { timeoutMs, signal } = settings;
    const headers = toHeaders(settings);
    const options = {
      token,
      idempotent: true,
      ...(headers === undefined ? {} : { headers }),
      ...(timeoutMs === undefined ? {} : { timeoutMs: timeoutMs + replyGraceMs }),
    } as const;
    requestCall({ bus, subject, payload: request, options }, this);
    signal?.addEventListener('abort', this, { once: true });
    followLater(this);
  }

  replied(message: Message): void {
    try {
      this.#end(new RemoteCall(readCall(message)));
    } catch (error) {
      this.failed(error);
    }
  }

  failed(error: unknown): void {
    if (this.#ended) return;
    // Nobody waits any more for whatever still runs there.
    if (!isRefusal(error)) this.#tryCancel('its caller has lost it');
    this.#close();
    this.#reject(error);
  }

  /** Stays with a call that takes its time: a request has no end when its host dies, and a host cannot know that its caller has died. */
  follow(): void {
    if (this.#ended) return;
    const { bus, modelId, callId } = this.#options;
    try {
      this.#follower = new FollowedCall({
        bus,
        modelId,
        callId,
        ended: (call) => this.#end(new RemoteCall(call)),
        lost: (error) => this.failed(error),
      });
    } catch {
      // A bus that is closing: its requests end with it.
    }
  }

  /** Its signal aborts: asks the host to cancel, and gives it a moment to say that it has. */
  handleEvent(): void {
    const reason: unknown = this.#options.settings.signal?.reason;
    this.#tryCancel(reason instanceof Error ? reason.message : String(reason));
    this.#graceTimer = setTimeout(() => {
      this.#close();
      this.#reject(cancelled(reason));
    }, replyGraceMs);
  }

  #end(call: RemoteCall): void {
    if (this.#ended) return;
    this.#close();
    const { settings, resolve, reject, span } = this.#options;
    const { status, failure } = call;
    span?.end(call.error);
    const isShown = !settings.raiseOnError && failure?.code !== 'missing_api_key';
    if (status === 'completed' || (status === 'failed' && isShown)) resolve(call);
    else reject(call.error ?? IModelError.of('internal', `Call ${call.id} ended as ${status} without saying why`, {}));
  }

  #reject(error: unknown): void {
    this.#options.span?.end(error);
    this.#options.reject(error);
  }

  #close(): void {
    this.#ended = true;
    neverFollow(this);
    this.#follower?.close();
    clearTimeout(this.#graceTimer);
    this.#options.settings.signal?.removeEventListener('abort', this);
  }

  #tryCancel(reason: string): void {
    const { bus, modelId, callId } = this.#options;
    try {
      bus.publish(subjects.cancel(modelId), { call_id: callId, reason: reason.slice(0, 1_000) });
    } catch {
      // The connection is gone for good: its host will notice.
    }
  }
}

/** The error of a call that its own signal took back. */
export function cancelled(reason: unknown): IModelError {
  return IModelError.of('cancelled', 'The call was cancelled', {}, { cause: reason });
}

/** Whether an error says that no call was made: the host's own answer, or nobody's. */
function isRefusal(error: unknown): boolean {
  if (!IModelError.is(error)) return false;
  return error.failure.source !== 'bus' || error.code === 'no_responder' || error.code === 'payload_too_large';
}
