import { type LiveCall, liveCall } from '../../../schemas/live-state.ts';
import { IModelError } from '../../errors.ts';
import { plainCopy } from './plain-copy.ts';

/**
 * Reads the calls of a live state. There may be tens of thousands, nearly all of them waiting and well: those are known by a glance, and the
 * schema looks at the others alone.
 *
 * @returns Null when one of them does not fit or two have one id; the schema of the whole then says where.
 * @throws IModelError `config`, naming the path, for a request that is not plain data.
 */
export function readCalls(written: readonly unknown[]): LiveCall[] | null {
  const ids = new Set<string>();
  const calls: LiveCall[] = [];
  for (let index = 0; index < written.length; index += 1) {
    const row = written[index];
    const call = isWaitingCall(row) ? row : liveCall.safeParse(row).data;
    if (call === undefined || ids.has(call.id)) return null;
    ids.add(call.id);
    calls.push(ownCall(call, index));
  }
  return calls;
}

/** Whether a row fits {@link liveCall} at a glance. False says nothing. */
function isWaitingCall(row: unknown): row is LiveCall {
  if (!isPlain(row)) return false;
  const { id, queued_at, payload, stage, caller, priority, tokens, deadline_at, queue_deadline_at } = row;
  const { created_at, request, metadata, reply_to, named, streaming } = row;
  const isWell =
    typeof id === 'string' &&
    id !== '' &&
    isInstant(queued_at) &&
    isPlain(payload) &&
    (stage === undefined || stage === 'queued' || stage === 'outside') &&
    (caller === undefined || typeof caller === 'string') &&
    (priority === undefined || (Number.isInteger(priority) && Math.abs(priority as number) <= 10)) &&
    (tokens === undefined || isInstant(tokens)) &&
    (deadline_at === undefined || isInstant(deadline_at)) &&
    (queue_deadline_at === undefined || isInstant(queue_deadline_at)) &&
    (created_at === undefined || isInstant(created_at)) &&
    (request === undefined || isPlain(request)) &&
    (metadata === undefined || isPlain(metadata)) &&
    (reply_to === undefined || typeof reply_to === 'string') &&
    (named === undefined || named === true) &&
    (streaming === undefined || streaming === true);
  if (!isWell) return false;
  for (const name in row) if (!known.has(name)) return false;
  return true;
}

/** The fields that {@link isWaitingCall} looks at. */
const known: ReadonlySet<string> = new Set([
  ...['id', 'queued_at', 'payload', 'stage', 'caller', 'priority', 'tokens', 'deadline_at', 'queue_deadline_at'],
  ...['created_at', 'request', 'metadata', 'reply_to', 'named', 'streaming'],
]);

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function isInstant(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value < Number.POSITIVE_INFINITY;
}

/** The same, sharing nothing with the document. */
function ownCall(call: LiveCall, index: number): LiveCall {
  const own = { ...call };
  own.payload = ownFields(call.payload, index, 'payload');
  if (call.request !== undefined) own.request = ownFields(call.request, index, 'request');
  if (call.metadata !== undefined) own.metadata = ownFields(call.metadata, index, 'metadata');
  if (call.transport !== undefined) own.transport = ownFields(call.transport, index, 'transport');
  return own;
}

function ownFields(fields: LiveCall['payload'], index: number, name: string): LiveCall['payload'] {
  try {
    return plainCopy(fields, null) as LiveCall['payload'];
  } catch (cause) {
    const field = `state.calls.${index}.${name}`;
    const message = `Expected dict \`${field}\`: plain data, as JSON can hold it`;
    throw IModelError.of('config', message, { field }, { cause });
  }
}
