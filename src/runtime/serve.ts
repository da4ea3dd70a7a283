import { randomUUID } from 'node:crypto';
import { modelEventTypes } from '../../schemas/event.ts';
import type { CallOptions } from '../../schemas/imodel.ts';
import type { ModelDict } from '../../schemas/snapshot.ts';
import { type ModelState, stateRequest } from '../../schemas/state.ts';
import { callRequest, cancelRequest, controlRequest, ctlRequest, resumeRequest } from '../../schemas/wire.ts';
import type { Bus, Message } from '../bus/bus.ts';
import { failureHeaders } from '../bus/headers.ts';
import { hostQueue, subjects } from '../bus/subjects.ts';
import type { Endpoint, Fields } from '../endpoints/endpoint.ts';
import { withoutField } from '../endpoints/fields.ts';
import { IModelError, toFailure } from '../errors.ts';
import { takeOverrides } from '../hooks/overrides.ts';
import { announceModel } from './announce.ts';
import type { ApiCalling } from './api-calling.ts';
import { viewCalls } from './call-views.ts';
import { checked } from './checked.ts';
import { followPrefix } from './follow-later.ts';
import { KeptSink } from './kept-sink.ts';
import { LateSink } from './late-sink.ts';
import type { LiveModel } from './live-model.ts';
import { outcomeHeaders } from './outcome.ts';
import { createAfterHooks, optionsAfterHooks } from './pre-create.ts';
import { ReaderWatch } from './reader-watch.ts';
import { RecentCalls } from './recent-calls.ts';
import { ServedStream } from './served-stream.ts';
import { creditOf, fromHeaders, traceOf } from './wire-options.ts';

/** How long a node that does not hold a call waits before it says so: the node that does should be heard first. In milliseconds. */
const notMineDelayMs = 100;

/** Higher than the number of any message of a stream. */
const unknownSeq = 2 ** 48;

/** How often the streams are looked after, in milliseconds. */
const sweepMs = 400;

/** A reader that gives credit and is silent for this long is gone, and its call is cancelled. In milliseconds. */
const silentReaderMs = 30_000;

/** A caller that promised to follow its call, and has not after this, is gone. It does so within half a second. In milliseconds. */
const promiseMs = 15_000;

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
  const host = new ModelHost(model, bus);
  return { node: host.node, close: () => host.close(), leave: () => host.leave() };
}

/** A call that a request means; `start` hands a new one to its iModel. */
interface AcceptedCall {
  readonly call: ApiCalling;
  readonly start: () => void;
}

class ModelHost {
  readonly node = randomUUID().slice(0, 8);
  readonly #model: Servable;
  readonly #bus: Bus;
  /** Ends the taking of new requests. */
  readonly #intake: (() => void)[] = [];
  /** Ends what calls need until they have ended. */
  readonly #lasting: (() => void)[] = [];
  #closing = false;
  #hasLeft = false;
  /** Calls that came over the bus, by id: the same request sent twice is the same call. */
  readonly #calls: RecentCalls<ApiCalling>;
  readonly #streams: RecentCalls<ServedStream>;
  /** Streams that are read in this process, and that somebody on the bus wanted to see. */
  readonly #shown: RecentCalls<ServedStream>;
  readonly #readers: ReaderWatch;
  readonly #servedSince: number;
  #sweepTimer: unknown;

  constructor(model: Servable, bus: Bus) {
    this.#model = model;
    this.#bus = bus;
    this.#servedSince = model.live.clock.now();
    this.#calls = new RecentCalls(model.live.clock);
    this.#streams = new RecentCalls(model.live.clock);
    this.#shown = new RecentCalls(model.live.clock);
    model.live.keepsChunks = true;
    this.#lasting.push(model.live.hooks.onBus?.attach(bus) ?? (() => {}));
    this.#readers = new ReaderWatch(bus, model.live.clock);
    const { id } = model;
    const { intake, lasting } = { intake: this.#intake, lasting: this.#lasting };
    this.#on(intake, subjects.invoke(id), (message) => this.#invoke(message), hostQueue);
    this.#on(intake, subjects.stream(id), (message) => this.#stream(message), hostQueue);
    this.#on(intake, subjects.state(id), (message) => this.#state(message));
    this.#on(intake, subjects.snapshot(id), (message) => message.respond(this.#model.toDict({ state: true })));
    this.#on(intake, subjects.control(id), (message) => this.#control(message));
    this.#on(lasting, subjects.cancel(id), (message) => this.#cancel(message));
    this.#on(lasting, subjects.ctl(id, this.node), (message) => this.#ctl(message));
    this.#on(lasting, subjects.resume(id), (message) => this.#resume(message));
    const eventSubjects = new Map(modelEventTypes.map((type) => [type, subjects.events(id, type)]));
    lasting.push(model.live.events.observe((type, make) => bus.announce(eventSubjects.get(type) ?? '', make)));
    const service = announceModel(model, bus, this.node);
    intake.push(() => service.close());
    lasting.push(() => this.#readers.close());
    lasting.push(() => model.live.clock.clearTimeout(this.#sweepTimer));
    this.#sweep();
    for (const call of model.live.restoredCalls) this.#adopt(call);
  }

  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    for (const close of this.#intake) close();
    if (this.#calls.isIdle) this.#finish();
  }

  leave(): void {
    this.#hasLeft = true;
    this.close();
    for (const stream of this.#streams.live()) stream.leave();
    this.#finish();
  }

  #finish(): void {
    for (const close of this.#lasting) close();
  }

  /** The last of its readers may still have to ask for what it missed. */
  #ended(callId: string, keep: boolean): void {
    this.#calls.ended(callId, keep);
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

  /** Takes on a call that came to another process: who asks again for it finds it, and who still waits is answered. */
  #adopt(call: ApiCalling): void {
    this.#calls.add(call.id, call);
    if (!(call.sink instanceof LateSink)) call.onEnd(() => this.#answer(call));
    else if (!call.ended) call.sink.passTo(this.#openStream(undefined, call, null));
    // How much its reader has seen only the reader knows: told that it misses something, it asks.
    else this.#bus.announce(subjects.chunks(this.#model.id, call.id), () => ({ kind: 'alive', last_seq: unknownSeq }));
    call.onEnd(() => this.#ended(call.id, true));
  }

  /** Answers where the caller of another process's request waits. */
  #answer(call: ApiCalling): void {
    const { replyTo, replyType } = call;
    if (replyTo === null || this.#hasLeft) return;
    const headers = outcomeHeaders(call);
    const options = { ...(headers === undefined ? {} : { headers }), contentType: replyType ?? 'application/json' };
    try {
      this.#bus.publish(replyTo, call.toWire(), options);
    } catch (error) {
      this.#model.live.events.report('malformed', { call_id: call.id, failure: toFailure(error) });
    }
  }

  #invoke(message: Message): void {
    const { call, start } = this.#accept(message, false);
    call.replyTo = message.replyTo ?? null;
    call.replyType = message.contentType === 'application/msgpack' ? message.contentType : null;
    call.onEnd(() => {
      if (this.#hasLeft) return;
      const headers = outcomeHeaders(call);
      try {
        message.respond(call.toWire(), headers === undefined ? {} : { headers });
      } catch (error) {
        // Too large, or with something in it that cannot be written.
        this.#refuse(message, error);
      }
    });
    start();
  }

  #stream(message: Message): void {
    const { call, start } = this.#accept(message, true);
    const subject = subjects.chunks(this.#model.id, call.id);
    // Before the first chunk, so that a reader knows to whom to return its credit.
    message.respond({ call_id: call.id, subject, node: this.node });
    start();
  }

  /** The call a request means: a new one, or the one that an earlier request with the same id has made. */
  #accept(message: Message, streaming: boolean): AcceptedCall {
    const { callId = replyToken(message), ...options } = fromHeaders(message.headers);
    const { live } = this.#model;
    if (callId !== undefined) {
      const known = this.#calls.get(callId);
      if (known !== undefined) {
        // What one caller has asked for is no answer to another that has guessed its id.
        if (known.askedBy !== (options.caller ?? '')) {
          throw IModelError.of('conflict', `The id ${callId} is another caller's`, { callId });
        }
        if ((known.sink !== null) === streaming) return { call: known, start: () => {} };
        throw IModelError.of('conflict', `The call ${callId} was ${streaming ? 'invoked' : 'streamed'}`, { callId });
      }
      if (live.namedCall(callId) !== undefined) {
        throw IModelError.of('conflict', `A call with the id ${callId} has not ended`, { callId });
      }
    }
    const asked = checked(callRequest, message.value(), 'request', 'invalid_request') as Fields;
    const body = withoutField(asked, 'stream');
    const request = streaming ? { ...body, stream: true } : body;
    const credit = streaming ? creditOf(message.headers) : null;
    const call = this.#model.createApiCalling(request, callId === undefined ? {} : { callId });
    call.trace = traceOf(message.headers);
    call.askedBy = options.caller ?? '';
    this.#calls.add(call.id, call);
    // Only a caller that chose the id can ask for it again.
    call.onEnd(() => this.#ended(call.id, callId !== undefined));
    if (streaming) call.sink = this.#openStream(message, call, credit);
    const start = (): void => {
      if (live.hooks.asksBeforeCreation) void this.#submitAfterHooks(call, request, options);
      else live.submit(call, options, true);
    };
    return { call, start };
  }

  /** The call is known by its id from the start. What a hook makes in its place is sent under that id. */
  async #submitAfterHooks(call: ApiCalling, request: Fields, options: CallOptions): Promise<void> {
    const { live } = this.#model;
    const { caller, timeoutMs } = options;
    const { request: own, overrides } = takeOverrides(request);
    const stop = new AbortController();
    call.onEnd(() => stop.abort(call.error));
    const askedAt = live.clock.now();
    try {
      const create = (): ApiCalling => call;
      const made = await createAfterHooks({
        live,
        request: own,
        overrides,
        create,
        stop: stop.signal,
        caller,
        timeoutMs,
      });
      if (call.ended) return;
      if (made !== call) call.takeOver(made);
      live.submit(call, optionsAfterHooks(options, live, askedAt), true);
    } catch (error) {
      if (!call.ended) live.skip(call, IModelError.is(error) ? error : new IModelError(toFailure(error)));
    }
  }

  #openStream(message: Message | undefined, call: ApiCalling, credit: number | null): ServedStream {
    const stream = new ServedStream(call, this.#model.live.clock, {
      bus: this.#bus,
      subject: subjects.chunks(this.#model.id, call.id),
      contentType: message?.contentType === 'text/plain' ? 'application/json' : message?.contentType,
      credit,
    });
    this.#streams.add(call.id, stream);
    call.onEnd(() => this.#streams.ended(call.id, true));
    return stream;
  }

  /**
   * A stream that is read in this process, published from now on for whoever asks to see it. Its reader stays the one who reads it: it does
   * not wait for observers, and does not end when they leave.
   */
  #show(callId: string): ServedStream | undefined {
    const shown = this.#shown.get(callId);
    if (shown !== undefined) return shown;
    const call = this.#model.live.findCall(callId);
    if (!(call?.sink instanceof KeptSink)) return undefined;
    const stream = new ServedStream(call, this.#model.live.clock, {
      bus: this.#bus,
      subject: subjects.chunks(this.#model.id, callId),
      credit: null,
      after: call.sink.dropped,
    });
    this.#shown.add(callId, stream);
    call.onEnd(() => this.#shown.ended(callId, true));
    call.sink.showTo(stream);
    return stream;
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
      throw IModelError.of(
        'invalid_request',
        `Expected \`call_id\` to be a stream of this node, got \`${request.call_id}\``,
        {
          path: 'call_id',
          value: request.call_id,
        },
      );
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
      (call !== undefined && follow ? this.#openStream(message, call, null) : undefined) ??
      this.#show(callId);
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

  #control(message: Message): void {
    this.#model.live.control(checked(controlRequest, message.value(), 'message', 'invalid_request'));
    message.respond({ ...this.#model.state, node: this.node });
  }

  /** Ends calls that were to be followed and are not: their caller died before it could. */
  #endForsaken(before: number): void {
    for (const call of this.#calls.live()) {
      // The oldest come first.
      if (Math.max(call.createdAt * 1_000, this.#servedSince) > before) return;
      if (promisesToFollow(call) && this.#streams.get(call.id) === undefined) call.cancel('its caller is gone');
    }
  }

  /** Shows readers that their streams live, and cancels the streams of readers that are gone. One timer for all of them. */
  #sweep(): void {
    const { clock } = this.#model.live;
    this.#sweepTimer = clock.setTimeout(() => {
      const silentSince = clock.now() - silentReaderMs;
      for (const stream of this.#streams.live()) {
        if (stream.credited && stream.heardAt < silentSince) stream.call.cancel('its reader is silent');
        else void this.#readers.check(stream);
      }
      this.#endForsaken(clock.now() - promiseMs);
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

/** Whether a caller has said, by the token of its reply subject, that it will follow its call. */
function promisesToFollow({ replyTo }: ApiCalling): boolean {
  return replyTo?.includes(`.${followPrefix}`) === true;
}

/**
 * A request without an id in its headers is named by the last token of its reply subject, where that is long enough to be nobody else's:
 * it stays the same when the request is sent again, and needs no header.
 */
function replyToken({ replyTo }: Message): string | undefined {
  const last = replyTo?.slice(replyTo.lastIndexOf('.') + 1);
  const token = last?.startsWith(followPrefix) ? last.slice(followPrefix.length) : last;
  return token !== undefined && /^[A-Za-z0-9_-]{20,64}$/.test(token) ? token : undefined;
}

/** The sweep must not keep a process alive that has nothing else to do. */
function unref(timer: unknown): void {
  if (typeof timer === 'object' && timer !== null && 'unref' in timer && typeof timer.unref === 'function')
    timer.unref();
}
