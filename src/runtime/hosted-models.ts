import { runtimeConfig } from '../../schemas/config.ts';
import type { CloseOptions } from '../../schemas/imodel.ts';
import type { Bus } from '../bus/bus.ts';
import { within } from '../bus/within.ts';
import { IModelError } from '../errors.ts';
import type { iModel } from '../imodel.ts';
import { checked } from './checked.ts';
import { type ConfigChanges, configChanges, haveSameUpstream, limitNames, withLasting } from './config-changes.ts';
import { createModel } from './create-model.ts';
import { follow, holdCalls, untilIdle } from './model/handover.ts';
import type { Runtime, RuntimeConfig, RuntimeOptions } from './runtime.ts';
import type { ServedModel } from './serving/serve.ts';
import type { HostedStates } from './state/hosted-states.ts';
import type { KeptPart } from './state/part-keeper.ts';

/** Seconds that running calls have when their runtime closes, unless configured. */
const defaultDrainTimeout = 30;

/** How long a bus of our own may take to send its last replies, in milliseconds. */
const lastRepliesMs = 5_000;

/** How long the readers of the last streams of an iModel may still ask for what they missed, in milliseconds. */
const lastReadersMs = 5_000;

/** What a {@link HostedModels} is made from. */
export interface HostedModelsOptions {
  readonly config: RuntimeConfig;
  readonly options: RuntimeOptions;
  readonly bus: Bus;
  readonly models: Map<string, iModel>;
  readonly served: Map<iModel, ServedModel>;
  readonly states: HostedStates | null;
}

/** iModels that answer on a bus, and those that were replaced and still have calls. */
export class HostedModels implements Runtime {
  readonly bus: Bus;
  readonly #models: Map<string, iModel>;
  /** Those that work off their last calls are in it too. */
  readonly #served: Map<iModel, ServedModel>;
  readonly #states: HostedStates | null;
  readonly #options: RuntimeOptions;
  readonly #watchers = new Set<(model: iModel) => void>();
  #config: RuntimeConfig;
  #reloading: Promise<unknown> = Promise.resolve();
  #isClosing = false;
  #keeping: Promise<void> | null = null;
  #closing: Promise<void> | null = null;

  constructor({ config, options, bus, models, served, states }: HostedModelsOptions) {
    this.bus = bus;
    this.#models = models;
    this.#served = served;
    this.#states = states;
    this.#options = options;
    this.#config = config;
  }

  get models(): ReadonlyMap<string, iModel> {
    return this.#models;
  }

  watchModels(watcher: (model: iModel) => void): () => void {
    for (const model of this.#models.values()) watcher(model);
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  reload(config: RuntimeConfig): Promise<ConfigChanges> {
    const done = this.#reloading.catch(() => {}).then(() => this.#reload(config));
    this.#reloading = done;
    return done;
  }

  close(options: CloseOptions = {}): Promise<void> {
    const { drain = false, timeoutMs = (this.#config.drainTimeout ?? defaultDrainTimeout) * 1_000 } = options;
    this.#isClosing = true;
    if (this.#states !== null) return this.#closeKeeping(this.#states, drain ? timeoutMs : 0);
    const closed = [...this.#served.keys()].map((model) => model.close(drain ? { drain, timeoutMs } : {}));
    this.#closing ??= this.#finish(closed);
    return this.#closing;
  }

  async save(): Promise<void> {
    await this.#states?.save();
  }

  async keepPart(part: KeptPart): Promise<() => Promise<void>> {
    return this.#states === null ? async () => {} : this.#states.keepPart(part);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #reload(config: RuntimeConfig): Promise<ConfigChanges> {
    const after = checked(runtimeConfig, config, 'config', 'config') as RuntimeConfig;
    this.#refuseClosing();
    const before = this.#config;
    const changes = configChanges(before, after);
    // Whatever may be wrong is found before anything changes.
    const fresh = new Map<string, iModel>();
    try {
      for (const id of [...changes.added, ...changes.changed, ...changes.limited]) {
        this.#refuseTaken(id, before);
        fresh.set(id, createModel(id, this.#onBus(after, id), this.#options));
      }
      // What still works off its calls is not to be gone on with.
      const working = new Set([...this.#served.keys()].map(({ id }) => id));
      const added = changes.added.filter((id) => !working.has(id)).flatMap((id) => fresh.get(id) ?? []);
      const kept = (await this.#states?.read(added)) ?? new Map();
      this.#refuseClosing();
      for (const [id, dict] of kept) fresh.get(id)?.restore(dict);
    } catch (error) {
      await Promise.all([...fresh.values()].map((model) => model.close()));
      throw error;
    }
    for (const id of changes.limited) {
      // It was made to see whether its options fit.
      void fresh.get(id)?.close();
      this.#models.get(id)?.setLimits(limitsIn(after, id));
    }
    const going = [...changes.removed, ...changes.changed].map((id) => this.#models.get(id) as iModel);
    for (const id of changes.removed) this.#models.delete(id);
    for (const id of changes.changed) {
      const model = fresh.get(id) as iModel;
      const old = this.#models.get(id) as iModel;
      if (old.status === 'paused') model.pause();
      this.#host(model);
      if (haveSameUpstream(before.models[id] ?? {}, after.models[id] ?? {})) void follow(model.live, old.live);
    }
    for (const id of changes.added) {
      const model = fresh.get(id) as iModel;
      this.#host(model);
      model.live.begin();
    }
    this.#order(Object.keys(after.models));
    this.#config = withLasting(before, after);
    // Nobody finds nobody: those that come answer before those that go fall silent.
    await this.bus.flush();
    for (const model of going) this.#retire(model);
    await this.bus.flush();
    return changes;
  }

  #onBus({ models }: RuntimeConfig, id: string): Readonly<Record<string, unknown>> {
    const own = models[id] ?? {};
    return own.endpoint === 'remote' ? { ...own, bus: this.bus } : own;
  }

  #host(model: iModel): void {
    for (const other of this.#served.keys()) if (other.id === model.id) this.#states?.release(other);
    this.#models.set(model.id, model);
    if (this.#config.journal !== undefined) model.live.journal.writeTo(this.#config.journal, this.bus);
    this.#states?.keep(model);
    this.#served.set(model, model.serve(this.bus));
    for (const watcher of this.#watchers) watcher(model);
  }

  /** Lets an iModel that has lost its place end the calls that it has, and closes it. */
  #retire(model: iModel): void {
    const host = this.#served.get(model);
    host?.close();
    const end = async (): Promise<void> => {
      // Calls that wait in one that is paused would wait for ever.
      if (model.status === 'paused') await model.close({ drain: true });
      await untilIdle(model.live);
      await this.#states?.finish(model);
      await new Promise((resolve) => unref(model.live.clock.setTimeout(() => resolve(null), lastReadersMs)));
      // Its successor goes on: nobody is to hear that the iModel is closed.
      if (this.#models.has(model.id)) host?.leave();
      await model.close();
      this.#served.delete(model);
    };
    end().catch((error: unknown) => this.#options.onError?.(error, `imodel.${model.id}`));
  }

  /** In the order of the configuration, before those that came from elsewhere. */
  #order(ids: readonly string[]): void {
    const others = [...this.#models.keys()].filter((id) => !ids.includes(id));
    for (const id of [...ids, ...others]) {
      const model = this.#models.get(id) as iModel;
      this.#models.delete(id);
      this.#models.set(id, model);
    }
  }

  #refuseTaken(id: string, before: RuntimeConfig): void {
    if (Object.hasOwn(before.models, id) || !this.#models.has(id)) return;
    const message = `models.${id}: expected an id that no other iModel here has`;
    throw IModelError.of('config', message, { field: `models.${id}`, value: id });
  }

  #refuseClosing(): void {
    if (this.#isClosing) throw IModelError.of('closed', 'The runtime is closed', {});
  }

  /** Lets running calls end, writes down those that wait, and only then ends them here, unheard. */
  #closeKeeping(states: HostedStates, timeoutMs: number): Promise<void> {
    const served = [...this.#served];
    for (const [, host] of served) host.close();
    // Asked again, it waits less long.
    const open = served.filter(([model]) => model.status !== 'closed');
    const held = Promise.all(open.map(([model]) => holdCalls(model.live, timeoutMs)));
    this.#keeping ??= held.then(async () => {
      for (const [, host] of served) host.leave();
      try {
        await states.close();
      } finally {
        await this.#finish(served.map(([model]) => model.close()));
      }
    });
    return this.#keeping;
  }

  /** Until every call has ended its subjects stay answered: readers of streams give credit there, and new requests learn `closed`. */
  async #finish(closed: readonly Promise<void>[]): Promise<void> {
    await Promise.all(closed);
    if (this.#options.bus === undefined) await this.bus.drain({ timeoutMs: lastRepliesMs });
    // A server that is away would hold up the end until it is back.
    else await within(this.bus.flush(), lastRepliesMs);
    for (const host of this.#served.values()) host.close();
  }
}

function limitsIn({ models }: RuntimeConfig, id: string): Record<string, unknown> {
  return Object.fromEntries(limitNames.map((name) => [name, models[id]?.[name]]));
}

/** A process need not live for this timer. */
function unref(timer: unknown): void {
  if (timer instanceof Object && 'unref' in timer && typeof timer.unref === 'function') timer.unref();
}
