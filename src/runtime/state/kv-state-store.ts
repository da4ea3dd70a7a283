import { jetstreamManager } from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import type { NatsConnection } from 'nats';
import { z } from 'zod';
import { IModelError, printValue } from '../../errors.ts';
import { generationOf, type KeptState, type StateStore } from './state-store.ts';

/** The bucket, unless another is named. */
const defaultBucket = 'imodel-state';

/** What a snapshot is cut into; servers take messages of 1 MiB unless told otherwise. In bytes. */
const partBytes = 512 * 1_024;

/** What stands at the key of an iModel: where its snapshot is. */
const snapshotHead = z.object({ generation: z.int().nonnegative(), parts: z.int().positive() });

type Head = z.infer<typeof snapshotHead>;

/**
 * Keeps states in a JetStream key-value bucket: at `<id>` how many parts the snapshot has, at `<id>.part.<generation>.<n>` those parts, and at
 * `<id>.log.<generation>.<n>` the entries of the logs. A start waits until the server has its entry.
 */
export class KvStateStore implements StateStore {
  readonly #connection: NatsConnection;
  readonly #bucket: string;
  #kv: KV;
  readonly #logs = new Map<string, { generation: number; entries: number }>();
  /** Generations that may still have keys. */
  readonly #old = new Map<string, Set<number>>();

  private constructor(connection: NatsConnection, bucket: string, kv: KV) {
    this.#connection = connection;
    this.#bucket = bucket;
    this.#kv = kv;
  }

  /** @throws IModelError `unavailable` when the server has no JetStream or does not answer. */
  static async open(connection: NatsConnection, bucket: string = defaultBucket): Promise<KvStateStore> {
    try {
      return new KvStateStore(connection, bucket, await openBucket(connection, bucket));
    } catch (cause) {
      const message = `Cannot keep states in the bucket ${bucket}: ${(cause as Error).message}`;
      throw IModelError.of('unavailable', message, { source: 'bus' }, { cause });
    }
  }

  async read(id: string): Promise<KeptState | null> {
    const place = `the bucket ${this.#bucket}, key ${id}`;
    const logs = await this.#entriesOf(id);
    const head = await this.#kv.get(id);
    const latest = logs.reduce((highest, { generation }) => Math.max(highest, generation), 0);
    this.#old.set(id, new Set(logs.map(({ generation }) => generation)));
    if (head === null || head.operation !== 'PUT') {
      this.#logs.set(id, { generation: latest, entries: 0 });
      return null;
    }
    const { generation: written, parts } = readHead(head.string(), place);
    this.#old.get(id)?.add(written);
    const read = Array.from({ length: parts }, (_, part) => this.#part(id, written, part));
    const snapshot = new TextDecoder().decode(Buffer.concat(await Promise.all(read)));
    const generation = generationOf({ snapshot, place });
    this.#logs.set(id, { generation: Math.max(generation, latest), entries: 0 });
    return { place, snapshot, log: logs.filter((log) => log.generation >= generation).map(({ entry }) => entry) };
  }

  turn(id: string): number {
    const generation = (this.#logs.get(id)?.generation ?? 0) + 1;
    this.#logs.set(id, { generation, entries: 0 });
    const old = this.#old.get(id) ?? new Set();
    this.#old.set(id, old.add(generation));
    return generation;
  }

  async append(id: string, entry: string): Promise<void> {
    const log = this.#logs.get(id);
    if (log === undefined) return;
    log.entries += 1;
    await this.#put(`${id}.log.${log.generation}.${log.entries}`, entry);
  }

  async write(id: string, generation: number, snapshot: string): Promise<void> {
    const bytes = new TextEncoder().encode(snapshot);
    const parts = Math.ceil(bytes.length / partBytes);
    for (let part = 0; part < parts; part += 1) {
      await this.#put(partKey(id, generation, part), bytes.subarray(part * partBytes, (part + 1) * partBytes));
    }
    const head: Head = { generation, parts };
    await this.#put(id, JSON.stringify(head));
    await this.#forget(id, generation);
  }

  async close(): Promise<void> {
    // Its connection is the bus's.
  }

  /** @throws IModelError `unavailable` */
  async #put(key: string, value: string | Uint8Array): Promise<void> {
    try {
      await this.#kv.put(key, value);
    } catch (error) {
      if (!isGone(error)) throw this.#refusal(error);
      try {
        this.#kv = await openBucket(this.#connection, this.#bucket);
        await this.#kv.put(key, value);
      } catch (cause) {
        throw this.#refusal(cause);
      }
    }
  }

  #refusal(cause: unknown): IModelError {
    const message = `The bucket ${this.#bucket} keeps nothing: ${(cause as Error).message}`;
    return IModelError.of('unavailable', message, { source: 'bus' }, { cause });
  }

  async #part(id: string, generation: number, part: number): Promise<Uint8Array> {
    const key = partKey(id, generation, part);
    const entry = await this.#kv.get(key);
    if (entry?.operation === 'PUT') return entry.value;
    const message = `The bucket ${this.#bucket} has lost a part of the state of ${id}: there is no key ${key}`;
    throw IModelError.of('config', message, { field: key });
  }

  async #forget(id: string, before: number): Promise<void> {
    const old = this.#old.get(id);
    if (old === undefined) return;
    const { streams } = await jetstreamManager(this.#connection);
    for (const generation of [...old].filter((candidate) => candidate < before)) {
      for (const kind of ['part', 'log']) {
        await streams.purge(`KV_${this.#bucket}`, { filter: `$KV.${this.#bucket}.${id}.${kind}.${generation}.>` });
      }
      old.delete(generation);
    }
  }

  /** In the order of their writing. */
  async #entriesOf(id: string): Promise<{ readonly generation: number; readonly entry: string }[]> {
    const found: { generation: number; order: number; entry: string }[] = [];
    for await (const { key, value, operation } of await this.#kv.history({ key: `${id}.log.>` })) {
      const [generation = 0, order = 0] = key.split('.').slice(2).map(Number);
      if (operation === 'PUT') found.push({ generation, order, entry: new TextDecoder().decode(value) });
    }
    return found.sort((one, other) => one.generation - other.generation || one.order - other.order);
  }
}

/** Whoever takes over reads what was written last, not what a replica has of it. */
function openBucket(connection: NatsConnection, bucket: string): Promise<KV> {
  return new Kvm(connection).create(bucket, { history: 1, allow_direct: false });
}

/** Whether nobody takes what is written to the bucket: somebody has deleted it, or JetStream is gone. */
function isGone(error: unknown): boolean {
  // Its class is not exported.
  return error instanceof Error && error.name === 'JetStreamNotEnabled';
}

function partKey(id: string, generation: number, part: number): string {
  return `${id}.part.${generation}.${part}`;
}

function readHead(text: string, place: string): Head {
  try {
    return snapshotHead.parse(JSON.parse(text));
  } catch (cause) {
    const message = `Expected ${place} to tell where a snapshot is, got ${printValue(text)}`;
    throw IModelError.of('config', message, { field: place, value: printValue(text) }, { cause });
  }
}
