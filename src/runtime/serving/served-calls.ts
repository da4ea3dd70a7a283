import type { CallOptions } from '../../../schemas/imodel.ts';
import { callRequest } from '../../../schemas/wire.ts';
import type { Bus, Message } from '../../bus/bus.ts';
import { subjects } from '../../bus/subjects.ts';
import type { Fields } from '../../endpoints/endpoint.ts';
import { withoutField } from '../../endpoints/fields.ts';
import { IModelError, toFailure } from '../../errors.ts';
import { takeOverrides } from '../../hooks/overrides.ts';
import type { ApiCalling } from '../calls/api-calling.ts';
import { LateSink } from '../calls/late-sink.ts';
import { createAfterHooks, optionsAfterHooks } from '../calls/pre-create.ts';
import { RecentCalls } from '../calls/recent-calls.ts';
import { checked } from '../checked.ts';
import { followPrefix } from '../remote/follow-later.ts';
import { outcomeHeaders } from './outcome.ts';
import { RequestTally } from './request-tally.ts';
import type { Servable } from './serve.ts';
import type { ServedStreams } from './served-streams.ts';
import { creditOf, fromHeaders, traceOf } from './wire-options.ts';

/** Higher than the number of any message of a stream. */
const unknownSeq = 2 ** 48;

/** A caller that promised to follow its call, and has not after this, is gone. It does so within half a second. In milliseconds. */
const promiseMs = 15_000;

/** What {@link ServedCalls} are made from. */
export interface ServedCallsOptions {
  readonly model: Servable;
  readonly bus: Bus;
  /** Names this process to readers. */
  readonly node: string;
  readonly streams: ServedStreams;
  /** Tells whoever sent a message that it came to nothing. */
  readonly refuse: (message: Message, error: unknown) => void;
  /** Hears that a call has ended, and been answered. */
  readonly ended: () => void;
}

/** A call that a request means; `start` hands a new one to its iModel. */
interface AcceptedCall {
  readonly call: ApiCalling;
  readonly start: () => void;
}

/** The calls that came to one iModel over a bus, from request to answer, by id: the same request sent twice is one call. */
export class ServedCalls {
  /** What came to each of the two subjects. */
  readonly tally = { invoke: new RequestTally(), stream: new RequestTally() } as const;
  readonly #options: ServedCallsOptions;
  readonly #model: Servable;
  readonly #calls: RecentCalls<ApiCalling>;
  readonly #servedSince: number;
  #hasLeft = false;

  constructor(options: ServedCallsOptions) {
    const { clock } = options.model.live;
    this.#options = options;
    this.#model = options.model;
    this.#servedSince = clock.now();
    this.#calls = new RecentCalls(clock);
  }

  /** Whether all have ended. */
  get isIdle(): boolean {
    return this.#calls.isIdle;
  }

  /** One of them, also for a while after its end. */
  get(callId: string): ApiCalling | undefined {
    return this.#calls.get(callId);
  }

  /** Takes a request whose reply is the call as it ended. */
  invoke(message: Message): void {
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
        this.#options.refuse(message, error);
      }
    });
    start();
  }

  /** Takes a request whose reply says where its chunks come. */
  stream(message: Message): void {
    const { call, start } = this.#accept(message, true);
    const subject = subjects.chunks(this.#model.id, call.id);
    try {
      // Before the first chunk, so that a reader knows to whom to return its credit.
      message.respond({ call_id: call.id, subject, node: this.#options.node });
    } finally {
      // Whoever could not be told may have subscribed already, and must not wait for a call that never began.
      start();
    }
  }

  /** Takes on a call that came to another process: who asks again for it finds it, and who still waits is answered. */
  adopt(call: ApiCalling): void {
    this.#calls.add(call.id, call);
    if (!(call.sink instanceof LateSink)) call.onEnd(() => this.#answer(call));
    else if (!call.ended) call.sink.passTo(this.#options.streams.open(undefined, call, null));
    else this.#makeAsk(call.id);
    call.onEnd(() => this.#ended(call, true));
  }

  /** Ends calls that were to be followed and are not, since their caller died before it could; lets go of those that ended long ago. */
  look(): void {
    this.#calls.forgetOld();
    const before = this.#model.live.clock.now() - promiseMs;
    for (const call of this.#calls.live()) {
      // The oldest come first.
      if (Math.max(call.createdAt * 1_000, this.#servedSince) > before) return;
      if (promisesToFollow(call) && this.#options.streams.get(call.id) === undefined) call.cancel('its caller is gone');
    }
  }

  /** Answers nobody from now on: their callers are told by whoever goes on with their calls. */
  leave(): void {
    this.#hasLeft = true;
  }

  /** Answers where the caller of another process's request waits. */
  #answer(call: ApiCalling): void {
    const { replyTo, replyType } = call;
    if (replyTo === null || this.#hasLeft) return;
    const headers = outcomeHeaders(call);
    const options = { ...(headers === undefined ? {} : { headers }), contentType: replyType ?? 'application/json' };
    try {
      this.#options.bus.publish(replyTo, call.toWire(), options);
    } catch (error) {
      this.#model.live.events.report('malformed', { call_id: call.id, failure: toFailure(error) });
    }
  }

  /** How much a reader has seen only the reader knows: told that it misses something, it asks. */
  #makeAsk(callId: string): void {
    const alive = { kind: 'alive', last_seq: unknownSeq };
    this.#options.bus.announce(subjects.chunks(this.#model.id, callId), () => alive);
  }

  #ended(call: ApiCalling, keep: boolean): void {
    this.#calls.ended(call.id, keep, keptBytes(call));
    this.#options.ended();
  }

  /** Counts a request, and finds the call it means. */
  #accept(message: Message, streaming: boolean): AcceptedCall {
    const tally = streaming ? this.tally.stream : this.tally.invoke;
    tally.requests += 1;
    try {
      return this.#callOf(message, streaming, tally);
    } catch (error) {
      tally.refused(error);
      throw error;
    }
  }

  /** The call a request means: a new one, or the one that an earlier request with the same id has made. */
  #callOf(message: Message, streaming: boolean, tally: RequestTally): AcceptedCall {
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
    const body = withoutField(readRequest(message.value()), 'stream');
    const request = streaming ? { ...body, stream: true } : body;
    const credit = streaming ? creditOf(message.headers) : null;
    const call = this.#model.createApiCalling(request, callId === undefined ? {} : { callId });
    call.trace = traceOf(message.headers);
    call.askedBy = options.caller ?? '';
    this.#calls.add(call.id, call);
    call.onEnd(() => {
      tally.ended(call);
      // Only a caller that chose the id can ask for it again.
      this.#ended(call, callId !== undefined);
    });
    if (streaming) call.sink = this.#options.streams.open(message, call, credit);
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
}

/** What is asked for: fields, as nearly always, or a prompt as text. @throws IModelError `invalid_request` for anything else. */
function readRequest(value: unknown): Fields {
  const isFields = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
  // The endpoint's own schema looks into them, and copies them.
  return isFields ? (value as Fields) : (checked(callRequest, value, 'request', 'invalid_request') as Fields);
}

/** About how much memory a call takes that has ended: its question and its answer, the latter in the vendor's body and in the common view. */
export function keptBytes({ text, usage }: ApiCalling): number {
  return 4 * (usage?.inputTokens ?? 0) + 2 * text.length;
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
