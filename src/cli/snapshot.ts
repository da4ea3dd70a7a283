import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { connect } from '../runtime/remote/remote-model.ts';
import { type BusFlags, withBus } from './bus-command.ts';
import { addNatsOptions, type Finish } from './options.ts';
import { exitCodes } from './report-error.ts';

interface SnapshotFlags extends BusFlags {
  readonly out?: string;
}

/** `imodel snapshot`: everything of one iModel as JSON, for `imodel restore` or `iModel.fromDict`. */
export function addSnapshot(program: Command, finish: Finish): void {
  addNatsOptions(program.command('snapshot'), 'the NATS server it is served on (default: nats://127.0.0.1:4222)')
    .description('write a served iModel down with all it is doing, the prompts of its calls included')
    .argument('<id>', 'the id of the iModel')
    .option('-o, --out <file>', 'write to a file that only its owner can read, instead of to stdout')
    .action(async (id: string, flags: SnapshotFlags) => {
      finish(
        await withBus(flags, async (bus) => {
          const text = `${JSON.stringify(await connect(bus).model(id).snapshot())}\n`;
          if (flags.out === undefined) process.stdout.write(text);
          else await writeFile(flags.out, text, { mode: 0o600 });
          return exitCodes.ok;
        }),
      );
    });
}
