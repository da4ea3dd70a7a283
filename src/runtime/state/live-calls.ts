import type { CallRow } from '../../../actors/call-row.ts';
import { bytesFromWire, writeBytes } from '../../../schemas/bytes.ts';
import type { CallRowState, LiveCall } from '../../../schemas/live-state.ts';
import type { Fields } from '../../endpoints/endpoint.ts';
import { extraHeaders, withoutCredentialHeaders } from '../../endpoints/extra-headers.ts';
import { ApiCalling } from '../calls/api-calling.ts';
import type { CallOwner } from '../calls/call-owner.ts';
import { LateSink } from '../calls/late-sink.ts';
import { writeValue } from './written.ts';

/** A call is made and queued at once by most callers: so many milliseconds between are not worth writing. */
const sameTimeMs = 5;

/**
 * Calls with their rows, which are written in the order of `rows`. Shares payload, request and metadata with the calls: to be copied or turned
 * into a text at once.
 */
export function writeLiveCalls(
  written: readonly CallRowState[],
  rows: Iterable<CallRow>,
  isNamed: (callId: string) => boolean,
): LiveCall[] {
  const next = rows[Symbol.iterator]();
  return written.map((row) => {
    const call = next.next().value?.handle as ApiCalling;
    return { ...row, ...writeRequest(call, row.queued_at, isNamed(call.id)) };
  });
}

/** What only the runtime knows of a call. @param queuedAt - Epoch milliseconds. */
export function writeRequest(call: ApiCalling, queuedAt: number, isNamed: boolean): Omit<LiveCall, keyof CallRowState> {
  const written: Omit<LiveCall, keyof CallRowState> = { payload: call.payload };
  const createdAtMs = call.createdAt * 1_000;
  if (Math.abs(createdAtMs - queuedAt) > sameTimeMs) written.created_at = createdAtMs;
  for (const _name in call.transport) {
    written.transport = writeTransport(call.transport);
    break;
  }
  for (const _name in call.metadata) {
    written.metadata = call.metadata;
    break;
  }
  if (call.request !== null) written.request = call.request;
  if (isNamed) written.named = true;
  if (call.trace !== null) written.trace = { ...call.trace };
  if (call.replyTo !== null) written.reply_to = call.replyTo;
  if (call.replyType !== null && call.replyType !== 'application/json') written.reply_type = call.replyType;
  return written;
}

/** The call that was written. Its row is still to come. */
export function readLiveCall(written: LiveCall, owner: CallOwner): ApiCalling {
  const call = new ApiCalling({
    id: written.id,
    createdAtMs: written.created_at ?? written.queued_at,
    payload: written.payload,
    transport: written.transport === undefined ? {} : (bytesFromWire(written.transport) as Fields),
    owner,
    metadata: written.metadata,
  });
  if (written.streaming === true) call.sink = new LateSink();
  call.request = written.request ?? null;
  call.trace = written.trace ?? null;
  call.attempts = written.run?.attempts ?? 0;
  call.replyTo = written.reply_to ?? null;
  call.replyType = written.reply_type ?? null;
  return call;
}

/** Functions are not written, as nowhere; nor is what can be read only once, nor a credential. */
function writeTransport(transport: Fields): Record<string, unknown> {
  const written: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(transport)) {
    if (name === extraHeaders) written[name] = writeValue(withoutCredentialHeaders(value as Fields));
    else if (value instanceof Uint8Array) written[name] = writeBytes(value);
    else if (typeof value !== 'object' && typeof value !== 'function') written[name] = value;
    else if (value !== null && (Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype)) {
      written[name] = writeValue(value);
    }
  }
  return written;
}
