import type { Command } from 'commander';
import { stringify } from 'yaml';
import { asyncApiDocument } from '../runtime/serving/asyncapi.ts';
import type { Finish } from './options.ts';
import { exitCodes } from './report-error.ts';

/** `imodel asyncapi`: the contract of the bus, for people and for code generators. */
export function addAsyncApi(program: Command, finish: Finish): void {
  program
    .command('asyncapi')
    .description('print the contract of the bus as an AsyncAPI 3.1 document')
    .option('--yaml', 'print YAML instead of JSON')
    .action((flags: { readonly yaml?: boolean }) => {
      const document = asyncApiDocument();
      const text =
        flags.yaml === true
          ? stringify(document, { aliasDuplicateObjects: false })
          : `${JSON.stringify(document, null, 2)}\n`;
      process.stdout.write(text);
      finish(exitCodes.ok);
    });
}
