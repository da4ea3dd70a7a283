import { type KV, type KvEntry, Kvm, type KvWatchEntry } from '@nats-io/kv';
import type { QueuedIterator } from 'nats';
import { type CallerConfig, callerName } from '../../schemas/caller.ts';
import type { BusStatus } from '../bus/bus.ts';
import type { NatsBus } from '../bus/nats-bus.ts';
import { IModelError } from '../errors.ts';
import { readCaller, writeCaller } from './written-caller.ts';

/** The bucket, unless another is named. */
const defaultBucket = 'imodel-callers';

/** How soon a watch that has ended is begun again, in milliseconds. */
const againMs = 1_000;

/** How often all is read again: the watch of a bucket that was made anew hears nothing, and does not say so. In milliseconds. */
const rereadMs = 30_000;

/** Who hears of the callers of a bucket. */
export interface KvCallersWatcher {
  /** All there are now: once at the beginning, then after every change. */
  changed(callers: ReadonlyMap<string, CallerConfig>): void;
  /** Hears of an entry that cannot be read, and is nobody's then, and of a watch that has ended. */
  failed(error: unknown): void;
}

/** Callers in a JetStream key-value bucket: at each one's name its settings, as JSON in snake_case. */
export class KvCallers {
  readonly #bus: NatsBus;
  readonly #kv: KV;
  readonly #callers = new Map<string, CallerConfig>();
  /** The latest revision that was read of each name, of those that are gone too. */
  readonly #revisions = new Map<string, number>();
  #watcher: KvCallersWatcher | null = null;
  #watching: QueuedIterator<KvWatchEntry> | null = null;
  #statuses: AsyncIterator<BusStatus> | null = null;
  #rereading: NodeJS.Timeout | undefined;

  private constructor(bus: NatsBus, kv: KV) {
    this.#bus = bus;
    this.#kv = kv;
  }

  /** @throws IModelError `unavailable` when the server has no JetStream or does not answer. */
  static async open(bus: NatsBus, bucket: string = defaultBucket): Promise<KvCallers> {
    try {
      // What was just revoked must not come back from a replica.
      return new KvCallers(bus, await new Kvm(bus.connection).create(bucket, { history: 1, allow_direct: false }));
    } catch (cause) {
      const message = `Cannot keep callers in the bucket ${bucket}: ${(cause as Error).message}`;
      throw IModelError.of('unavailable', message, { source: 'bus' }, { cause });
    }
  }

  /** Tells of the callers there are, and of every change until {@link close}. Resolves when it has told of the first. */
  async watch(watcher: KvCallersWatcher, everyMs: number = rereadMs): Promise<void> {
    this.#watcher = watcher;
    const watching = await this.#begin();
    this.#rereading = setInterval(() => void this.#readAgain(), everyMs).unref();
    void this.#follow(watching);
    void this.#readAfterBreaks();
  }

  /** All there are now, by name. Entries that cannot be read are left out. */
  async list(): Promise<ReadonlyMap<string, CallerConfig>> {
    await this.#readAll();
    return this.#callers;
  }

  /** @throws IModelError `conflict` for a name that is taken. */
  async add(name: string, config: CallerConfig): Promise<void> {
    try {
      await this.#kv.create(name, JSON.stringify(writeCaller(config)));
    } catch (cause) {
      if ((await this.#kv.get(name))?.operation !== 'PUT') throw cause;
      throw IModelError.of('conflict', `There is a caller \`${name}\` already`, {}, { cause });
    }
  }

  /** @returns Whether there was one. */
  async remove(name: string): Promise<boolean> {
    if ((await this.#kv.get(name))?.operation !== 'PUT') return false;
    await this.#kv.delete(name);
    return true;
  }

  close(): void {
    this.#watcher = null;
    clearInterval(this.#rereading);
    this.#watching?.stop();
    void this.#statuses?.return?.();
  }

  /** Watches from now on, and tells of what there is. */
  async #begin(): Promise<QueuedIterator<KvWatchEntry>> {
    const watching = await this.#kv.watch();
    this.#watching = watching;
    await this.#readAll();
    this.#watcher?.changed(this.#callers);
    return watching;
  }

  /** A watch that has ended is begun again: nobody's key may outlive it unseen. */
  async #follow(first: QueuedIterator<KvWatchEntry>): Promise<void> {
    for (let watching: QueuedIterator<KvWatchEntry> | null = first; this.#watcher !== null; ) {
      try {
        watching ??= await this.#begin();
        for await (const entry of watching) if (this.#take(entry)) this.#watcher?.changed(this.#callers);
      } catch (error) {
        this.#watcher?.failed(error);
      }
      watching = null;
      await new Promise((resolve) => setTimeout(resolve, againMs).unref());
    }
  }

  /** What happened while the connection was away. */
  async #readAfterBreaks(): Promise<void> {
    let isFirst = true;
    this.#statuses = this.#bus.status[Symbol.asyncIterator]();
    for (let next = await this.#statuses.next(); next.done !== true; next = await this.#statuses.next()) {
      if (next.value.type !== 'connected' || this.#watcher === null) continue;
      // The first status is the present one.
      if (!isFirst) await this.#readAgain();
      isFirst = false;
    }
  }

  async #readAgain(): Promise<void> {
    try {
      await this.#readAll();
      this.#watcher?.changed(this.#callers);
    } catch (error) {
      this.#watcher?.failed(error);
    }
  }

  async #readAll(): Promise<void> {
    const names = new Set(this.#callers.keys());
    for await (const name of await this.#kv.keys()) names.add(name);
    for (const name of names) {
      const entry = await this.#kv.get(name);
      // A bucket that was made anew counts from the beginning, and is to be watched anew.
      if ((entry?.revision ?? 0) < (this.#revisions.get(name) ?? 0)) {
        this.#revisions.delete(name);
        this.#watching?.stop();
      }
      if (entry !== null) this.#take(entry);
      else this.#callers.delete(name);
    }
  }

  /** @returns Whether it is news. */
  #take({ key, operation, revision, value }: KvEntry): boolean {
    if ((this.#revisions.get(key) ?? 0) >= revision) return false;
    this.#revisions.set(key, revision);
    this.#callers.delete(key);
    if (operation !== 'PUT') return true;
    try {
      if (!callerName.safeParse(key).success) throw new Error('its name is none');
      this.#callers.set(key, readCaller(JSON.parse(new TextDecoder().decode(value))));
    } catch (error) {
      const message = `The caller \`${key}\` of the bucket cannot be read: ${(error as Error).message}`;
      this.#watcher?.failed(IModelError.of('config', message, { field: key }, { cause: error }));
    }
    return true;
  }
}
