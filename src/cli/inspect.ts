import type { Command } from 'commander';
import { mermaidOf } from '../../actors/chart.ts';
import { connect } from '../runtime/remote/remote-model.ts';
import { type BusFlags, withBus } from './bus-command.ts';
import { addNatsOptions, type Finish, jsonOption } from './options.ts';
import { exitCodes } from './report-error.ts';

/** `imodel inspect`: the statechart of an iModel, with its present state marked. */
export function addInspect(program: Command, finish: Finish): void {
  addNatsOptions(program.command('inspect'), 'the NATS server it is served on (default: nats://127.0.0.1:4222)')
    .description('draw the statechart of a served iModel as a Mermaid state diagram, its present state marked')
    .argument('<id>', 'the id of the iModel')
    .addOption(jsonOption('print `{ regions, mermaid }`'))
    .action(async (id: string, flags: BusFlags) => {
      finish(
        await withBus(flags, async (bus) => {
          const { regions } = await connect(bus).model(id).state();
          const mermaid = mermaidOf(regions);
          process.stdout.write(`${flags.json === true ? JSON.stringify({ regions, mermaid }) : mermaid}\n`);
          return exitCodes.ok;
        }),
      );
    });
}
