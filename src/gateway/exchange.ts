import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { CallOptions } from '../../schemas/imodel.ts';
import type { ModelState } from '../../schemas/state.ts';
import { noHeaders } from '../bus/headers.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { IModelError } from '../errors.ts';
import { record } from '../http/vendor-error.ts';
import type { ApiCalling } from '../runtime/api-calling.ts';
import { fromHeaders } from '../runtime/wire-options.ts';
import { type AnswerContext, PlainBody, type Shape } from './dialect.ts';
import { writeStream } from './event-stream.ts';
import { EventWriter, type EventWriterTimes } from './event-writer.ts';
import { KeptStream } from './kept-stream.ts';
import { type KeptStreams, keepMsOf, serveKept, streamPath } from './kept-streams.ts';
import { ModelElsewhere } from './model-elsewhere.ts';
import { limitHeaders, soonestStartMs, waitHeaders } from './queue-headers.ts';
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
 * Answers one request with one call of its iModel. The caller's leaving cancels the call wherever it stands.
 *
 * @returns The body of a one-shot answer, or the reply itself once it has been answered as a stream.
 * @throws IModelError whatever the call failed with, while nothing has been sent.
 */
export async function runExchange(input: ExchangeInput): Promise<unknown> {
  const { request, reply, shape, target, body, settings, kept } = input;
  const { request: fields, streaming, dropped, includeUsage, base64 = false } = shape.read(body, target);
  const { model } = target;
  const before = model.state;
  const options = callOptionsOf(request, settings.queueTimeoutMs);
  const isHere = !(model instanceof ModelElsewhere);
  // Of others only they know how long a call would wait.
  if (isHere) refuseHopeless(before, options);
  const keepMs = streaming ? keepMsOf(request.headers) : null;
  const signal = keepMs === null ? { signal: callerLeft(request.raw.socket) } : {};
  const position = before.queue.waiting + before.queue.outside;
  const headers = (call: ApiCalling): Record<string, string> => ({
    'imodel-call': call.id,
    [shape.dialect.requestIdHeader]: call.id,
    ...(isHere ? waitHeaders(call, position) : {}),
    ...limitHeaders(model.state, shape.dialect, Date.now()),
    ...(dropped.length === 0 ? {} : { 'imodel-dropped-fields': dropped.join(', ') }),
  });
  const context: AnswerContext = {
    target,
    callId: options.callId,
    createdAt: Math.floor(Date.now() / 1_000),
    includeUsage,
    base64,
  };
  try {
    if (streaming && shape.openStream !== null) {
      const stream = model.stream(fields, { ...options, ...signal });
      const encoder = shape.openStream(context);
      if (keepMs !== null) {
        const stays = kept.keep(model.id, options.callId, (onGone) => new KeptStream(stream, encoder, keepMs, onGone));
        const resume = { 'imodel-resume': streamPath(model.id, options.callId) };
        const keptHeaders = () => ({ ...headers(stream.call), ...resume });
        return await serveKept(stays, { reply, after: 0, times: settings, headers: keptHeaders });
      }
      const begin = (): Record<string, string> => {
        reply.hijack();
        return headers(stream.call);
      };
      const giveUp = (error: IModelError): void => stream.call.cancel(error);
      await writeStream(stream, encoder, new EventWriter(reply.raw, settings, { begin, giveUp }));
      return reply;
    }
    const call = await model.invoke(fields, { ...options, ...signal });
    if (call.failure !== null) throw call.error;
    reply.headers(headers(call));
    const answer = shape.write(call, context);
    if (!(answer instanceof PlainBody)) return answer;
    reply.type(answer.contentType);
    return answer.content;
  } catch (error) {
    if (IModelError.is(error)) {
      const { call } = error as { call?: ApiCalling };
      if (call !== undefined) reply.headers(headers(call));
    }
    throw error;
  }
}

/** The options of a call in its request's headers, which are those of the bus: `Imodel-Priority` and the like. */
function callOptionsOf(request: FastifyRequest, queueTimeoutMs: number): CallOptions & { readonly callId: string } {
  let headers = noHeaders;
  for (const name in request.headers) {
    const value = request.headers[name];
    if (name.startsWith('imodel-') && typeof value === 'string') headers = { ...headers, [name]: value };
  }
  const asked = fromHeaders(headers);
  return {
    ...asked,
    ...request.trace,
    callId: asked.callId ?? randomUUID(),
    queueTimeoutMs: Math.min(asked.queueTimeoutMs ?? queueTimeoutMs, queueTimeoutMs),
  };
}

/** Refuses at once what would wait in vain. A call that may overtake others is given its chance. */
function refuseHopeless(state: ModelState, { queueTimeoutMs = 0, priority = 0, caller = '' }: CallOptions): void {
  if (priority > 0 || caller !== '') return;
  const waitMs = soonestStartMs(state, Date.now());
  if (waitMs <= queueTimeoutMs) return;
  const message = `The limit of ${state.budget.requests.limit} requests leaves no room for another ${Math.ceil(waitMs / 1_000)} s, and the call may wait ${queueTimeoutMs / 1_000} s`;
  throw IModelError.of('rate_limited', message, { source: 'runtime', retryAfterMs: waitMs });
}

const leaving = new WeakMap<Socket, AbortSignal>();

/** Aborts when the caller's connection closes; one signal for all its requests. */
function callerLeft(socket: Socket): AbortSignal {
  const known = leaving.get(socket);
  if (known !== undefined) return known;
  const left = new AbortController();
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
