import type { ModelDict } from '../../../schemas/snapshot.ts';
import { type NodeState, nodeState } from '../../../schemas/state.ts';
import type { Bus } from '../../bus/bus.ts';
import { subjects } from '../../bus/subjects.ts';
import { IModelError } from '../../errors.ts';
import type { iModel } from '../../imodel.ts';
import { FileStateStore } from './file-state-store.ts';
import { type KeptPart, PartKeeper } from './part-keeper.ts';
import { keptDict, StateKeeper } from './state-keeper.ts';
import type { StateStore } from './state-store.ts';

/** Seconds between two snapshots, unless configured. */
const defaultInterval = 5;

/** How long another host may take to say that it is there, in milliseconds. Where there is none the server says so at once. */
const otherHostMs = 1_000;

/** The part of a runtime's options that tells how states are kept. */
interface HostedStatesOptions {
  readonly onError?: (error: unknown, subject: string) => void;
}

/** The states of a runtime's iModels, in one store. */
export class HostedStates {
  readonly #store: StateStore;
  readonly #keepers = new Map<iModel, StateKeeper>();
  readonly #parts = new Map<string, PartKeeper>();
  readonly #intervalMs: number;
  readonly #onError: (error: unknown, subject: string) => void;
  /** Where others could host the same iModels and keep them in the same place; null where nobody can. */
  readonly #shared: Bus | null;

  private constructor(
    store: StateStore,
    intervalMs: number,
    onError: (error: unknown, subject: string) => void,
    shared: Bus | null,
  ) {
    this.#store = store;
    this.#intervalMs = intervalMs;
    this.#onError = onError;
    this.#shared = shared;
  }

  /**
   * Opens a store.
   *
   * @param place - A folder, `kv`, or `kv:` and the name of a bucket.
   * @throws IModelError `config` for a folder that cannot be used, and for a bucket on a bus without a server; `unavailable` for a server
   * without JetStream.
   */
  static async open(
    place: string,
    bus: Bus,
    { stateInterval = defaultInterval }: { readonly stateInterval?: number | undefined },
    { onError = () => {} }: HostedStatesOptions,
  ): Promise<HostedStates> {
    const isBucket = bucketIn(place) !== null;
    return new HostedStates(await openStore(place, bus), stateInterval * 1_000, onError, isBucket ? bus : null);
  }

  /**
   * What is kept of these iModels, by id.
   *
   * @throws IModelError `config`, naming place and path, for what cannot be read, and for an iModel that another process hosts and keeps.
   */
  async read(models: Iterable<iModel>): Promise<Map<string, ModelDict>> {
    const dicts = new Map<string, ModelDict>();
    for (const model of models) {
      if (this.#shared !== null) await refuseOtherHost(this.#shared, model.id);
      const kept = await this.#store.read(model.id);
      if (kept !== null) dicts.set(model.id, keptDict(kept, model));
    }
    return dicts;
  }

  /** Keeps the state of an iModel from now on. */
  keep(model: iModel): void {
    const onError = (error: unknown) => this.#onError(error, `state of ${model.id}`);
    const keeper = new StateKeeper({ model, store: this.#store, intervalMs: this.#intervalMs, onError });
    this.#keepers.set(model, keeper);
    keeper.begin();
  }

  /**
   * Keeps the state of something beside the iModels from now on, which takes up at once what is kept of it.
   *
   * @returns The way to write it once more, and then to keep it no more.
   * @throws IModelError `config` for what cannot be read, `conflict` for a name that is taken.
   */
  async keepPart(part: KeptPart): Promise<() => Promise<void>> {
    const { name } = part;
    if (this.#parts.has(name)) throw IModelError.of('conflict', `The state of ${name} is kept already`, {});
    const onError = (error: unknown) => this.#onError(error, `state of ${name}`);
    const keeper = await PartKeeper.open({ part, store: this.#store, intervalMs: this.#intervalMs, onError });
    this.#parts.set(name, keeper);
    return async () => {
      if (this.#parts.get(name) === keeper) this.#parts.delete(name);
      await keeper.close();
    };
  }

  /** Keeps the state of an iModel no more: another one has its place. */
  release(model: iModel): void {
    this.#keepers.get(model)?.abandon();
    this.#keepers.delete(model);
  }

  /** Writes the last snapshot of an iModel that is gone. Does nothing for one that was released. */
  async finish(model: iModel): Promise<void> {
    const keeper = this.#keepers.get(model);
    this.#keepers.delete(model);
    await keeper?.close();
  }

  /** Writes all snapshots now. */
  async save(): Promise<void> {
    await Promise.all([...this.#keepers.values(), ...this.#parts.values()].map((keeper) => keeper.save()));
  }

  /** Writes the last snapshots, and keeps nothing more. */
  async close(): Promise<void> {
    try {
      await Promise.all([...this.#keepers.values(), ...this.#parts.values()].map((keeper) => keeper.close()));
    } finally {
      await this.#store.close();
    }
  }

  /** Keeps nothing more, and leaves what is written as it is. */
  async abandon(): Promise<void> {
    for (const keeper of [...this.#keepers.values(), ...this.#parts.values()]) keeper.abandon();
    await this.#store.close();
  }
}

/** The bucket that a place names, `kv` for the usual one; null for a folder. */
function bucketIn(place: string): RegExpExecArray | null {
  return /^kv(?::(.+))?$/.exec(place);
}

/** Two that keep one iModel would each send the calls that wait, and write over what the other has written. */
async function refuseOtherHost(bus: Bus, id: string): Promise<void> {
  let other: NodeState | undefined;
  try {
    const reply = await bus.request(subjects.state(id), {}, { timeoutMs: otherHostMs });
    other = nodeState.safeParse(reply.value()).data;
  } catch {
    // Nobody is there.
    return;
  }
  if (other === undefined || other.mode === 'closed') return;
  const message = `Expected no other host of ${id} where \`state\` is a bucket, but ${other.node} serves it: one of the two would send the other's calls again`;
  throw IModelError.of('config', message, { field: 'state' });
}

async function openStore(place: string, bus: Bus): Promise<StateStore> {
  const bucket = bucketIn(place);
  if (bucket === null) return FileStateStore.open(place);
  const { NatsBus } = await import('../../bus/nats-bus.ts');
  if (!(bus instanceof NatsBus)) {
    const message = `Expected \`nats\` beside \`state: ${place}\`: the bucket is on a server; a bus inside the process has none`;
    throw IModelError.of('config', message, { field: 'state', value: place });
  }
  const { KvStateStore } = await import('./kv-state-store.ts');
  return KvStateStore.open(bus.connection, bucket[1]);
}
