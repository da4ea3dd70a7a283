import type { Command } from 'commander';
import type { JournalEntry } from '../../schemas/journal.ts';
import { parseJournal } from '../runtime/read-journal.ts';
import { readTextFile } from '../runtime/text-file.ts';
import { jsonOption } from './options.ts';

/** Flags of commands that read a journal. */
export interface JournalFlags {
  readonly id?: string;
  readonly json?: boolean;
}

/** Gives a command the argument and the flags of a journal. */
export function addJournalOptions(command: Command): Command {
  return command
    .argument('<file>', 'the file of a journal')
    .option('--id <id>', 'the id of the iModel, where the journals of several are in one file')
    .addOption(jsonOption());
}

/** The entries of a journal. @throws IModelError `config`. */
export async function readFrom(source: string, { id }: JournalFlags): Promise<JournalEntry[]> {
  const { entries, isCutShort } = parseJournal(await readTextFile(source), { id, name: source });
  if (isCutShort) process.stderr.write(`${source}: its last line has no end, and is left out\n`);
  return entries;
}
