import type { Clock } from '../../actors/clock.ts';
import { type GatewayConfig, type NatsConfig, runtimeConfig, runtimeConfigBesideDicts } from '../../schemas/config.ts';
import type { CloseOptions } from '../../schemas/imodel.ts';
import type { ModelDict } from '../../schemas/snapshot.ts';
import { refuseNoObject } from '../arguments.ts';
import type { Bus } from '../bus/bus.ts';
import { createMemoryBus } from '../bus/memory.ts';
import type { NatsOptions } from '../bus/nats-options.ts';
import { IModelError } from '../errors.ts';
import { iModel } from '../imodel.ts';
import type { IModelOptions } from '../imodel-options.ts';
import { checked } from './checked.ts';
import type { ConfigChanges } from './config-changes.ts';
import { createModel } from './create-model.ts';
import { HostedModels } from './hosted-models.ts';
import type { ServedModel } from './serving/serve.ts';
import { HostedStates } from './state/hosted-states.ts';
import type { KeptPart } from './state/part-keeper.ts';
import { readDict } from './state/read-dict.ts';

/** Which iModels a runtime hosts, and where. */
export interface RuntimeConfig {
  /** By id. One or more. */
  readonly models: Readonly<Record<string, IModelOptions>>;
  /** The NATS server to serve on. @defaultValue a bus inside this process */
  readonly nats?: NatsConfig | undefined;
  /** Where the states of the iModels outlive the process: a folder, `kv`, or `kv:` and the name of a JetStream bucket. @defaultValue nowhere */
  readonly state?: string | undefined;
  /** Seconds between two snapshots of them. @defaultValue 5 */
  readonly stateInterval?: number | undefined;
  /** Where the journals go of iModels that name no place of their own: a folder, `stream`, or `stream:` and the name of a JetStream stream. @defaultValue memory only */
  readonly journal?: string | undefined;
  /** How `startGateway` and `imodel serve` open the HTTP front door; a runtime alone opens none. */
  readonly gateway?: GatewayConfig | undefined;
  /** Seconds that running calls have in {@link Runtime.close} with `drain`. @defaultValue 30 */
  readonly drainTimeout?: number | undefined;
}

/** What of a runtime cannot be written into a file. */
export interface RuntimeOptions {
  /** Serves on this bus, which stays the caller's to close, instead of one of its own. */
  readonly bus?: Bus;
  /** Hears of faults on a bus of its own: handlers that threw, messages that were lost. @defaultValue ignores */
  readonly onError?: (error: unknown, subject: string) => void;
  /** Where the iModels take time from. @defaultValue the machine's clock */
  readonly clock?: Clock;
  /** Where keys are looked up. @defaultValue `process.env` */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Ends the waiting for the NATS server. */
  readonly signal?: AbortSignal;
  /** Dicts of iModels to host beside those of the configuration. What they were doing goes on, unless `state` knows more of it. */
  readonly dicts?: readonly unknown[];
}

/** One process with many iModels on one bus. */
export interface Runtime extends AsyncDisposable {
  readonly bus: Bus;
  /** The iModels, by id, in the order of the configuration. Changes with {@link reload}. */
  readonly models: ReadonlyMap<string, iModel>;
  /**
   * Takes no more calls and ends those that wait, with `closed`, which their callers are told. Those that run are ended likewise or, with
   * `drain`, have `timeoutMs` to finish. Then a bus of its own is closed. Calling it again without `drain` ends what still runs.
   *
   * With `state`, calls that wait are kept instead, for the next process: their callers on the bus are told nothing, and hear from it.
   */
  close(options?: CloseOptions): Promise<void>;
  /**
   * Takes on another configuration. No call is dropped:
   *
   * - an iModel that is not in it takes no new calls, works off those that it has, and is gone;
   * - one of which only a limit has changed takes that on, for calls that wait too;
   * - any other change makes another iModel of the same id, for new calls; the one before works off those that it has. Where both ask the same
   *   upstream its calls go first, and what it has used of the limits is used;
   * - `nats`, `state`, `stateInterval` and `journal` hold for as long as the runtime lives.
   *
   * An iModel that is paused stays so; calls that wait in one that goes meanwhile end with `closed`.
   *
   * @returns What was different.
   * @throws IModelError `config` for a configuration that does not fit, `closed` after {@link close}; nothing has changed then.
   */
  reload(config: RuntimeConfig): Promise<ConfigChanges>;
  /** Hears of each iModel there is, and of each that {@link reload} brings. @returns The way to hear no more. */
  watchModels(watcher: (model: iModel) => void): () => void;
  /**
   * Keeps the state of something beside the iModels, such as what the gateway's callers have used, which takes up at once what is kept of it. Without
   * `state` nothing is.
   *
   * @returns The way to write it once more, and then to keep it no more.
   * @throws IModelError `config` for what cannot be read, `conflict` for a name that is taken.
   */
  keepPart(part: KeptPart): Promise<() => Promise<void>>;
  /** Writes the states of all iModels now. Does nothing without `state`. @throws Error when one could not be written. */
  save(): Promise<void>;
}

/**
 * Hosts iModels on a bus until closed.
 *
 * @returns The runtime, when every iModel answers.
 * @throws IModelError `config`, naming the iModel and the option; `unavailable` or `unauthorized` when the NATS server cannot be used.
 *
 * @example
 * ```ts
 * await using runtime = await createRuntime({ models: { gpt: { model: 'openai/gpt-4o-mini', limitRequests: 100 } } });
 * const call = await connect(runtime.bus).model('gpt').invoke('hello');
 * ```
 */
export async function createRuntime(config: RuntimeConfig, options: RuntimeOptions = {}): Promise<Runtime> {
  refuseNoObject('options', options);
  const schema = options.dicts === undefined ? runtimeConfig : runtimeConfigBesideDicts;
  const settings = checked(schema, config, 'config', 'config');
  const models = new Map<string, iModel>();
  const served = new Map<iModel, ServedModel>();
  let bus: Bus | undefined;
  let states: HostedStates | null = null;
  try {
    // Every mistake in the configuration is found before anybody waits for a server; only what needs the bus is made after it.
    const entries = Object.entries(settings.models);
    for (const [id, own] of entries) if (own.endpoint !== 'remote') models.set(id, createModel(id, own, options));
    bus = options.bus ?? (await openBus(settings.nats, options));
    for (const [id, own] of entries) {
      const model = models.get(id) ?? createModel(id, { ...own, bus }, options);
      // Setting it again keeps the order of the configuration.
      models.delete(id);
      models.set(id, model);
    }
    const given = addDicts(models, bus, options);
    if (settings.state !== undefined) states = await HostedStates.open(settings.state, bus, settings, options);
    const kept = new Map([...given, ...((await states?.read(models.values())) ?? [])]);
    for (const model of models.values()) {
      if (settings.journal !== undefined) model.live.journal.writeTo(settings.journal, bus);
      const dict = kept.get(model.id);
      if (dict !== undefined) model.restore(dict);
      states?.keep(model);
    }
    // Whenever it is killed from now on, there is a snapshot to go on from.
    await states?.save();
    for (const model of models.values()) served.set(model, model.serve(bus));
    // Subscriptions are in place when the server has taken them.
    await bus.flush();
    for (const id of kept.keys()) models.get(id)?.live.begin();
  } catch (error) {
    // What ends now has not ended for the next process.
    await states?.abandon();
    await Promise.all([...models.values()].map((model) => model.close()));
    if (bus !== undefined && options.bus === undefined) await bus.close();
    throw error;
  }
  // The schema types the options of an iModel as a plain record; its constructor has checked them.
  return new HostedModels({ config: settings as RuntimeConfig, options, bus, models, served, states });
}

/** Makes the iModels of dicts, which go on once they are served. @returns What each is to go on with. */
function addDicts(models: Map<string, iModel>, bus: Bus, { dicts = [], clock, env }: RuntimeOptions) {
  const given = new Map<string, ModelDict>();
  for (const data of dicts) {
    const isObject = typeof data === 'object' && data !== null && !Array.isArray(data);
    // What it was doing is checked with the rest.
    const model = iModel.fromDict(isObject ? { ...data, state: undefined } : data, { clock, env, bus });
    if (models.has(model.id)) {
      const message = `Expected one iModel of the id ${model.id}, got another in a dict`;
      throw IModelError.of('config', message, { field: 'id', value: model.id });
    }
    models.set(model.id, model);
    // Its fallbacks have what was theirs already.
    given.set(model.id, { ...readDict(data as object), fallbacks: [] });
  }
  return given;
}

async function openBus(nats: NatsConfig | undefined, options: RuntimeOptions): Promise<Bus> {
  const { onError, signal, env = process.env } = options;
  const reporting = onError === undefined ? {} : { onError };
  if (nats === undefined) return createMemoryBus(reporting);
  const { connectNats } = await import('../bus/nats.ts');
  return connectNats({ ...natsOptions(nats, env), ...reporting, ...(signal === undefined ? {} : { signal }) });
}

/** The options of a connection: written secrets may be the names of variables. */
function natsOptions(nats: NatsConfig, env: Readonly<Record<string, string | undefined>>): NatsOptions {
  const secret = (text: string | undefined): string | undefined => (text === undefined ? undefined : env[text] || text);
  const given = { ...nats, password: secret(nats.password), token: secret(nats.token) };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}
