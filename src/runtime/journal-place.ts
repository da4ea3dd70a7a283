import { join } from 'node:path';
import type { JournalEntry } from '../../schemas/journal.ts';
import type { Bus } from '../bus/bus.ts';
import { IModelError } from '../errors.ts';
import { type AuditSink, auditFile, auditStream, natsOf } from '../hooks/audit-sinks.ts';
import { checkJournal, type ReadJournal, type ReadJournalOptions } from './journal/read-journal.ts';

/** The stream of a place that names none. */
const defaultStream = 'imodel-journal';

/** How long the server may take for one answer, in milliseconds. */
const answerMs = 5_000;

/** The JetStream stream that a place names: `stream`, or `stream:` and its name; null for a path. */
export function streamIn(place: string): string | null {
  if (place === 'stream') return defaultStream;
  return place.startsWith('stream:') ? place.slice('stream:'.length) : null;
}

/**
 * Where the journal of an iModel goes.
 *
 * @param place - A folder, `stream`, or `stream:` and the name of a JetStream stream.
 * @throws IModelError `config` for a stream on a bus without a server.
 */
export function journalSink(place: string, id: string, bus: Bus): AuditSink {
  const stream = streamIn(place);
  return stream === null ? auditFile(join(place, `${id}.jsonl`)) : journalStream(stream, id, bus);
}

/** The journal of an iModel in a stream that those of others may share. @throws IModelError `config` for a bus without a server. */
export function journalStream(stream: string, id: string, bus: Bus): AuditSink {
  if ((bus as { readonly connection?: unknown }).connection === undefined) {
    const message = `Expected a NATS server for the journal of ${id}: a bus inside the process has no streams`;
    throw IModelError.of('config', message, { field: 'journal', value: stream });
  }
  return auditStream(bus, { stream, subject: `${stream}.${id}` });
}

/**
 * Reads the journal of an iModel from a JetStream stream, up to what is in it now.
 *
 * @throws IModelError `config` as `readJournal`, and for a stream that is not there.
 */
export async function readJournalStream(
  bus: Bus,
  stream: string,
  options: Pick<ReadJournalOptions, 'id'> = {},
): Promise<ReadJournal> {
  const { jetstream, jetstreamManager } = await import('@nats-io/jetstream');
  const nats = natsOf(bus);
  const { streams } = await jetstreamManager(nats, { timeout: answerMs });
  const info = await streams.info(stream).catch((cause: unknown) => {
    const message = `Cannot read the stream ${stream}: ${(cause as Error).message}`;
    throw IModelError.of('config', message, { field: 'stream', value: stream }, { cause });
  });
  const subject = options.id === undefined ? `${stream}.>` : `${stream}.${options.id}`;
  const values: unknown[] = [];
  if (info.state.messages > 0) {
    const consumer = await jetstream(nats, { timeout: answerMs }).consumers.get(stream, { filter_subjects: subject });
    let { num_pending: left } = await consumer.info();
    while (left > 0) {
      const message = await consumer.next({ expires: answerMs });
      if (message === null) break;
      left = message.info.pending;
      values.push(parsed(message.string(), `${stream}:${message.seq}`));
    }
    await consumer.delete();
  }
  const entries: JournalEntry[] = checkJournal(values, { ...options, name: `the stream ${stream}` });
  return { entries, isCutShort: false };
}

function parsed(text: string, field: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw IModelError.of('config', `${field}: expected a JSON document`, { field }, { cause });
  }
}
