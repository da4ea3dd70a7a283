import { type Command, InvalidArgumentError } from 'commander';
import type { Gateway } from '../gateway/gateway.ts';
import { loadConfig } from '../runtime/load-config.ts';
import { createRuntime, type Runtime, type RuntimeConfig } from '../runtime/runtime.ts';
import { secretsIn } from '../telemetry/redaction.ts';
import { defaultNatsUrl } from './connection.ts';
import { withoutLogin } from './format.ts';
import { listenForInterrupt } from './interrupt.ts';
import { createJsonLog } from './json-log.ts';
import {
  addNatsOptions,
  connectionOptions,
  type Finish,
  jsonOption,
  type NatsFlags,
  parseDuration,
  parseDurationOrZero,
} from './options.ts';
import { Progress } from './progress.ts';
import { Reloading, type ReloadingOptions } from './reloading.ts';
import { exitCodes, UsageError } from './report-error.ts';
import { createTextLog, type ServeLog } from './serve-log.ts';
import { inFile } from './target.ts';

/** How long calls may take to end when nobody wants to wait for them, in milliseconds. */
const hastyEndMs = 1_000;

/** Seconds for running calls, as in `createRuntime`. */
const defaultDrainTimeout = 30;

/** What a serving command is told beside which iModels to serve. */
export interface HostFlags extends NatsFlags {
  readonly drain?: number;
  readonly port?: number;
  readonly host?: string;
  readonly state?: string;
  readonly stateInterval?: number;
  readonly journal?: string;
  readonly json?: boolean;
}

interface ServeFlags extends HostFlags {
  readonly config?: string;
  readonly model?: string;
  readonly id?: string;
  readonly demo?: boolean;
}

/** Where the iModels of a serving command come from. */
export interface HostSource {
  readonly config: RuntimeConfig;
  /** The file they are written in; null for flags. */
  readonly file: string | null;
  readonly dicts?: readonly unknown[];
  /** Hears what is to be told. @defaultValue lines on stdout */
  readonly log?: ServeLog;
  /** Runs when every iModel answers. @returns What ends it when the process is told to end. */
  readonly onReady?: (runtime: Runtime) => () => void;
}

/** `imodel serve`: a process that hosts iModels until it is told to end. */
export function addServe(program: Command, finish: Finish): void {
  const command = program
    .command('serve')
    .description('host iModels on a bus until interrupted; without --config and --model a scripted one')
    .option('-c, --config <file>', 'YAML or JSON file with the iModels')
    .option('-m, --model <model>', 'host one model, such as openai/gpt-4o-mini')
    .option('--id <id>', 'the id of --model', 'demo')
    .option('--demo', 'host scripted iModels and call them now and then, so that there is something to see');
  addHostOptions(command).action(async (flags: ServeFlags) => finish(await serve(flags)));
}

/** Gives a command the flags of serving. */
export function addHostOptions(command: Command): Command {
  return addNatsOptions(command, 'NATS server to serve on; without it a bus inside this process')
    .option('--state <place>', 'keep what the iModels are doing, and go on with it: a folder, kv, or kv:<bucket>')
    .option('--state-interval <time>', 'time between two snapshots (default: 5)', parseDuration)
    .option('--journal <place>', 'write down what the iModels hear: a folder, stream, or stream:<name>')
    .option('--drain <time>', 'time for running calls when told to end (default: 30)', parseDurationOrZero)
    .option('--port <port>', 'open the HTTP gateway on this port; 0 takes a free one', parsePort)
    .option('--host <address>', 'where the HTTP gateway listens (default: 127.0.0.1)')
    .addOption(jsonOption('log JSON, one object a line'));
}

async function serve(flags: ServeFlags): Promise<number> {
  if (flags.config !== undefined && flags.model !== undefined) {
    throw new UsageError('Expected either --config or --model, got both');
  }
  if (flags.demo === true) return serveDemo(flags);
  const config = flags.config === undefined ? oneModel(flags) : await loadConfig(flags.config);
  return host({ config, file: flags.config ?? null }, flags);
}

async function serveDemo(flags: ServeFlags): Promise<number> {
  if (flags.config !== undefined || flags.model !== undefined) {
    throw new UsageError('Expected --demo without --config and --model: it hosts iModels of its own');
  }
  const { demoModels, startDemoTraffic } = await import('./demo-traffic.ts');
  const onReady = ({ bus }: Runtime): (() => void) => startDemoTraffic(bus);
  return host({ config: { models: demoModels() }, file: null, onReady }, flags);
}

/** Hosts iModels until the program is told to end. @returns Its exit code. */
export async function host(source: HostSource, flags: HostFlags): Promise<number> {
  const config = withFlags(source.config, flags);
  const log = source.log ?? (await createLog(config, flags));
  let again = (_code: number): void => {};
  let reloading: Reloading | null = null;
  const onHangup = isReloadable(source) ? () => reloading?.now() : undefined;
  const interrupt = listenForInterrupt({ onSecond: (code) => again(code), onHangup, outlivesReader: true });
  again = (code) => process.exit(code);
  let runtime: Runtime;
  let gateway: Gateway | null;
  try {
    runtime = await start({ ...source, config }, flags, log, interrupt.signal);
    gateway = await openGateway(runtime, config, log);
  } catch (error) {
    if (interrupt.exitCode === null) throw error;
    return interrupt.exitCode;
  }
  runtime.watchModels((model) =>
    model.live.events.observe((type, make, call) => log.tells(type) && log.event(make(), model, call)),
  );
  void tellConnection(runtime, log);
  reloading = reloadingOf(source, flags, { config, runtime, gateway, log });
  await reloading?.start();
  log.ready(runtime.models, place(config), gateway);
  const stop = source.onReady?.(runtime);
  await aborted(interrupt.signal);
  stop?.();
  await reloading?.close();

  let code: number = exitCodes.ok;
  again = (signalCode) => {
    code = signalCode;
    again = (next) => process.exit(next);
    setTimeout(() => process.exit(signalCode), hastyEndMs).unref();
    void runtime.close();
  };
  const limitMs = flags.drain ?? (config.drainTimeout ?? defaultDrainTimeout) * 1_000;
  log.stopping(
    [...runtime.models.values()].reduce((sum, model) => sum + model.state.running, 0),
    limitMs,
  );
  const shut = gateway?.close();
  await runtime.close({ drain: true, timeoutMs: limitMs });
  await shut;
  log.stopped();
  await log.close();
  interrupt.release();
  return code;
}

function createLog(config: RuntimeConfig, { json }: HostFlags): ServeLog | Promise<ServeLog> {
  const secrets = secretsIn(config, process.env);
  return json === true ? createJsonLog(secrets) : createTextLog(secrets);
}

/** Whether there is a file to take on again: a snapshot is gone on with once. */
function isReloadable(source: HostSource): source is HostSource & { readonly file: string } {
  return source.file !== null && source.dicts === undefined;
}

function reloadingOf(
  source: HostSource,
  flags: HostFlags,
  parts: Pick<ReloadingOptions, 'config' | 'runtime' | 'gateway' | 'log'>,
): Reloading | null {
  if (!isReloadable(source)) return null;
  const { file } = source;
  return new Reloading({ file, read: async () => withFlags(await loadConfig(file), flags), ...parts });
}

async function start(
  { config, file, dicts }: HostSource,
  flags: HostFlags,
  log: ServeLog,
  signal: AbortSignal,
): Promise<Runtime> {
  const progress = new Progress(process.stderr, flags.json === true);
  progress.show(`connecting to ${place(config)}`);
  const onError = (error: unknown, subject: string) => log.fault(error, subject);
  const make = () => createRuntime(config, { signal, onError, ...(dicts === undefined ? {} : { dicts }) });
  try {
    return await (file === null ? make() : inFile(file, make));
  } finally {
    progress.stop();
  }
}

/** A configuration with what the flags say over it. */
function withFlags(written: RuntimeConfig, flags: HostFlags): RuntimeConfig {
  const { state, stateInterval, journal } = flags;
  const config = {
    ...withGateway(written, flags),
    ...(state === undefined ? {} : { state }),
    ...(stateInterval === undefined ? {} : { stateInterval: stateInterval / 1_000 }),
    ...(journal === undefined ? {} : { journal }),
  };
  const given = connectionOptions(flags);
  return Object.keys(given).length === 0 ? config : { ...config, nats: { ...config.nats, ...given } };
}

function oneModel({ model, id = 'demo' }: ServeFlags): RuntimeConfig {
  return { models: { [id]: model === undefined ? { model: 'scripted/echo', chunk_delay_ms: 30 } : { model } } };
}

/** The flags that open a gateway, over what the file says of it. */
function withGateway(config: RuntimeConfig, { port, host: address }: HostFlags): RuntimeConfig {
  if (port === undefined && address === undefined) return config;
  const flags = { ...(port === undefined ? {} : { port }), ...(address === undefined ? {} : { host: address }) };
  return { ...config, gateway: { ...config.gateway, ...flags } };
}

async function openGateway(runtime: Runtime, { gateway, nats }: RuntimeConfig, log: ServeLog): Promise<Gateway | null> {
  if (gateway === undefined) return null;
  const { startGateway } = await import('../gateway/gateway.ts');
  try {
    return await startGateway(runtime, gateway, {
      onError: (error) => log.fault(error, ''),
      inboxPrefix: nats?.inboxPrefix,
    });
  } catch (error) {
    await runtime.close();
    throw error;
  }
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError('Expected a port from 0 to 65535.');
  return port;
}

/** Names the bus of a configuration. */
function place({ nats }: RuntimeConfig): string {
  if (nats === undefined) return 'a bus inside this process (give --nats to be reached from others)';
  return [nats.servers ?? defaultNatsUrl].flat().map(withoutLogin).join(', ');
}

async function tellConnection(runtime: Runtime, log: ServeLog): Promise<void> {
  let first = true;
  for await (const status of runtime.bus.status) {
    if (!first && status.type !== 'draining' && status.type !== 'closed') log.connection(status);
    first = false;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
    // On a bus without sockets nothing else keeps the process alive.
    const alive = setInterval(() => {}, 2 ** 30);
    signal.addEventListener('abort', () => clearInterval(alive), { once: true });
  });
}
