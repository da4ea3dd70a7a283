import { type Command, InvalidArgumentError } from 'commander';
import { type CallerConfig, callerName } from '../../schemas/caller.ts';
import type { Bus } from '../bus/bus.ts';
import type { KvCallers } from '../callers/kv-callers.ts';
import { type BusFlags, withBus } from './bus-command.ts';
import { formatDuration, formatTable } from './format.ts';
import { addNatsOptions, type Finish, jsonOption, parseCount, parseDuration } from './options.ts';
import { exitCodes, UsageError } from './report-error.ts';

/** Where callers are kept. */
interface PlaceFlags extends BusFlags {
  /** True without a name. */
  readonly kv?: string | true;
  readonly config?: string;
}

interface CreateFlags extends PlaceFlags {
  readonly models?: readonly string[];
  readonly limitRequests?: number;
  readonly limitTokens?: number;
  readonly interval?: number;
  readonly limitCost?: number;
  readonly costInterval?: number;
  readonly concurrencyLimit?: number;
  readonly weight?: number;
  readonly operator?: boolean;
  readonly expires?: string;
}

/** `imodel keys`: who may call through the gateway. */
export function addKeys(program: Command, finish: Finish): void {
  const keys = program.command('keys').description('make, list and revoke the keys of the callers of the gateway');
  const create = addPlace(keys.command('create'))
    .description('make a key, shown once; prints the entry for a configuration file, or writes it to a bucket')
    .argument('<name>', 'who calls: 1 to 64 of A-Z a-z 0-9 _ -')
    .option('--models <ids>', 'iModels it may use, with commas and * (default: all)', (text) => text.split(','))
    .option('--limit-requests <n>', 'requests per window', parseCount)
    .option('--limit-tokens <n>', 'tokens per window', parseCount)
    .option('--interval <time>', 'length of that window (default: 60)', parseDuration)
    .option('--limit-cost <usd>', 'US dollars per cost window', parseAmount)
    .option('--cost-interval <time>', 'length of the cost window (default: 1440m, a day)', parseDuration)
    .option('--concurrency-limit <n>', 'calls at once', parseCount)
    .option('--weight <n>', 'its shares of a busy iModel, 1 to 100 (default: 1)', parseAmount)
    .option('--operator', 'lets it see and control the iModels')
    .option('--expires <date>', 'from when on it is refused, such as 2027-01-31');
  create.action(async (name: string, flags: CreateFlags) => finish(await createCaller(name, flags)));
  addPlace(keys.command('ls'))
    .description('list the callers of a configuration file or a bucket; keys are nowhere to be read')
    .option('-c, --config <file>', 'list the callers of this configuration file')
    .action(async (flags: PlaceFlags) => finish(await listCallers(flags)));
  addPlace(keys.command('revoke'))
    .description('take a caller out of a bucket: gateways refuse its keys at once')
    .argument('<name>', 'who called')
    .action(async (name: string, flags: PlaceFlags) => finish(await revokeCaller(name, flags)));
}

function addPlace(command: Command): Command {
  return addNatsOptions(command, 'the NATS server of the bucket (default: nats://127.0.0.1:4222)')
    .option('--kv [bucket]', 'the bucket of callers (default: imodel-callers)')
    .addOption(jsonOption());
}

async function createCaller(name: string, flags: CreateFlags): Promise<number> {
  if (!callerName.safeParse(name).success) {
    throw new UsageError(`Expected a name of 1 to 64 of the characters A-Z a-z 0-9 _ -, got \`${name}\``);
  }
  const { createKey, hashKey } = await import('../callers/key.ts');
  const { readCaller, writeCaller } = await import('../callers/written-caller.ts');
  const key = createKey();
  const written = writeCaller({ keyHashes: [hashKey(key)], ...settingsOf(flags) });
  const config = readCaller(written);
  const { kv } = flags;
  if (kv !== undefined) await withBucket({ ...flags, kv }, (kept) => kept.add(name, config));
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify({ name, key, caller: written })}\n`);
    return exitCodes.ok;
  }
  const place = kv === undefined ? 'the key of' : 'written to the bucket; the key of';
  process.stdout.write(`${key}\n`);
  process.stderr.write(`${place} ${name}: it is shown once, and cannot be read anywhere\n`);
  if (kv === undefined) {
    const { stringify } = await import('yaml');
    process.stderr.write('the entry for the configuration file:\n');
    process.stdout.write(`\n${stringify({ gateway: { callers: { [name]: written } } }, { lineWidth: 0 })}`);
  }
  return exitCodes.ok;
}

function settingsOf(flags: CreateFlags): Omit<CallerConfig, 'keyHashes'> {
  const { models, limitRequests, limitTokens, limitCost, concurrencyLimit, weight, operator, expires } = flags;
  return {
    ...(models === undefined ? {} : { models: [...models] }),
    limitRequests,
    limitTokens,
    interval: seconds(flags.interval),
    limitCostUsd: limitCost,
    costInterval: seconds(flags.costInterval),
    concurrencyLimit,
    weight,
    operator,
    expires,
  };
}

async function listCallers(flags: PlaceFlags): Promise<number> {
  const print = (callers: Iterable<readonly [string, CallerConfig]>): void => printCallers([...callers], flags);
  if (flags.config !== undefined) {
    if (flags.kv !== undefined) throw new UsageError('Expected either --config or --kv, got both');
    const { loadConfig } = await import('../runtime/load-config.ts');
    const { gateway } = await loadConfig(flags.config);
    print(Object.entries(gateway?.callers ?? {}));
    return exitCodes.ok;
  }
  return withBucket(flags, async (kept) => print(await kept.list()));
}

async function revokeCaller(name: string, flags: PlaceFlags): Promise<number> {
  if (flags.kv === undefined) {
    throw new UsageError('Expected --kv: in a configuration file, remove the entry or add `disabled: true` to it');
  }
  let isThere = false;
  await withBucket(flags, async (kept) => {
    isThere = await kept.remove(name);
  });
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ name, revoked: isThere })}\n`);
  else process.stderr.write(isThere ? `revoked: ${name}\n` : `there is no caller ${name}\n`);
  return isThere ? exitCodes.ok : exitCodes.failed;
}

/** Runs what needs the bucket. */
function withBucket(flags: PlaceFlags, act: (kept: KvCallers) => Promise<void>): Promise<number> {
  return withBus(flags, async (bus: Bus) => {
    const { KvCallers } = await import('../callers/kv-callers.ts');
    const { NatsBus } = await import('../bus/nats-bus.ts');
    if (!(bus instanceof NatsBus)) throw new UsageError('Expected a NATS server');
    await act(await KvCallers.open(bus, flags.kv === true ? undefined : flags.kv));
    return exitCodes.ok;
  });
}

function printCallers(callers: readonly (readonly [string, CallerConfig])[], { json, kv }: PlaceFlags): void {
  const entries = callers.map(([name, config]) => ({
    name,
    state: stateOf(config),
    models: config.models?.join(',') ?? '*',
    limits: limitsOf(config) || 'none',
    weight: config.weight ?? 1,
    operator: config.operator === true,
  }));
  if (json === true) for (const entry of entries) process.stdout.write(`${JSON.stringify(entry)}\n`);
  else if (entries.length === 0) process.stderr.write(`no caller in the ${kv === undefined ? 'file' : 'bucket'}\n`);
  else {
    const head = ['NAME', 'STATE', 'MODELS', 'LIMITS', 'WEIGHT', 'OPERATOR'];
    const rows = entries.map(({ name, state, models, limits, weight, operator }) => [
      ...[name, state, models, limits, String(weight), operator ? 'yes' : 'no'],
    ]);
    process.stdout.write(`${formatTable([head, ...rows]).join('\n')}\n`);
  }
}

function stateOf({ disabled, expires }: CallerConfig): string {
  if (disabled === true) return 'disabled';
  if (expires === undefined) return 'active';
  return Date.now() >= Date.parse(expires) ? 'expired' : `until ${expires}`;
}

function limitsOf(config: CallerConfig): string {
  const { limitRequests, limitTokens, limitCostUsd, concurrencyLimit } = config;
  const per = formatDuration((config.interval ?? 60) * 1_000);
  const parts = [
    ...(limitRequests === undefined ? [] : [`${limitRequests} requests in ${per}`]),
    ...(limitTokens === undefined ? [] : [`${limitTokens} tokens in ${per}`]),
    ...(limitCostUsd === undefined
      ? []
      : [`${limitCostUsd} USD in ${formatDuration((config.costInterval ?? 86_400) * 1_000)}`]),
    ...(concurrencyLimit === undefined ? [] : [`${concurrencyLimit} at once`]),
  ];
  return parts.join(', ');
}

function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1_000;
}

function parseAmount(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0) {
    throw new InvalidArgumentError('Expected a number above 0.');
  }
  return value;
}
