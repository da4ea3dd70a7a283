import type { Command } from 'commander';
import { parseSnapshot } from '../runtime/state/state-store.ts';
import { readTextFile } from '../runtime/text-file.ts';
import type { Finish } from './options.ts';
import { addHostOptions, type HostFlags, host } from './serve.ts';

/** `imodel restore`: a process that hosts the iModel of a snapshot, and goes on with what it was doing. */
export function addRestore(program: Command, finish: Finish): void {
  addHostOptions(program.command('restore'))
    .description('host the iModel of a snapshot until interrupted, and go on with what it was doing')
    .argument('<file>', 'what `imodel snapshot` wrote, or a file in the folder of --state')
    .action(async (file: string, flags: HostFlags) => {
      const dict = parseSnapshot(await readTextFile(file), file);
      finish(await host({ config: { models: {} }, file, dicts: [dict] }, flags));
    });
}
