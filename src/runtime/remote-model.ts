import { randomUUID } from 'node:crypto';
import { wireCall } from '../../schemas/call.ts';
import { type ModelEventMessage, modelEvent } from '../../schemas/event.ts';
import type { CallOptions } from '../../schemas/imodel.ts';
import { type ModelState, modelState } from '../../schemas/state.ts';
import type { ControlRequest } from '../../schemas/wire.ts';
import type { Bus, Message } from '../bus/bus.ts';
import { checkToken, subjects } from '../bus/subjects.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { IModelError } from '../errors.ts';
import { checked, checkedCallOptions } from './checked.ts';
import { FollowedCall } from './followed-call.ts';
import { readReply } from './read-reply.ts';
import { RemoteCall } from './remote-call.ts';
import { RemoteStream } from './remote-stream.ts';
import { requestCall } from './request-call.ts';
import { toHeaders } from './wire-options.ts';

/** How long after its deadline or cancel a call's terminal reply is waited for, in milliseconds. */
const replyGraceMs = 2_000;

/** Time limit of questions that an actor answers at once, in milliseconds. */
const questionTimeoutMs = 5_000;

/** Options of {@link RemoteModel.stream}. */
export interface RemoteStreamOptions extends CallOptions {
  /**
   * Chunks the host may send ahead of the reader, 1 to 65,536. With 0 it sends as fast as they come, and a reader that is too slow fails with
   * `unavailable`.
   *
   * @defaultValue 128
   */
  readonly credit?: number | undefined;
  /** Milliseconds without any message before the stream fails with `timed_out`. @defaultValue 120,000 */
  readonly idleTimeoutMs?: number | undefined;
}

/** The reach of one bus. */
export interface Connection {
  /** An iModel somewhere on this bus; nothing is sent until it is used. */
  model(id: string): RemoteModel;
}

/**
 * Reaches the iModels that are served on a bus.
 *
 * @example
 * ```ts
 * const bus = await connectNats({ servers: 'nats://127.0.0.1:4222' });
 * const call = await connect(bus).model('gpt').invoke({ messages });
 * ```
 */
export function connect(bus: Bus): Connection {
  return { model: (id) => new RemoteModel(bus, id) };
}

/** An iModel that is served on a bus, by this process or another: used as a local one. */
export class RemoteModel {
  readonly id: string;
  readonly #bus: Bus;
  readonly #invokeSubject: string;

  /** @internal */
  constructor(bus: Bus, id: string) {
    this.id = checkToken(id, 'id');
    this.#invokeSubject = subjects.invoke(id);
    this.#bus = bus;
  }

  /**
   * Runs one call and resolves with it when it has ended, as `iModel.invoke` does.
   *
   * @throws IModelError as `iModel.invoke`, and `no_responder` when nobody serves the id, `unavailable` when the connection was lost.
   */
  async invoke(request: Fields | string = {}, options: CallOptions = {}): Promise<RemoteCall> {
    const settings = checkedCallOptions(options);
    const { signal, timeoutMs } = settings;
    if (signal?.aborted) throw cancelled(signal.reason);
    // A call id of the caller's own travels as a header; one that is made here is the request's own name, which costs nothing.
    const token = randomUUID();
    const callId = settings.callId ?? token;
    const headers = toHeaders(settings);
    const reply = requestCall(this.#bus, this.#invokeSubject, request, {
      token,
      ...(headers === undefined ? {} : { headers }),
      ...(timeoutMs === undefined ? {} : { timeoutMs: timeoutMs + replyGraceMs }),
    }).then(readCall);
    const followed = this.#followed(reply, callId);
    const call = await (signal === undefined ? followed : this.#cancellable(followed, callId, signal));
    const { status, failure } = call;
    if (
      status === 'completed' ||
      (status === 'failed' && !settings.raiseOnError && failure?.code !== 'missing_api_key')
    ) {
      return call;
    }
    throw call.error ?? IModelError.of('internal', `Call ${call.id} ended as ${status} without saying why`, {});
  }

  /** Runs one streamed call; chunks, order and failures are those of a local stream. The call is submitted at once. */
  stream(request: Fields | string = {}, options: RemoteStreamOptions = {}): RemoteStream {
    const { credit = 128, idleTimeoutMs = 120_000, ...rest } = options;
    const settings = checkedCallOptions(rest);
    return new RemoteStream({
      bus: this.#bus,
      modelId: this.id,
      request,
      credit,
      idleTimeoutMs,
      options: { ...settings, callId: settings.callId ?? randomUUID() },
    });
  }

  /** Takes a call back, whoever made it. @returns Whether a node that answers still held it. */
  async cancel(callId: string, reason?: string): Promise<boolean> {
    const body = { call_id: checkToken(callId, 'callId'), ...(reason === undefined ? {} : { reason }) };
    const message = await this.#bus.request(subjects.cancel(this.id), body, { timeoutMs: questionTimeoutMs });
    return (readReply(message) as { cancelled?: unknown }).cancelled === true;
  }

  /** What the node that answers first is doing. */
  async state(): Promise<ModelState> {
    const message = await this.#bus.request(subjects.state(this.id), {}, { timeoutMs: questionTimeoutMs });
    return checked(modelState, readReply(message), 'state', 'invalid_request');
  }

  /** Pauses, resumes, drains, closes, changes limits or resets them, on every node that serves the id. @returns One node's state after it. */
  async control(request: ControlRequest): Promise<ModelState> {
    const message = await this.#bus.request(subjects.control(this.id), request, { timeoutMs: questionTimeoutMs });
    return checked(modelState, readReply(message), 'state', 'invalid_request');
  }

  /** Hears every event of this iModel; returns the way to stop. */
  events(listener: (event: ModelEventMessage) => void): () => void {
    const subscription = this.#bus.subscribe(subjects.everyEvent(this.id), (message) => {
      const event = modelEvent.safeParse(message.value());
      if (event.success) listener(event.data);
    });
    return () => subscription.close();
  }

  /** The reply, or what else tells how the call ended. */
  #followed(reply: Promise<RemoteCall>, callId: string): Promise<RemoteCall> {
    return new Promise((resolve, reject) => {
      const lost = (error: unknown): void => {
        follower.close();
        // Nobody waits any more for whatever still runs there.
        if (!isRefusal(error)) this.#tryCancel(callId, 'its caller has lost it');
        reject(error);
      };
      const follower = new FollowedCall({
        bus: this.#bus,
        modelId: this.id,
        callId,
        ended: (call) => resolve(new RemoteCall(call)),
        lost,
      });
      reply.then((call) => {
        follower.close();
        resolve(call);
      }, lost);
    });
  }

  #tryCancel(callId: string, reason: string): void {
    try {
      this.#bus.publish(subjects.cancel(this.id), { call_id: callId, reason: reason.slice(0, 1_000) });
    } catch {
      // The connection is gone for good: its host will notice.
    }
  }

  /** Asks the host to cancel when the signal aborts, and gives it a moment to say that it has. */
  #cancellable(reply: Promise<RemoteCall>, callId: string, signal: AbortSignal): Promise<RemoteCall> {
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const abort = (): void => {
        this.#tryCancel(callId, signal.reason instanceof Error ? signal.reason.message : String(signal.reason));
        timer = setTimeout(() => reject(cancelled(signal.reason)), replyGraceMs);
      };
      signal.addEventListener('abort', abort, { once: true });
      const settle = (): void => {
        signal.removeEventListener('abort', abort);
        clearTimeout(timer);
      };
      reply.then(resolve, reject).finally(settle);
    });
  }
}

/** Whether an error says that no call was made: the host's own answer, or nobody's. */
function isRefusal(error: unknown): boolean {
  if (!IModelError.is(error)) return false;
  return error.failure.source !== 'bus' || error.code === 'no_responder' || error.code === 'payload_too_large';
}

function readCall(message: Message): RemoteCall {
  return new RemoteCall(checked(wireCall, readReply(message), 'reply', 'invalid_request'));
}

function cancelled(reason: unknown): IModelError {
  return IModelError.of('cancelled', 'The call was cancelled', {}, { cause: reason });
}
