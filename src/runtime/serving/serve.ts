import { randomUUID } from 'node:crypto';
import { modelEventTypes } from '../../../schemas/event.ts';
import { explainRequest } from '../../../schemas/explanation.ts';
import type { CallOptions } from '../../../schemas/imodel.ts';
import type { ModelDict } from '../../../schemas/snapshot.ts';
import { type ModelState, stateRequest } from '../../../schemas/state.ts';
import { cancelRequest, controlRequest, ctlRequest, resumeRequest } from '../../../schemas/wire.ts';
import { refuseStranger } from '../../arguments.ts';
import type { Bus, Message } from '../../bus/bus.ts';
import { failureHeaders } from '../../bus/headers.ts';
import { hostQueue, subjects } from '../../bus/subjects.ts';
import type { Endpoint, Fields } from '../../endpoints/endpoint.ts';
import { IModelError, toFailure } from '../../errors.ts';
import type { ApiCalling } from '../calls/api-calling.ts';
import { viewCalls } from '../calls/call-views.ts';
import { LateSink } from '../calls/late-sink.ts';
import { checked } from '../checked.ts';
import { explain } from '../journal/replay.ts';
import type { LiveModel } from '../model/live-model.ts';
import { announceModel } from './announce.ts';
import { ServedCalls } from './served-calls.ts';
import { ServedStreams } from './served-streams.ts';

/** How long a node that does not hold a call waits before it says so: the node that does should be heard first. In milliseconds. */
const notMineDelayMs = 100;

/** The latest phases of a call that an explanation holds: one that goes from attempt to attempt for days has thousands. */
const explainedPhases = 200;

/** How often the streams are looked after, in milliseconds. */
const sweepMs = 400;

/** How long a host that is closed still answers for calls that have ended, in milliseconds. */
const lingerMs = 5_000;

/** What is served: the parts of an iModel that the bus side needs. @internal */
export interface Servable {
  readonly id: string;
  readonly live: LiveModel;
  readonly state: ModelState;
  readonly endpoint: Endpoint;
  createApiCalling(request: Fields, options: Pick<CallOptions, 'callId'>): ApiCalling;
  toDict(options: { readonly state: true }): ModelDict;
}

/** An iModel that answers on a bus. */
export interface ServedModel {
  /** Names this process in the subjects that are for it alone. */
  readonly node: string;
  /** Stops answering. Calls that run go on and are answered; the iModel stays open. */
  close(): void;
  /** Stops answering, also for calls that have not ended: their callers are told by whoever goes on with them. */
  leave(): void;
}

/** Answers the subjects of one iModel; see `iModel.serve`. @internal */
export function serveModel(model: Servable, bus: Bus): ServedModel {
  refuseStranger('bus', bus);
  const host = new ModelHost(model, bus);
  return { node: host.node, close: () => host.close(), leave: () => host.leave() };
}

class ModelHost {
  readonly node = randomUUID().slice(0, 8);
  readonly #model: Servable;
  readonly #bus: Bus;
  readonly #calls: ServedCalls;
  readonly #streams: ServedStreams;
  /** Ends the taking of new requests. */
  readonly #intake: (() => void)[] = [];
  /** Ends what calls need until they have ended. */
  readonly #lasting: (() => void)[] = [];
  #closing = false;
  #sweepTimer: unknown;

  constructor(model: Servable, bus: Bus) {
    this.#model = model;
    this.#bus = bus;
    this.#streams = new ServedStreams(model.live, bus);
    this.#calls = new ServedCalls({
      ...{ model, bus, node: this.node, streams: this.#streams },
      refuse: (message, error) => this.#refuse(message, error),
      ended: () => this.#ended(),
    });
    model.live.keepsChunks = true;
    this.#lasting.push(model.live.hooks.onBus?.attach(bus) ?? (() => {}));
    model.live.journal.streamOn(bus);
    const { id } = model;
    const { intake, lasting } = { intake: this.#intake, lasting: this.#lasting };
    this.#on(intake, subjects.invoke(id), (message) => this.#calls.invoke(message), hostQueue);
    this.#on(intake, subjects.stream(id), (message) => this.#calls.stream(message), hostQueue);
    this.#on(intake, subjects.state(id), (message) => this.#state(message));
    this.#on(intake, subjects.snapshot(id), (message) => message.respond(this.#model.toDict({ state: true })));
    this.#on(intake, subjects.explain(id), (message) => this.#explain(message));
    this.#on(intake, subjects.control(id), (message) => this.#control(message));
    this.#on(lasting, subjects.cancel(id), (message) => this.#cancel(message));
    this.#on(lasting, subjects.ctl(id, this.node), (message) => this.#ctl(message));
    this.#on(lasting, subjects.resume(id), (message) => this.#resume(message));
    const eventSubjects = new Map(modelEventTypes.map((type) => [type, subjects.events(id, type)]));
    lasting.push(model.live.events.observe((type, make) => bus.announce(eventSubjects.get(type) ?? '', make)));
    const service = announceModel(model, bus, this.node, this.#calls.tally);
    intake.push(() => service.close());
    lasting.push(() => this.#streams.close());
    lasting.push(() => model.live.clock.clearTimeout(this.#sweepTimer));
    this.#sweep();
    for (const call of model.live.restoredCalls) this.#calls.adopt(call);
  }

  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    for (const close of this.#intake) close();
    if (this.#calls.isIdle) this.#finish();
  }

  leave(): void {
    this.#calls.leave();
    this.close();
    this.#streams.leave();
    this.#finish();
  }

  #finish(): void {
    for (const close of this.#lasting) close();
  }

  /** The last of its readers may still have to ask for what it missed. */
  #ended(): void {
    if (!this.#closing || !this.#calls.isIdle) return;
    unref(this.#model.live.clock.setTimeout(() => this.#finish(), lingerMs));
  }

  /** Subscribes with every fault of a message turned into a reply or, where nobody waits for one, an event. */
  #on(closers: (() => void)[], subject: string, handler: (message: Message) => void, queue?: string): void {
    const guarded = (message: Message): void => this.#guard(message, () => handler(message));
    const subscription = this.#bus.subscribe(subject, guarded, queue === undefined ? {} : { queue });
    // What was asked before it stops answering is answered.
    closers.push(() => (closers === this.#intake ? subscription.drain() : subscription.close()));
  }

  #guard(message: Message, handle: () => void): void {
    try {
      handle();
    } catch (error) {
      this.#refuse(message, error);
    }
  }

  #refuse(message: Message, error: unknown): void {
    const failure = toFailure(error);
    if (message.replyTo === undefined) {
      this.#model.live.events.report('malformed', { failure });
      return;
    }
    try {
      message.respond({ failure }, { headers: failureHeaders(failure) });
    } catch {
      // The bus is closed, or holds all it can: nobody can be told.
    }
  }

  #cancel(message: Message): void {
    const { call_id: callId, reason } = checked(cancelRequest, message.value(), 'message', 'invalid_request');
    const { live } = this.#model;
    const call = this.#calls.get(callId) ?? live.findCall(callId);
    if (call !== undefined) {
      const cancelled = !call.ended || call.status === 'cancelled';
      call.cancel(reason);
      message.respond({ call_id: callId, cancelled });
    } else if (message.replyTo !== undefined) {
      const answer = (): void => message.respond({ call_id: callId, cancelled: false });
      live.clock.setTimeout(() => this.#guard(message, answer), notMineDelayMs);
    }
  }

  #ctl(message: Message): void {
    const request = checked(ctlRequest, message.value(), 'message', 'invalid_request');
    const stream = this.#streams.get(request.call_id);
    if (stream === undefined) {
      const text = `Expected \`call_id\` to be a stream of this node, got \`${request.call_id}\``;
      throw IModelError.of('invalid_request', text, { path: 'call_id', value: request.call_id });
    }
    stream.heardAt = this.#model.live.clock.now();
    if (request.type === 'credit') stream.grant(request.chunks);
    else if (request.type === 'cancel') stream.call.cancel(request.reason);
  }

  #resume(message: Message): void {
    const request = checked(resumeRequest, message.value(), 'message', 'invalid_request');
    const { call_id: callId, after_seq: afterSeq, follow = false } = request;
    const call = this.#calls.get(callId);
    const stream =
      this.#streams.get(callId) ??
      (call !== undefined && follow ? this.#streams.open(message, call, null) : undefined) ??
      this.#streams.show(callId);
    // A stream that another process began, and that has no more chunks.
    const isOver = stream === undefined && call?.ended === true && call.sink instanceof LateSink;
    // Another node may hold it; only that one answers.
    if (stream === undefined && !isOver) return;
    const end = () => [{ kind: 'end', seq: afterSeq + 1, call: call?.toWire() }];
    const messages = stream === undefined ? end() : stream.after(afterSeq);
    if (messages === null) {
      const text = `The chunks after ${afterSeq} of call ${callId} are kept no more`;
      throw IModelError.of('invalid_request', text, { path: 'after_seq', value: String(afterSeq) });
    }
    message.respond({ call_id: callId, subject: subjects.chunks(this.#model.id, callId), node: this.node, messages });
  }

  #state(message: Message): void {
    const asked = callsAsked(message);
    const calls = asked === 0 ? {} : { calls: viewCalls(this.#model.live, asked) };
    message.respond({ ...this.#model.state, node: this.node, ...calls });
  }

  /** Tells from what memory holds of the journal why a call waited. Another node may know one that this one does not. */
  #explain(message: Message): void {
    const { call_id: callId } = checked(explainRequest, message.value(), 'message', 'invalid_request');
    const { live } = this.#model;
    try {
      const { phases, ...rest } = explain(live.journal.entries(), callId);
      message.respond({ ...rest, phases: phases.slice(-explainedPhases), node: this.node });
    } catch (error) {
      live.clock.setTimeout(() => this.#refuse(message, error), notMineDelayMs);
    }
  }

  #control(message: Message): void {
    this.#model.live.control(checked(controlRequest, message.value(), 'message', 'invalid_request'));
    message.respond({ ...this.#model.state, node: this.node });
  }

  /** One timer for all streams and calls. */
  #sweep(): void {
    this.#sweepTimer = this.#model.live.clock.setTimeout(() => {
      this.#streams.look();
      this.#calls.look();
      this.#sweep();
    }, sweepMs);
    unref(this.#sweepTimer);
  }
}

/** How many calls the state shall tell of. Whatever else stands in a request is no reason to refuse it. */
function callsAsked(message: Message): number {
  try {
    return stateRequest.safeParse(message.value()).data?.calls ?? 0;
  } catch {
    return 0;
  }
}

/** The sweep must not keep a process alive that has nothing else to do. */
function unref(timer: unknown): void {
  if (typeof timer === 'object' && timer !== null && 'unref' in timer && typeof timer.unref === 'function')
    timer.unref();
}
