import type { Command } from 'commander';
import type { JournalEntry } from '../../schemas/journal.ts';
import { parseJournal, type ReadJournal } from '../runtime/journal/read-journal.ts';
import { readJournalStream, streamIn } from '../runtime/journal-place.ts';
import { readTextFile } from '../runtime/text-file.ts';
import { type BusFlags, withBus } from './bus-command.ts';
import { addNatsOptions, jsonOption } from './options.ts';
import { exitCodes } from './report-error.ts';

/** Flags of commands that read a journal. */
export interface JournalFlags extends BusFlags {
  readonly id?: string;
}

/**
 * Gives a command the argument and the flags of a journal.
 *
 * @param also - What else the argument may be.
 */
export function addJournalOptions(command: Command, also = ''): Command {
  return addNatsOptions(command, 'its NATS server, for what is not in a file (default: nats://127.0.0.1:4222)')
    .argument(
      also === '' ? '<file>' : '<source>',
      `${also}the file of a journal; \`stream\` or \`stream:<name>\` for one in JetStream`,
    )
    .option('--id <id>', 'the id of the iModel, where the journals of several are in one place')
    .addOption(jsonOption());
}

/**
 * Reads a journal and does something with its entries.
 *
 * @returns The exit code of `act`.
 * @throws IModelError `config` for a journal that cannot be read.
 */
export async function withJournal(
  source: string,
  flags: JournalFlags,
  act: (entries: readonly JournalEntry[]) => number | Promise<number>,
): Promise<number> {
  const { id } = flags;
  const stream = streamIn(source);
  if (stream === null) return act(told(source, parseJournal(await readTextFile(source), { id, name: source })));
  let entries: readonly JournalEntry[] = [];
  const code = await withBus(flags, async (bus) => {
    entries = told(source, await readJournalStream(bus, stream, { id }));
    return exitCodes.ok;
  });
  return code === exitCodes.ok ? act(entries) : code;
}

function told(source: string, { entries, isCutShort }: ReadJournal): readonly JournalEntry[] {
  if (isCutShort) process.stderr.write(`${source}: its last line has no end, and is left out\n`);
  return entries;
}
