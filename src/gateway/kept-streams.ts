import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Caller } from '../callers/caller.ts';
import { IModelError, printValue } from '../errors.ts';
import type { EventWriterTimes } from './event-writer.ts';
import { EventWriter } from './event-writer.ts';
import type { GatewayHost } from './gateway.ts';
import type { KeptStream } from './kept-stream.ts';
import { isOwn } from './ownership.ts';
import { Refusal } from './refusal.ts';

/** The header in which a caller says how long its stream shall outlive its connection, in milliseconds. */
const keepHeader = 'imodel-resume-ms';

/** The longest that may be asked for. */
const longestKeepMs = 600_000;

/** The path of one call's stream. */
interface StreamPath {
  readonly Params: { readonly id: string; readonly callId: string };
}

/** The streams of one gateway whose readers may come back. */
export class KeptStreams {
  readonly #streams = new Map<string, KeptStream>();

  /** Keeps a stream under its name; see {@link keptName}. */
  keep(name: string, make: (onGone: () => void) => KeptStream): KeptStream {
    const kept = make(() => {
      // Its id may have been given again.
      if (this.#streams.get(name) === kept) this.#streams.delete(name);
    });
    this.#streams.set(name, kept);
    return kept;
  }

  find(name: string): KeptStream | undefined {
    return this.#streams.get(name);
  }

  close(): void {
    for (const stream of this.#streams.values()) stream.close();
    this.#streams.clear();
  }
}

/**
 * How long a stream shall wait for a reader whose connection broke; null without the header.
 *
 * @throws IModelError `invalid_request` for what is no number from 1 to 600,000.
 */
export function keepMsOf(headers: Readonly<Record<string, unknown>>): number | null {
  const value = headers[keepHeader];
  if (value === undefined || value === '') return null;
  const keepMs = Number(value);
  if (keepMs >= 1 && keepMs <= longestKeepMs) return keepMs;
  const message = `Expected header \`${keepHeader}\` to be a number from 1 to ${longestKeepMs}, got ${printValue(value)}`;
  throw IModelError.of('invalid_request', message, { path: keepHeader, value: printValue(value) });
}

/** Where a kept stream is gone on with. */
export function streamPath(modelId: string, callId: string): string {
  return `/v1/imodels/${modelId}/calls/${callId}/stream`;
}

/** `GET /v1/imodels/<id>/calls/<call>/stream`: goes on with a kept stream after the event that `last-event-id` names, from its first without one. */
export function addKeptStreams(
  server: FastifyInstance,
  models: GatewayHost['models'],
  { kept, times }: { readonly kept: KeptStreams; readonly times: () => EventWriterTimes },
): void {
  const options = { config: { access: 'caller' } } as const;
  server.get<StreamPath>(streamPath(':id', ':callId'), options, async ({ params, headers, caller }, reply) => {
    const { id, callId } = params;
    const stream = kept.find(keptName(caller, id, callId));
    if (stream === undefined) throw unknownStream(id, callId, isOwn(models.get(id)?.call(callId), caller));
    const after = lastSeen(headers['last-event-id']);
    return serveKept(stream, { reply, after, times: times(), headers: () => ({ 'imodel-call': callId }) });
  });
  server.addHook('onClose', async () => kept.close());
}

/** What {@link serveKept} answers with. */
export interface KeptAnswer {
  readonly reply: FastifyReply;
  readonly after: number;
  readonly times: EventWriterTimes;
  /** Made when the head is sent. */
  readonly headers: () => Record<string, string>;
}

/** Answers one reader of a kept stream. */
export async function serveKept(
  stream: KeptStream,
  { reply, after, times, headers }: KeptAnswer,
): Promise<FastifyReply> {
  const begin = (): Record<string, string> => {
    reply.hijack();
    return headers();
  };
  // A reader that takes nothing loses its connection, not its stream.
  await stream.serve(reply.raw, new EventWriter(reply.raw, times, { begin, giveUp: () => {} }), after);
  if (!reply.sent) reply.hijack();
  return reply;
}

function lastSeen(header: unknown): number {
  if (header === undefined || header === '') return 0;
  const seen = Number(header);
  if (Number.isSafeInteger(seen) && seen >= 0) return seen;
  const message = `Expected header \`last-event-id\` to be the id of an event, a whole number, got ${printValue(header)}`;
  throw IModelError.of('invalid_request', message, { path: 'last-event-id', value: printValue(header) });
}

function unknownStream(id: string, callId: string, isLive: boolean): Refusal {
  if (isLive) {
    const message = `The call \`${callId}\` was not asked for with \`${keepHeader}\`: its stream cannot be gone on with`;
    return new Refusal(409, 'not_kept', message);
  }
  const message = `There is no stream of a call \`${callId}\` of the iModel \`${id}\` to go on with: it never was, or its time is up`;
  return new Refusal(404, 'stream_not_found', message);
}

/** The name of a call's stream. Each caller has names of its own: nobody goes on with another's stream, or takes its place. */
export function keptName(caller: Caller | null, modelId: string, callId: string): string {
  return `${caller?.name ?? ''}/${modelId}/${callId}`;
}
