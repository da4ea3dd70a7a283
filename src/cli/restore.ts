import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { IModelError } from '../errors.ts';
import { parseSnapshot } from '../runtime/state-store.ts';
import type { Finish } from './options.ts';
import { addHostOptions, type HostFlags, host } from './serve.ts';

/** `imodel restore`: a process that hosts the iModel of a snapshot, and goes on with what it was doing. */
export function addRestore(program: Command, finish: Finish): void {
  addHostOptions(program.command('restore'))
    .description('host the iModel of a snapshot until interrupted, and go on with what it was doing')
    .argument('<file>', 'what `imodel snapshot` wrote, or a file in the folder of --state')
    .action(async (file: string, flags: HostFlags) => {
      const dict = parseSnapshot(await textOf(file), file);
      finish(await host({ config: { models: {} }, file, dicts: [dict] }, flags));
    });
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : (cause as Error).message;
    throw IModelError.of('config', `Cannot read ${file}: ${why}`, { field: 'file', value: file }, { cause });
  }
}
