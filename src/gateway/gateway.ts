import type { AddressInfo } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type GatewayConfig, gatewayConfig } from '../../schemas/config.ts';
import { refuseNoObject, refuseStranger } from '../arguments.ts';
import type { Bus } from '../bus/bus.ts';
import type { Caller } from '../callers/caller.ts';
import type { HeldCall } from '../callers/caller-book.ts';
import { OpenCallers } from '../callers/open-callers.ts';
import { IModelError } from '../errors.ts';
import type { iModel } from '../imodel.ts';
import { checked } from '../runtime/checked.ts';
import type { KeptPart } from '../runtime/state/part-keeper.ts';
import { checkAccess } from './access.ts';
import { addCallers } from './callers.ts';
import { chatCompletions } from './chat-completions.ts';
import { countTokens } from './count-tokens.ts';
import type { Shape } from './dialect.ts';
import { Directory } from './directory.ts';
import { embeddings } from './embeddings.ts';
import { type ExchangeSettings, fieldsOf, runExchange } from './exchange.ts';
import { takeForms } from './form.ts';
import { addHealth } from './health.ts';
import { addModels } from './imodels.ts';
import { addKeptStreams, KeptStreams } from './kept-streams.ts';
import { isLocalOnly } from './loopback.ts';
import { imageEdits, imageGenerations, speech, transcriptions, translations } from './media.ts';
import { messages } from './messages.ts';
import { addMetrics } from './metrics/metrics.ts';
import { addModelList } from './model-list.ts';
import { responses } from './responses.ts';
import { createServer } from './server.ts';
import { findModel, refuseUnknown, type Target, targetOf } from './target.ts';
import { addTraces } from './traces.ts';

/** What a gateway is the front door of: a runtime, or anything with iModels. */
export interface GatewayHost {
  readonly models: ReadonlyMap<string, iModel>;
  /** Tells of each iModel there is and of each that comes; without it none comes. @returns The way to hear no more. */
  watchModels?(watcher: (model: iModel) => void): () => void;
  /** Keeps what the callers have used beside the states of the iModels; without it their limits begin anew with every gateway. */
  keepPart?(part: KeptPart): Promise<() => Promise<void>>;
  /** What the dashboard watches; without a bus there is none. */
  readonly bus?: Bus;
}

/** What of a gateway cannot be written into a file. */
export interface GatewayOptions {
  /** Hears of faults inside the gateway itself. @defaultValue ignores */
  readonly onError?: (error: unknown) => void;
  /** Where replies to the dashboard arrive, if it may not use the usual place. @defaultValue '_INBOX' */
  readonly inboxPrefix?: string | undefined;
}

/** An open front door. */
export interface Gateway extends AsyncDisposable {
  /** Where it listens, such as `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly port: number;
  /** Whether its callers are configured, so that requests need a key. */
  readonly hasCallers: boolean;
  /**
   * Takes on other settings, for requests that come from now on.
   *
   * @returns The names of those that are different, and hold only from the next start on.
   * @throws IModelError `config` for one that does not fit; nothing has changed then.
   */
  reload(config: GatewayConfig): readonly string[];
  /**
   * Takes no more connections and resolves when the requests that run have been answered. Their calls are not ended: closing the runtime does that.
   */
  close(): Promise<void>;
}

/** Settings that an open gateway cannot take on. */
const lastingNames = [
  'host',
  'port',
  'bodyLimit',
  'headersTimeout',
  'requestTimeout',
  'dashboard',
  'callersFrom',
] as const;

/** What each path answers. */
const shapes: Readonly<Record<string, Shape>> = {
  '/v1/chat/completions': chatCompletions,
  '/v1/messages': messages,
  '/v1/responses': responses,
  '/v1/embeddings': embeddings,
  '/v1/audio/speech': speech,
  '/v1/audio/transcriptions': transcriptions,
  '/v1/audio/translations': translations,
  '/v1/images/generations': imageGenerations,
  '/v1/images/edits': imageEdits,
};

/**
 * Opens the HTTP front door of a runtime's iModels: their clients need to know a base URL, and nothing of iModels. Calls go to the actors in
 * this process directly, and over the bus to the iModels that other processes serve there.
 *
 * @param host - Stays the caller's to close.
 * @throws IModelError `config` for an option that does not fit, or an address that others can reach without callers; `unavailable` when the port is taken.
 *
 * @example
 * ```ts
 * await using runtime = await createRuntime({ models: { gpt: { model: 'openai/gpt-4o-mini' } } });
 * await using gateway = await startGateway(runtime, { port: 8080 });
 * ```
 */
export async function startGateway(
  host: GatewayHost,
  config: GatewayConfig = {},
  options: GatewayOptions = {},
): Promise<Gateway> {
  refuseNoHost(host);
  refuseNoObject('options', options);
  const { onError = () => {}, inboxPrefix } = options;
  const settings = checked(gatewayConfig, config, 'gateway option', 'config');
  const address = settings.host ?? '127.0.0.1';
  refuseOpenDoor(address, settings);
  const callers = await OpenCallers.open(settings, host, onError);
  const { book } = callers;
  const { server, stop } = await createServer(settings, { check: (request) => checkAccess(request, book), onError });
  addTraces(server);
  addHealth(server, host, book);
  const directory = new Directory(host.bus ?? null, { inboxPrefix, isHere: (id) => host.models.has(id) });
  addModelList(server, host, directory);
  addModels(server, host, { directory, book });
  addCallers(server, book);
  const current = { times: timesOf(settings) };
  addCalls(server, { models: host.models, directory, current });
  await addMetrics(server, host, book);
  if (host.bus !== undefined && settings.dashboard !== false) {
    const { addDashboard } = await import('../dashboard/dashboard.ts');
    const held = (): readonly HeldCall[] => book.held();
    await addDashboard(server, { bus: host.bus, slowReaderMs: slowReaderMsOf(settings), inboxPrefix, held });
  }
  // Whoever asks first need not wait for the bus.
  void directory.list();
  const port = await listen(server, address, settings.port ?? 8_080).catch(async (error: unknown) => {
    callers.close();
    directory.close();
    await callers.letGo();
    throw error;
  });
  const reload = (next: GatewayConfig): readonly string[] => {
    const other = checked(gatewayConfig, next, 'gateway option', 'config');
    refuseOpenDoor(address, other);
    book.write(other.callers ?? {});
    current.times = timesOf(other);
    return lastingNames.filter((setting) => other[setting] !== settings[setting]);
  };
  const close = async (): Promise<void> => {
    stop();
    callers.close();
    await server.close();
    directory.close();
    await callers.letGo();
  };
  const name = address.includes(':') ? `[${address}]` : address;
  return {
    url: `http://${name}:${port}`,
    port,
    get hasCallers() {
      return book.isInUse;
    },
    reload,
    close,
    [Symbol.asyncDispose]: close,
  };
}

function timesOf(settings: GatewayConfig): ExchangeSettings {
  return {
    queueTimeoutMs: (settings.queueTimeout ?? 60) * 1_000,
    keepAliveMs: (settings.keepAlive ?? 15) * 1_000,
    slowReaderMs: slowReaderMsOf(settings),
  };
}

interface CallsOptions {
  readonly models: GatewayHost['models'];
  readonly directory: Directory;
  readonly current: { readonly times: ExchangeSettings };
}

function addCalls(server: FastifyInstance, { models, directory, current }: CallsOptions): void {
  const kept = new KeptStreams();
  addKeptStreams(server, models, { kept, times: () => current.times });
  const targets = new WeakMap<iModel, Target>();
  const find = async (name: unknown, caller: Caller | null): Promise<Target> => {
    const mayUse = (id: string): boolean => caller === null || caller.mayUse(id);
    // Those of this process first: a call to them does not touch the bus.
    const model =
      findModel(models, name, mayUse) ??
      findModel(directory.known(), name, mayUse) ??
      findModel(await directory.listFor(String(name)), name, mayUse) ??
      refuseUnknown(name, [...models.keys(), ...directory.known().keys()].filter(mayUse));
    const known = targets.get(model) ?? targetOf(model);
    targets.set(model, known);
    return known;
  };
  for (const [path, shape] of Object.entries(shapes)) {
    const handler = async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
      const body = fieldsOf(request.body);
      const target = await find(body.model, request.caller);
      request.target = target;
      return runExchange({ request, reply, shape, target, body, kept, settings: current.times });
    };
    const options = { config: { dialect: shape.dialect, access: 'caller' } } as const;
    if (shape.isForm !== true) server.post(path, options, handler);
    else {
      void server.register(async (forms) => {
        takeForms(forms);
        forms.post(path, options, handler);
      });
    }
  }
  const options = { config: { dialect: messages.dialect, access: 'caller' } } as const;
  server.post('/v1/messages/count_tokens', options, async (request) => {
    const body = fieldsOf(request.body);
    return countTokens(body, await find(body.model, request.caller));
  });
}

function slowReaderMsOf({ slowReaderTimeout = 60 }: GatewayConfig): number {
  return slowReaderTimeout * 1_000;
}

function refuseNoHost(host: GatewayHost): void {
  refuseNoObject('host', host);
  refuseStranger('models', host.models);
  if (host.bus !== undefined) refuseStranger('bus', host.bus);
}

/** Without keys whoever reaches the address can spend the vendors' money. */
function refuseOpenDoor(host: string, { callers = {}, callersFrom }: GatewayConfig): void {
  if (isLocalOnly(host) || callersFrom !== undefined || Object.keys(callers).length > 0) return;
  const message = `Expected \`host\` to be an address of this machine alone, such as 127.0.0.1, as no callers are configured (\`imodel keys create\` makes one); got \`${host}\``;
  throw IModelError.of('config', message, { field: 'gateway.host', value: host });
}

async function listen(server: FastifyInstance, host: string, port: number): Promise<number> {
  try {
    await server.listen({ host, port });
  } catch (cause) {
    await server.close();
    const { code, message: said } = cause as NodeJS.ErrnoException;
    const why = code === 'EADDRINUSE' ? 'another program has this port; choose another `port`' : said;
    const message = `The gateway cannot listen on ${host}:${port}: ${why}`;
    throw IModelError.of('unavailable', message, { source: 'runtime' }, { cause });
  }
  return (server.server.address() as AddressInfo).port;
}
