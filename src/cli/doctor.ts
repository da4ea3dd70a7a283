import type { Command } from 'commander';
import { examineAgents } from '../endpoints/agents/agent-doctor.ts';
import { formatTable } from './format.ts';
import { type Finish, jsonOption } from './options.ts';
import { Progress } from './progress.ts';
import { exitCodes } from './report-error.ts';

/** `imodel doctor`: which command-line agents this machine has, and whether they answer. */
export function addDoctor(program: Command, finish: Finish): void {
  program
    .command('doctor')
    .description('look for every command-line agent and ask it for its version')
    .addOption(jsonOption())
    .action(async ({ json = false }: { readonly json?: boolean }) => finish(await doctor(json)));
}

async function doctor(json: boolean): Promise<number> {
  const progress = new Progress(process.stderr, json);
  progress.show('asking every agent for its version');
  const reports = await examineAgents().finally(() => progress.stop());
  if (json) {
    for (const report of reports) process.stdout.write(`${JSON.stringify(report)}\n`);
    return exitCodes.ok;
  }
  const rows = reports.map(({ provider, usable, version, testedVersion, path, advice }) => [
    provider,
    usable ? 'ok' : 'no',
    version ?? '-',
    testedVersion,
    advice === '' ? (path ?? '') : advice,
  ]);
  process.stdout.write(
    `${formatTable([['PROVIDER', 'USABLE', 'VERSION', 'TRIED WITH', 'WHERE'], ...rows]).join('\n')}\n`,
  );
  return exitCodes.ok;
}
