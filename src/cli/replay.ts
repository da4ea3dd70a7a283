import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { statusOf } from '../../actors/call.ts';
import { Replay } from '../../actors/replay.ts';
import type { JournalEntry } from '../../schemas/journal.ts';
import { endOf, type ReplayedModel, replayedModel, takeEntry } from '../runtime/journal/replay.ts';
import { formatTable, formatTime } from './format.ts';
import { listenForInterrupt } from './interrupt.ts';
import { addJournalOptions, type JournalFlags, withJournal } from './journal-source.ts';
import type { Finish } from './options.ts';
import { exitCodes } from './report-error.ts';

interface ReplayFlags extends JournalFlags {
  readonly at?: number | Date;
}

/** `imodel replay`: the states an iModel passed, or the one it was in at some moment. */
export function addReplay(program: Command, finish: Finish): void {
  addJournalOptions(program.command('replay'))
    .description('lead an iModel through its journal, and print the states it passes; nothing is sent to anybody')
    .option('--at <moment>', 'only the state after this entry (a number) or at this time (ISO 8601)', parseMoment)
    .action(async (source: string, flags: ReplayFlags) => {
      const json = flags.json === true;
      const { at } = flags;
      finish(
        await withJournal(source, flags, (entries) =>
          at === undefined ? printStates(entries, json) : printStateAt(entries, at, json),
        ),
      );
    });
}

/** An entry's number, or a time: ISO 8601, or epoch milliseconds, of which there are more than of entries. */
function parseMoment(text: string): number | Date {
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (number < leastEpochMs) return number;
  const date = new Date(Number.isNaN(number) ? text : number);
  if (Number.isNaN(date.getTime())) {
    throw new InvalidArgumentError("Expected the number of an entry, or a time such as '2026-11-27T12:00:00.000Z'.");
  }
  return date;
}

/** 2001; a journal of so many entries is not to be read anyway. */
const leastEpochMs = 1e12;

async function printStates(entries: readonly JournalEntry[], json: boolean): Promise<number> {
  const interrupt = listenForInterrupt();
  const ids = new Map<number, string>();
  const model = new Replay({ met: (row) => ids.set(row.journalNumber, row.id) });
  const lineOf = (entry: JournalEntry): string => {
    takeEntry(model, entry);
    return json ? JSON.stringify(stateOf(model, entry)) : stateLine(model, entry, ids);
  };
  try {
    if (!json) process.stdout.write(`${head}\n`);
    for (let first = 0; first < entries.length && !interrupt.signal.aborted; first += linesAtOnce) {
      const lines = entries.slice(first, first + linesAtOnce).map((entry) => `${lineOf(entry)}\n`);
      // Whoever reads slowly, or wants no more, is heard between two pieces.
      if (process.stdout.write(lines.join(''))) await setImmediate();
      else await once(process.stdout, 'drain', { signal: interrupt.signal });
    }
  } catch (error) {
    if (interrupt.exitCode === null) throw error;
  } finally {
    interrupt.release();
  }
  return interrupt.exitCode ?? exitCodes.ok;
}

/** Lines that are written at a time. */
const linesAtOnce = 256;

const columns = ['SEQ', 'TIME', 'MODE', 'RUNNING', 'WAITING', 'REQUESTS', 'TOKENS', 'WHAT'] as const;
const widths = [7, 12, 9, 7, 7, 8, 7] as const;
const head = aligned(columns);

function aligned(cells: readonly string[]): string {
  const line = cells.map((cell, index) =>
    index > 2 ? cell.padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0),
  );
  return line.join('  ').trimEnd();
}

function stateLine(model: Replay, entry: JournalEntry, ids: ReadonlyMap<number, string>): string {
  const when = [String(entry.seq), formatTime(entry.at)];
  const what = whatOf(entry, ids);
  if (!model.hasState) return aligned([...when, '-', '-', '-', '-', '-', what]);
  const { running, waiting, outside, usedRequests, usedTokens } = model.view();
  return aligned([...when, model.mode, ...[running, waiting + outside, usedRequests, usedTokens].map(String), what]);
}

function whatOf(entry: JournalEntry, ids: ReadonlyMap<number, string>): string {
  const call = 'call' in entry && entry.call !== undefined ? [ids.get(entry.call) ?? `call ${entry.call}`] : [];
  return [entry.type, ...call, ...detailsOf(entry)].join('  ');
}

function detailsOf(entry: JournalEntry): string[] {
  if ('failure' in entry && entry.failure !== null) return [`${entry.failure.code}: ${entry.failure.message}`];
  switch (entry.type) {
    case 'call.hook':
      return [entry.is_running ? 'begins' : 'ends'];
    case 'note':
      return [`${entry.kind} ${entry.name}`];
    case 'dropped':
      return [`${entry.count} entries are missing here`];
    case 'snapshot':
      return [`of ${entry.model_id}, ${entry.state.calls.length} calls`];
    default:
      return [];
  }
}

/** A state in numbers, as programs read it. */
function stateOf(model: Replay, { seq, at, type }: JournalEntry): Readonly<Record<string, unknown>> {
  if (!model.hasState) return { seq, at, type, mode: null };
  const { running, waiting, outside, blocked, usedRequests, usedTokens, counters } = model.view();
  const numbers = { running, waiting, outside, blocked, used_requests: usedRequests, used_tokens: usedTokens };
  return { seq, at, type, mode: model.mode, regions: model.regions, ...numbers, counters };
}

function printStateAt(entries: readonly JournalEntry[], at: number | Date, json: boolean): number {
  const model = new Replay();
  for (const entry of entries.slice(0, endOf(entries, at))) takeEntry(model, entry);
  if (at instanceof Date) model.pass(at.getTime());
  const replayed = replayedModel(model);
  process.stdout.write(`${json ? JSON.stringify(replayed) : stateText(model, replayed)}\n`);
  return exitCodes.ok;
}

function stateText(model: Replay, { model_id: id, seq, at, mode, regions, state }: ReplayedModel): string {
  const { running, waiting, outside, blocked, usedRequests, usedTokens, limits } = model.view();
  const of = (used: number, limit: number | null): string => (limit === null ? `${used}` : `${used} of ${limit}`);
  const lines = formatTable([
    [id, `${mode}${blocked === null ? '' : `, blocked: ${blocked}`}`],
    ['after entry', `${seq}, at ${new Date(at).toISOString()}`],
    [
      'regions',
      Object.entries(regions)
        .map(([region, value]) => `${region} ${value}`)
        .join(', '),
    ],
    ['running', of(running, limits.concurrency)],
    ['waiting', `${of(waiting, limits.queueCapacity)}${outside > 0 ? `, ${outside} for a place` : ''}`],
    ['requests', of(usedRequests, limits.window.requests)],
    ['tokens', of(usedTokens, limits.window.tokens)],
  ]);
  if (state.calls.length === 0) return lines.join('\n');
  const rows = [...model.rows()].map((row) => [
    row.id,
    statusOf(row.state),
    `since ${formatTime(row.startedAt ?? row.queuedAt)}`,
    row.attempts > 1 ? `attempt ${row.attempts}` : '',
    row.caller === '' ? '' : `by ${row.caller}`,
  ]);
  return [...lines, '', ...formatTable(rows)].join('\n');
}
