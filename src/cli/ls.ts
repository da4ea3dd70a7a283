import type { Command } from 'commander';
import { loadConfig } from '../runtime/load-config.ts';
import { type BusFlags, withBus } from './bus-command.ts';
import { defaultNatsUrl } from './connection.ts';
import { discoverStates } from './discover.ts';
import { formatTable, withoutLogin } from './format.ts';
import { addNatsOptions, type Finish, jsonOption } from './options.ts';
import { exitCodes } from './report-error.ts';

interface LsFlags extends BusFlags {
  readonly config?: string;
}

/** One line of the list. */
type Entry = Readonly<Record<string, string | number>>;

/** `imodel ls`: which iModels answer on a bus, or are configured in a file. */
export function addLs(program: Command, finish: Finish): void {
  addNatsOptions(program.command('ls'), 'the NATS server to look at (default: nats://127.0.0.1:4222)')
    .description('list the iModels that are served on a NATS server, or configured in a file')
    .option('-c, --config <file>', 'list the iModels of this configuration file')
    .addOption(jsonOption())
    .action(async (flags: LsFlags) => finish(await ls(flags)));
}

async function ls(flags: LsFlags): Promise<number> {
  const print = (entries: readonly Entry[], nothing: string): number => {
    printEntries(entries, nothing, flags.json === true);
    return exitCodes.ok;
  };
  if (flags.config !== undefined) return print(await configuredEntries(flags.config), `no iModel in ${flags.config}`);
  return withBus(flags, async (bus, { signal }) => {
    const where = withoutLogin(flags.nats || defaultNatsUrl);
    return print(
      await discoverStates(bus, { inboxPrefix: flags.inboxPrefix, signal }),
      `no iModel answers on ${where}`,
    );
  });
}

async function configuredEntries(path: string): Promise<Entry[]> {
  const { models } = await loadConfig(path);
  return Object.entries(models).map(([id, { provider, model, limitRequests, limitTokens }]) => ({
    id,
    model: [provider, model].filter((part) => typeof part === 'string').join('/'),
    limit_requests: limitRequests ?? 'none',
    limit_tokens: limitTokens ?? 'none',
  }));
}

function printEntries(entries: readonly Entry[], nothing: string, json: boolean): void {
  const [first] = entries;
  if (json) for (const entry of entries) process.stdout.write(`${JSON.stringify(entry)}\n`);
  else if (first === undefined) process.stderr.write(`${nothing}\n`);
  else {
    const names = Object.keys(first);
    const head = names.map((name) => name.toUpperCase().replaceAll('_', ' '));
    const rows = entries.map((entry) => names.map((name) => String(entry[name] ?? '')));
    process.stdout.write(`${formatTable([head, ...rows]).join('\n')}\n`);
  }
}
