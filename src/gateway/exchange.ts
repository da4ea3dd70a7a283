import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { CallOptions } from '../../schemas/imodel.ts';
import { type Admission, enter } from '../callers/admission.ts';
import { estimateUse } from '../callers/estimate.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { IModelError } from '../errors.ts';
import { record } from '../http/vendor-error.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';
import { keepListening } from '../runtime/calls/on-abort.ts';
import type { Backlog } from '../runtime/model/model-state.ts';
import { callOptionsOf, type HttpCallOptions, optionsAfterWait, refuseHopeless } from './call-options.ts';
import { type AnswerContext, PlainBody, type Shape, type ShapedRequest, type StreamEncoder } from './dialect.ts';
import { writeStream } from './event-stream.ts';
import { EventWriter, type EventWriterTimes } from './event-writer.ts';
import { refuseOverrides } from './fit.ts';
import { KeptStream } from './kept-stream.ts';
import { type KeptStreams, keepMsOf, keptName, serveKept, streamPath } from './kept-streams.ts';
import { ModelElsewhere } from './model-elsewhere.ts';
import { limitHeaders, waitHeaders } from './queue-headers.ts';
import { StreamedCall } from './streamed-call.ts';
import type { Target } from './target.ts';

/** What all exchanges of one gateway have in common. */
export interface ExchangeSettings extends EventWriterTimes {
  /** Milliseconds a call may wait, unless its caller asks for less. */
  readonly queueTimeoutMs: number;
}

/** One request for one call, from its headers to its answer. */
export interface ExchangeInput {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly shape: Shape;
  readonly target: Target;
  readonly body: Fields;
  readonly settings: ExchangeSettings;
  /** Where streams are kept whose readers may come back. */
  readonly kept: KeptStreams;
}

/**
 * Answers one request with one call of its iModel, which begins when the limits of its caller let it in. The caller's leaving takes the call
 * back wherever it stands.
 *
 * @returns The body of a one-shot answer, or the reply itself once it has been answered as a stream.
 * @throws IModelError whatever the call failed with, while nothing has been sent.
 */
export async function runExchange(input: ExchangeInput): Promise<unknown> {
  const exchange = new Exchange(input);
  try {
    return await exchange.answer();
  } catch (error) {
    if (IModelError.is(error)) input.reply.headers(exchange.headers((error.call as ApiCalling | undefined) ?? null));
    throw error;
  }
}

class Exchange {
  readonly #input: ExchangeInput;
  readonly #asked: ShapedRequest;
  readonly #options: HttpCallOptions;
  readonly #context: AnswerContext;
  /** How long the stream waits for a reader that has gone; null for a call that ends with its connection. */
  readonly #keepMs: number | null;
  /** How its iModel stood when it came. */
  readonly #before: Backlog;
  /** How many calls stood before it then. */
  readonly #position: number;
  #waitedMs = 0;

  constructor(input: ExchangeInput) {
    const { request, shape, target, body, settings } = input;
    this.#input = input;
    this.#asked = shape.read(body, target);
    // Others have said which fields they take.
    if (target.fields === null) refuseOverrides(this.#asked.request, target);
    const { includeUsage, base64 = false, streaming } = this.#asked;
    this.#keepMs = streaming ? keepMsOf(request.headers) : null;
    const signal = this.#keepMs === null ? callerLeft(request.raw.socket) : undefined;
    this.#options = callOptionsOf(request, { queueTimeoutMs: settings.queueTimeoutMs, signal });
    this.#context = {
      target,
      callId: this.#options.callId,
      createdAt: Math.floor(Date.now() / 1_000),
      includeUsage,
      base64,
    };
    this.#before = target.model.backlog;
    const { waiting, outside } = this.#before.queue;
    this.#position = waiting + outside + (request.caller?.gate.waiting ?? 0);
  }

  async answer(): Promise<unknown> {
    const { target, shape, reply } = this.#input;
    // Of others only they know how long a call would wait.
    if (!(target.model instanceof ModelElsewhere)) refuseHopeless(this.#before, this.#options);
    if (this.#asked.streaming && shape.openStream !== null) return this.#stream(shape.openStream(this.#context));
    const call = await this.#invoke();
    if (call.failure !== null) throw call.error;
    reply.headers(this.headers(call));
    const answer = shape.write(call, this.#context);
    if (!(answer instanceof PlainBody)) return answer;
    reply.type(answer.contentType);
    return answer.content;
  }

  /** @param call - Null while there is none, or when none came of it. */
  headers(call: ApiCalling | null): Record<string, string> {
    const { target, shape, request } = this.#input;
    const { callId } = this.#options;
    const { dropped } = this.#asked;
    const isHere = !(target.model instanceof ModelElsewhere);
    const headers: Record<string, string> = { 'imodel-call': callId, [shape.dialect.requestIdHeader]: callId };
    if (isHere) Object.assign(headers, waitHeaders(call, { position: this.#position, waitedMs: this.#waitedMs }));
    Object.assign(headers, limitHeaders(target.model.backlog, shape.dialect, request.caller));
    if (dropped.length > 0) headers['imodel-dropped-fields'] = dropped.join(', ');
    return headers;
  }

  async #invoke(): Promise<ApiCalling> {
    const admission = await this.#enter();
    try {
      const call = await this.#input.target.model.invoke(this.#asked.request, this.#optionsFor(admission));
      admission?.settle(call);
      return call;
    } catch (error) {
      admission?.settle(IModelError.is(error) ? ((error.call as ApiCalling | undefined) ?? null) : null);
      throw error;
    }
  }

  async #stream(encoder: StreamEncoder): Promise<FastifyReply> {
    const { reply, target, settings, kept, request } = this.#input;
    const { callId } = this.#options;
    const stream = new StreamedCall(callId, this.#enter(), {
      open: (admission) => target.model.stream(this.#asked.request, this.#optionsFor(admission)),
      leave: (reason) => request.caller?.heldFor(target.model.id, callId)?.leave(reason),
    });
    const keepMs = this.#keepMs;
    if (keepMs !== null) {
      const name = keptName(request.caller, target.model.id, callId);
      const stays = kept.keep(name, (onGone) => new KeptStream(stream, encoder, keepMs, onGone));
      const resume = { 'imodel-resume': streamPath(target.model.id, callId) };
      const headers = () => ({ ...this.headers(stream.call), ...resume });
      return serveKept(stays, { reply, after: 0, times: settings, headers });
    }
    const begin = (): Record<string, string> => {
      reply.hijack();
      return this.headers(stream.call);
    };
    const giveUp = (error: IModelError): void => stream.cancel(error);
    await writeStream(stream, encoder, new EventWriter(reply.raw, settings, { begin, giveUp }));
    return reply;
  }

  /** Waits for the limits of the caller; null where nobody has any. */
  #enter(): Admission | null | Promise<Admission> {
    const { request, target } = this.#input;
    const { callId, priority = 0, queueTimeoutMs, timeoutMs = Number.POSITIVE_INFINITY, signal } = this.#options;
    if (request.caller === null) return null;
    return enter(request.caller, {
      modelId: target.model.id,
      callId,
      estimate: estimateUse(request.caller, target.model, this.#asked.request),
      priority,
      waitMs: Math.min(queueTimeoutMs, timeoutMs),
      signal,
    });
  }

  /** The options of the call once it has been let in. */
  #optionsFor(admission: Admission | null): CallOptions {
    this.#waitedMs = admission?.waitedMs ?? 0;
    return optionsAfterWait(this.#options, this.#waitedMs);
  }
}

const leaving = new WeakMap<Socket, AbortSignal>();

/** Aborts when the caller's connection closes; one signal for all its requests. */
function callerLeft(socket: Socket): AbortSignal {
  const known = leaving.get(socket);
  if (known !== undefined) return known;
  const left = new AbortController();
  keepListening(left.signal);
  leaving.set(socket, left.signal);
  const leave = (): void => {
    left.abort(IModelError.of('cancelled', 'The caller closed its connection', { reason: 'the caller left' }));
  };
  if (socket.destroyed) leave();
  else socket.once('close', leave);
  return left.signal;
}

/** The body of a request as the fields of a call. */
export function fieldsOf(body: unknown): Fields {
  const fields = record(body);
  if (fields !== undefined) return fields;
  throw IModelError.of('invalid_request', 'Expected the body to be a JSON object', { path: '' });
}
