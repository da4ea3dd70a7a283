import type { Clock } from '../../actors/clock.ts';
import { type GatewayConfig, type NatsConfig, runtimeConfig, runtimeConfigBesideDicts } from '../../schemas/config.ts';
import { type CloseOptions, modelOptionNames, ownOptionNames, toSnakeCase } from '../../schemas/imodel.ts';
import { type ModelDict, modelDict } from '../../schemas/snapshot.ts';
import type { Bus } from '../bus/bus.ts';
import { createMemoryBus } from '../bus/memory.ts';
import type { NatsOptions } from '../bus/nats-options.ts';
import { nearest } from '../endpoints/nearest.ts';
import { IModelError } from '../errors.ts';
import { iModel } from '../imodel.ts';
import type { IModelOptions } from '../imodel-options.ts';
import { checked } from './checked.ts';
import { HostedStates } from './hosted-states.ts';
import type { ServedModel } from './serve.ts';

/** Seconds that running calls have when their runtime closes, unless configured. */
const defaultDrainTimeout = 30;

/** How long a bus of our own may take to send its last replies, in milliseconds. */
const lastRepliesMs = 5_000;

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
  /** The iModels, by id, in the order of the configuration. */
  readonly models: ReadonlyMap<string, iModel>;
  /**
   * Takes no more calls and ends those that wait, with `closed`, which their callers are told. Those that run are ended likewise or, with
   * `drain`, have `timeoutMs` to finish. Then a bus of its own is closed. Calling it again without `drain` ends what still runs.
   *
   * With `state`, calls that wait are kept instead, for the next process: their callers on the bus are told nothing, and hear from it.
   */
  close(options?: CloseOptions): Promise<void>;
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
  const schema = options.dicts === undefined ? runtimeConfig : runtimeConfigBesideDicts;
  const settings = checked(schema, config, 'config', 'config');
  const models = new Map<string, iModel>();
  const served: ServedModel[] = [];
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
      const dict = kept.get(model.id);
      if (dict !== undefined) model.restore(dict);
      states?.keep(model);
    }
    // Whenever it is killed from now on, there is a snapshot to go on from.
    await states?.save();
    for (const model of models.values()) served.push(model.serve(bus));
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
  const drainMs = (settings.drainTimeout ?? defaultDrainTimeout) * 1_000;
  return new HostedModels({ bus, ownsBus: options.bus === undefined, models, served, states, drainMs });
}

interface Hosted {
  readonly bus: Bus;
  readonly ownsBus: boolean;
  readonly models: ReadonlyMap<string, iModel>;
  readonly served: readonly ServedModel[];
  readonly states: HostedStates | null;
  readonly drainMs: number;
}

class HostedModels implements Runtime {
  readonly bus: Bus;
  readonly models: ReadonlyMap<string, iModel>;
  readonly #hosted: Hosted;
  #keeping: Promise<void> | null = null;
  #closing: Promise<void> | null = null;

  constructor(hosted: Hosted) {
    this.bus = hosted.bus;
    this.models = hosted.models;
    this.#hosted = hosted;
  }

  close(options: CloseOptions = {}): Promise<void> {
    const { drain = false, timeoutMs = this.#hosted.drainMs } = options;
    const { states } = this.#hosted;
    if (states !== null) return this.#closeKeeping(states, drain ? timeoutMs : 0);
    const closed = [...this.models.values()].map((model) => model.close(drain ? { drain, timeoutMs } : {}));
    this.#closing ??= this.#finish(closed);
    return this.#closing;
  }

  async save(): Promise<void> {
    await this.#hosted.states?.save();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Lets running calls end, writes down those that wait, and only then ends them here, unheard. */
  #closeKeeping(states: HostedStates, timeoutMs: number): Promise<void> {
    const { served } = this.#hosted;
    for (const host of served) host.close();
    // Asked again, it waits less long.
    const held = Promise.all([...this.models.values()].map((model) => model.live.hold(timeoutMs)));
    this.#keeping ??= held.then(async () => {
      for (const host of served) host.leave();
      try {
        await states.close();
      } finally {
        await this.#finish([...this.models.values()].map((model) => model.close()));
      }
    });
    return this.#keeping;
  }

  /** Until every call has ended its subjects stay answered: readers of streams give credit there, and new requests learn `closed`. */
  async #finish(closed: readonly Promise<void>[]): Promise<void> {
    await Promise.all(closed);
    const { bus, ownsBus, served } = this.#hosted;
    if (ownsBus) await bus.drain({ timeoutMs: lastRepliesMs });
    else await bus.flush();
    for (const model of served) model.close();
  }
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
    given.set(model.id, checked(modelDict, data, 'dict', 'config'));
  }
  return given;
}

function createModel(id: string, own: Readonly<Record<string, unknown>>, { clock, env }: RuntimeOptions): iModel {
  if (own.id !== undefined && own.id !== id) {
    throw IModelError.of('config', `models.${id}: expected \`id\` to be absent: the entry's name is the id`, {
      field: `models.${id}.id`,
    });
  }
  const given = { ...own, id, ...(clock === undefined ? {} : { clock }), ...(env === undefined ? {} : { env }) };
  try {
    // The constructor checks every option.
    return new iModel(given as IModelOptions);
  } catch (error) {
    throw IModelError.is(error) && error.failure.code === 'config' ? namingModel(id, own, error) : error;
  }
}

/** Says of which iModel a mistake is, and which option may have been meant by a field that its provider does not know. */
function namingModel(id: string, own: Readonly<Record<string, unknown>>, error: IModelError): IModelError {
  const { message, field = '' } = error.failure as Extract<IModelError['failure'], { code: 'config' }>;
  const isOurs = (modelOptionNames as readonly string[]).includes(field) || !(field in own);
  const meant = isOurs || message.includes('did you mean') ? null : nearest(field, ownOptionNames.map(toSnakeCase));
  const hint = meant === null ? '' : `; did you mean the option \`${meant}\`?`;
  const { code: _code, message: _message, ...details } = error.failure;
  const path = field === '' ? `models.${id}` : `models.${id}.${field}`;
  return IModelError.of('config', `models.${id}: ${message}${hint}`, { ...details, field: path }, { cause: error });
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
