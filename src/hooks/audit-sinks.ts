import { appendFile, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { NatsConnection } from 'nats';
import { refuseNoObject, refuseNoText } from '../arguments.ts';
import { IModelError } from '../errors.ts';

/** One line of an audit. */
export interface AuditRecord {
  /** Names the record: the same again is the same record. */
  readonly id: string;
  /** JSON, without a line break. */
  readonly line: string;
}

/** Where audits go. */
export interface AuditSink {
  /** Resolves when the records are safe. When it rejects, all of them are given again, later: some may then be there twice. */
  write(records: readonly AuditRecord[]): Promise<void>;
  /** Where that is, for people. */
  readonly place: string;
}

/**
 * Appends to a file of JSON lines, which only its owner may read. Its folder is made where it is missing; a file that is moved away is begun
 * anew. After a failure, or after a line that its writer could not finish, the next record begins on a line of its own.
 *
 * @throws IModelError `config` for a path that is no text.
 */
export function auditFile(path: string): AuditSink {
  refuseNoText('path', path);
  // Who wrote before may have been killed in the middle of a line.
  let isTorn: boolean | null = null;
  return {
    place: path,
    async write(records) {
      const lines = records.map(({ line }) => `${line}\n`).join('');
      try {
        await mkdir(dirname(path), { recursive: true });
        isTorn ??= await endsInLine(path);
        await appendFile(path, isTorn ? `\n${lines}` : lines, { mode: 0o600 });
        isTorn = false;
      } catch (error) {
        isTorn = true;
        throw error;
      }
    },
  };
}

/** Where in JetStream audits go. */
export interface AuditStreamOptions {
  /** The stream; it is made, on the server's disk and without limits, where it is missing. @defaultValue 'imodel-audit' */
  readonly stream?: string;
  /** The subject of the records. @defaultValue the name of the stream */
  readonly subject?: string;
  /** Milliseconds the server may take to confirm a record. @defaultValue 5,000 */
  readonly timeoutMs?: number;
}

/**
 * Appends to a JetStream stream. A record that is given again within two minutes is there once.
 *
 * @param bus - A connection of `connectNats`; it stays the caller's to close.
 * @throws IModelError `config` for a bus that is no connection to a server.
 */
export function auditStream(bus: object, options: AuditStreamOptions = {}): AuditSink {
  refuseNoObject('options', options);
  const { stream = 'imodel-audit', subject = stream, timeoutMs = 5_000 } = options;
  const nats = natsOf(bus);
  // Several may write to one stream, each on a subject of its own.
  const subjects = subject.startsWith(`${stream}.`) ? [stream, `${stream}.>`] : [subject];
  let isThere = false;
  return {
    place: `the stream ${stream}`,
    async write(records) {
      const { jetstream, jetstreamManager } = await import('@nats-io/jetstream');
      if (!isThere) {
        const { streams } = await jetstreamManager(nats, { timeout: timeoutMs });
        await streams.info(stream).catch(() => streams.add({ name: stream, subjects }));
        isThere = true;
      }
      const client = jetstream(nats, { timeout: timeoutMs });
      try {
        await Promise.all(records.map(({ id, line }) => client.publish(subject, line, { msgID: id })));
      } catch (error) {
        // Somebody may have removed it.
        isThere = false;
        throw error;
      }
    },
  };
}

/** The connection of a bus to its server. @throws IModelError `config` for a bus that has none. */
export function natsOf(bus: object): NatsConnection {
  refuseNoObject('bus', bus);
  const { connection } = bus as { readonly connection?: unknown };
  // What has a connection is a bus of `connectNats`, and this is its type there.
  if (typeof connection === 'object' && connection !== null) return connection as NatsConnection;
  const message = 'Expected `bus` to be a connection of `connectNats`: a bus inside the process has no streams';
  throw IModelError.of('config', message, { field: 'bus' });
}

/** Whether there is a file whose last line has no end. */
async function endsInLine(path: string): Promise<boolean> {
  const file = await open(path).catch(() => null);
  if (file === null) return false;
  try {
    const { size } = await file.stat();
    if (size === 0) return false;
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
    return buffer[0] !== 0x0a;
  } finally {
    await file.close();
  }
}
