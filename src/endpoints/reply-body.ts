import type { HttpHeaders, HttpResponse } from '../http/exchange.ts';
import type { Answer } from './answer.ts';
import { BytesReader } from './bytes-reader.ts';
import type { Fields } from './endpoint.ts';
import type { Protocol } from './protocol.ts';
import { StreamReader } from './stream-reader.ts';

/** Whether a status tells of a success. */
export function isSuccess(status: number): boolean {
  return status >= 200 && status <= 299;
}

/** Whether a body is one to be read piece by piece; what says that it is JSON or a page is read whole. */
export function isStream(status: number, headers: HttpHeaders): boolean {
  if (!isSuccess(status) || status === 204) return false;
  const type = contentTypeOf(headers);
  return !type.startsWith('application/json') && !type.startsWith('text/html');
}

/** Who reads a body that comes piece by piece. */
export function readerOf(protocol: Protocol, answer: Answer, payload: Fields, headers: HttpHeaders) {
  const contentType = contentTypeOf(headers);
  if (protocol.openBytes === undefined || contentType.startsWith('text/event-stream'))
    return new StreamReader(protocol, answer, payload);
  return new BytesReader(answer, protocol.openBytes(answer, contentType));
}

/** Whether a body is made of server-sent events, whatever it is called; of one that may be any bytes, whether it is called so. */
export function isEventStream({ framing, openBytes }: Protocol, { headers, body }: HttpResponse): boolean {
  if (framing !== 'sse') return false;
  if (openBytes !== undefined) return contentTypeOf(headers).startsWith('text/event-stream');
  return /^\s*(data|event|id|retry)?:/.test(body.subarray(0, 64).toString('utf8'));
}

function contentTypeOf(headers: HttpHeaders): string {
  return String(headers['content-type'] ?? '').toLowerCase();
}
