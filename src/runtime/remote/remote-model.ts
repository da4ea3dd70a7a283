import { filesToText } from '../../../schemas/bytes.ts';
import { type ModelEventMessage, modelEvent } from '../../../schemas/event.ts';
import { type CallExplanation, callExplanation } from '../../../schemas/explanation.ts';
import type { CallOptions } from '../../../schemas/imodel.ts';
import { type ModelDict, modelDict } from '../../../schemas/snapshot.ts';
import { type ModelState, modelState } from '../../../schemas/state.ts';
import { type ControlRequest, cancelReply } from '../../../schemas/wire.ts';
import { refuseStranger } from '../../arguments.ts';
import type { Bus } from '../../bus/bus.ts';
import { checkToken, subjects } from '../../bus/subjects.ts';
import type { Fields } from '../../endpoints/endpoint.ts';
import { BusSpan } from '../../telemetry/bus-span.ts';
import { checkedCallOptions } from '../checked-call-options.ts';
import { createId } from '../create-id.ts';
import { followPrefix } from './follow-later.ts';
import { checkedReply } from './read-reply.ts';
import type { RemoteCall } from './remote-call.ts';
import { cancelled, RemoteInvocation } from './remote-invocation.ts';
import { RemoteStream } from './remote-stream.ts';

/** Time limit of questions that an actor answers at once, in milliseconds. */
const questionTimeoutMs = 5_000;

/** How long a snapshot may take to arrive; it may be large. In milliseconds. */
const snapshotTimeoutMs = 30_000;

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
 *
 * @throws IModelError `config` for what is no bus.
 */
export function connect(bus: Bus): Connection {
  refuseStranger('bus', bus);
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
  invoke(request: Fields | string = {}, options: CallOptions = {}): Promise<RemoteCall> {
    return new Promise((resolve, reject) => {
      const settings = checkedCallOptions(options);
      if (settings.signal?.aborted) throw cancelled(settings.signal.reason);
      // A call id of the caller's own travels as a header; one that is made here is the request's own name, which costs nothing.
      const id = createId();
      const callId = settings.callId ?? id;
      const span = BusSpan.begin('invoke', this.id, settings);
      const call = {
        bus: this.#bus,
        modelId: this.id,
        callId,
        settings: withTrace(settings, span),
        resolve,
        reject,
        span,
      };
      new RemoteInvocation(call).send(this.#invokeSubject, filesToText(request), followPrefix + id);
    });
  }

  /** Runs one streamed call; chunks, order and failures are those of a local stream. The call is submitted at once. */
  stream(request: Fields | string = {}, options: RemoteStreamOptions = {}): RemoteStream {
    const { credit = 128, idleTimeoutMs = 120_000, ...rest } = options;
    const settings = checkedCallOptions(rest);
    const span = BusSpan.begin('stream', this.id, settings);
    return new RemoteStream({
      bus: this.#bus,
      modelId: this.id,
      request: filesToText(request),
      credit,
      idleTimeoutMs,
      options: { ...withTrace(settings, span), callId: settings.callId ?? createId() },
      span,
    });
  }

  /** Takes a call back, whoever made it. @returns Whether a node that answers still held it. */
  async cancel(callId: string, reason?: string): Promise<boolean> {
    const body = { call_id: checkToken(callId, 'callId'), ...(reason === undefined ? {} : { reason }) };
    const message = await this.#bus.request(subjects.cancel(this.id), body, { timeoutMs: questionTimeoutMs });
    return checkedReply(cancelReply, message).cancelled;
  }

  /** What the node that answers first is doing. */
  async state(): Promise<ModelState> {
    const message = await this.#bus.request(subjects.state(this.id), {}, { timeoutMs: questionTimeoutMs });
    return checkedReply(modelState, message);
  }

  /**
   * The iModel of the node that answers first as plain data, with its live state: what `iModel.fromDict` goes on from. Holds the requests of
   * calls that wait.
   */
  async snapshot(): Promise<ModelDict> {
    const message = await this.#bus.request(subjects.snapshot(this.id), {}, { timeoutMs: snapshotTimeoutMs });
    return checkedReply(modelDict, message);
  }

  /**
   * Why a call waited, how long for which reason, and what ended it: from what its host remembers of its journal. Its latest 200 phases.
   *
   * @throws IModelError `config` for a call that no host knows, or no longer.
   */
  async explain(callId: string): Promise<CallExplanation> {
    const body = { call_id: checkToken(callId, 'callId') };
    const message = await this.#bus.request(subjects.explain(this.id), body, { timeoutMs: questionTimeoutMs });
    return checkedReply(callExplanation, message);
  }

  /** Pauses, resumes, drains, closes, changes limits or resets them, on every node that serves the id. @returns One node's state after it. */
  async control(request: ControlRequest): Promise<ModelState> {
    const message = await this.#bus.request(subjects.control(this.id), request, { timeoutMs: questionTimeoutMs });
    return checkedReply(modelState, message);
  }

  /** Hears every event of this iModel; returns the way to stop. */
  events(listener: (event: ModelEventMessage) => void): () => void {
    const subscription = this.#bus.subscribe(subjects.everyEvent(this.id), (message) => {
      const event = modelEvent.safeParse(message.value());
      if (event.success) listener(event.data);
    });
    return () => subscription.close();
  }
}

function withTrace(settings: CallOptions, span: BusSpan | null): CallOptions {
  return span === null ? settings : { ...settings, ...span.headers };
}
