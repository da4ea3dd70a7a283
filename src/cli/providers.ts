import type { Command } from 'commander';
import { toSnakeCase } from '../../schemas/imodel.ts';
import { type EndpointListing, listEndpoints } from '../providers/list.ts';
import { formatTable } from './format.ts';
import { type Finish, jsonOption } from './options.ts';
import { exitCodes } from './report-error.ts';

/** `imodel providers`: everything that can be called by name, and whether there is a key for it. Prints no key. */
export function addProviders(program: Command, finish: Finish): void {
  program
    .command('providers')
    .description('list every endpoint that can be called by name, and whether its key is set')
    .argument('[provider]', 'only those of this one, by its name or an alias')
    .addOption(jsonOption())
    .action((provider: string | undefined, { json = false }: { readonly json?: boolean }) =>
      finish(printProviders(provider, json)),
    );
}

function printProviders(wanted: string | undefined, json: boolean): number {
  const rows = wanted === undefined ? listEndpoints() : listEndpoints({ provider: wanted });
  if (json) {
    for (const row of rows) process.stdout.write(`${JSON.stringify(written(row))}\n`);
    return exitCodes.ok;
  }
  const head = ['PROVIDER', 'ENDPOINT', 'ALSO', 'MODEL', 'KEY', 'VARIABLE'];
  process.stdout.write(`${formatTable([head, ...rows.map(cellsOf)]).join('\n')}\n`);
  return exitCodes.ok;
}

function cellsOf({ provider, endpoint, aliases, model, key, keyFrom, keyVariables }: EndpointListing): string[] {
  return [provider, endpoint, aliases.join(', ') || '-', model ?? '-', key, keyFrom ?? keyVariables[0] ?? '-'];
}

/** As programs read it: names in snake_case, as in all that is written down. */
function written(row: EndpointListing): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [toSnakeCase(name), value]));
}
