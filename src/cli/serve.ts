import type { Command } from 'commander';
import { loadConfig } from '../runtime/load-config.ts';
import { createRuntime, type Runtime, type RuntimeConfig } from '../runtime/runtime.ts';
import { defaultNatsUrl } from './connection.ts';
import { withoutLogin } from './format.ts';
import { listenForInterrupt } from './interrupt.ts';
import {
  credentialsOption,
  type Finish,
  jsonOption,
  type NatsFlags,
  natsOption,
  parseDurationOrZero,
} from './options.ts';
import { Progress } from './progress.ts';
import { exitCodes, UsageError } from './report-error.ts';
import { createJsonLog, createTextLog, type ServeLog } from './serve-log.ts';
import { inFile } from './target.ts';

/** How long calls may take to end when nobody wants to wait for them, in milliseconds. */
const hastyEndMs = 1_000;

/** Seconds for running calls, as in `createRuntime`. */
const defaultDrainTimeout = 30;

interface ServeFlags extends NatsFlags {
  readonly config?: string;
  readonly model?: string;
  readonly id?: string;
  readonly drain?: number;
  readonly json?: boolean;
}

/** `imodel serve`: a process that hosts iModels until it is told to end. */
export function addServe(program: Command, finish: Finish): void {
  program
    .command('serve')
    .description('host iModels on a bus until interrupted; without --config and --model a scripted one')
    .option('-c, --config <file>', 'YAML or JSON file with the iModels')
    .option('-m, --model <model>', 'host one model, such as openai/gpt-4o-mini')
    .option('--id <id>', 'the id of --model', 'demo')
    .addOption(natsOption('NATS server to serve on; without it a bus inside this process'))
    .addOption(credentialsOption())
    .option('--drain <time>', 'time for running calls when told to end (default: 30)', parseDurationOrZero)
    .addOption(jsonOption('log JSON, one object a line'))
    .action(async (flags: ServeFlags) => finish(await serve(flags)));
}

async function serve(flags: ServeFlags): Promise<number> {
  const config = await configOf(flags);
  const log = flags.json === true ? await createJsonLog() : createTextLog();
  let again = (_code: number): void => {};
  const interrupt = listenForInterrupt((code) => again(code));
  again = (code) => process.exit(code);
  let runtime: Runtime;
  try {
    runtime = await start(config, flags, log, interrupt.signal);
  } catch (error) {
    if (interrupt.exitCode === null) throw error;
    return interrupt.exitCode;
  }
  for (const model of runtime.models.values()) model.observe((event) => log.event(event));
  void tellConnection(runtime, log);
  log.ready(runtime.models, place(config));
  await aborted(interrupt.signal);

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
  await runtime.close({ drain: true, timeoutMs: limitMs });
  log.stopped();
  interrupt.release();
  return code;
}

async function start(config: RuntimeConfig, flags: ServeFlags, log: ServeLog, signal: AbortSignal): Promise<Runtime> {
  const progress = new Progress(process.stderr, flags.json === true);
  progress.show(`connecting to ${place(config)}`);
  const make = () => createRuntime(config, { signal, onError: (error, subject) => log.fault(error, subject) });
  try {
    return await (flags.config === undefined ? make() : inFile(flags.config, make));
  } finally {
    progress.stop();
  }
}

async function configOf(flags: ServeFlags): Promise<RuntimeConfig> {
  if (flags.config !== undefined && flags.model !== undefined) {
    throw new UsageError('Expected either --config or --model, got both');
  }
  const config = flags.config === undefined ? oneModel(flags) : await loadConfig(flags.config);
  if (!flags.nats && flags.creds === undefined) return config;
  const nats = {
    ...config.nats,
    ...(flags.nats ? { servers: flags.nats.split(',') } : {}),
    ...(flags.creds === undefined ? {} : { credentialsFile: flags.creds }),
  };
  return { ...config, nats };
}

function oneModel({ model, id = 'demo' }: ServeFlags): RuntimeConfig {
  return { models: { [id]: model === undefined ? { model: 'scripted/echo', chunk_delay_ms: 30 } : { model } } };
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
