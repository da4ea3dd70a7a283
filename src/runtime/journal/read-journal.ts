import { type JournalEntry, journalEntry, journalVersion } from '../../../schemas/journal.ts';
import { refuseNoObject, refuseNoText } from '../../arguments.ts';
import { IModelError, printField, printValue } from '../../errors.ts';
import { readTextFile } from '../text-file.ts';

/** A journal that was read. */
export interface ReadJournal {
  /** Of one iModel, one run after the other; their numbers go on from one run to the next. */
  readonly entries: JournalEntry[];
  /** Whether the last line has no end: its writer was killed in the middle of it, or writes still. It is left out. */
  readonly isCutShort: boolean;
}

/** Which of the journals in one place is meant, and what that is called in errors. */
export interface ReadJournalOptions {
  /** The id of the iModel. @defaultValue the only one there */
  readonly id?: string | undefined;
  /** @defaultValue 'journal' */
  readonly name?: string | undefined;
}

/**
 * Reads the file of a journal.
 *
 * @throws IModelError `config`, naming the line and the path in it, for what cannot be read, is no journal, is of a later version, or misses
 * entries without saying so.
 */
export async function readJournal(file: string, options: Pick<ReadJournalOptions, 'id'> = {}): Promise<JournalEntry[]> {
  refuseNoText('file', file);
  refuseNoObject('options', options);
  return parseJournal(await readTextFile(file), { id: options.id, name: file }).entries;
}

/** As {@link readJournal}, from a text: one JSON document a line. */
export function parseJournal(text: string, options: ReadJournalOptions = {}): ReadJournal {
  const { name = 'journal' } = options;
  const lines = text.split('\n');
  const places: Place[] = [];
  for (const [index, line] of lines.entries()) {
    if (line.trim() !== '') places.push(placeOf(line, `${name}:${index + 1}`));
  }
  const isCutShort = places.at(-1)?.torn === true;
  if (isCutShort) places.pop();
  return { entries: inOrder(places, options), isCutShort };
}

/**
 * Checks the entries of a journal, in memory or parsed from a file.
 *
 * @throws IModelError `config`, naming the entry and the path in it.
 */
export function checkJournal(journal: readonly unknown[], options: ReadJournalOptions = {}): JournalEntry[] {
  const { name = 'journal' } = options;
  if (!Array.isArray(journal)) {
    const value = printValue(journal);
    throw IModelError.of('config', `Expected ${name} to be a list of entries, got ${value}`, { field: name, value });
  }
  const places = journal.map((value: unknown, index): Place => ({ name: `${name}.${index}`, value, torn: false }));
  return inOrder(places, options);
}

/** What stands at one place of a journal. */
interface Place {
  readonly name: string;
  readonly value: unknown;
  /** Whether it is a line that its writer did not finish; `value` is its text. */
  readonly torn: boolean;
}

/** How the line of an entry begins. */
const beginning = '{"run":"';

function placeOf(line: string, name: string): Place {
  try {
    return { name, value: JSON.parse(line), torn: false };
  } catch (cause) {
    if (beginning.startsWith(line) || line.startsWith(beginning)) return { name, value: line, torn: true };
    throw noDocument(name, line, cause);
  }
}

function noDocument(name: string, line: string, cause?: unknown): IModelError {
  const value = printValue(line.slice(0, 200));
  return IModelError.of('config', `${name}: expected a JSON document, got ${value}`, { field: name, value }, { cause });
}

/** The entries of one process. */
interface Run {
  /** By their number. */
  readonly entries: Map<number, JournalEntry>;
  lastSeq: number;
  modelId: string | null;
  /** A line of any run that was not finished since the last entry of this one. */
  torn: Place | null;
}

function inOrder(places: readonly Place[], { id, name = 'journal' }: ReadJournalOptions): JournalEntry[] {
  const runs = new Map<string, Run>();
  for (const place of places) {
    if (place.torn) {
      for (const run of runs.values()) run.torn = place;
      continue;
    }
    const entry = checkedEntry(place);
    const key = entry.run ?? '';
    const run = runs.get(key) ?? { entries: new Map(), lastSeq: 0, modelId: null, torn: null };
    runs.set(key, run);
    append(run, entry, place);
  }
  return numbered([...runs.values()].filter(isOf(id, runs, name)));
}

/** Takes an entry that goes on from those of its run. */
function append(run: Run, entry: JournalEntry, { name }: Place): void {
  const { torn, lastSeq } = run;
  const isFirst = run.entries.size === 0;
  run.torn = null;
  if (entry.type === 'snapshot') run.modelId ??= entry.model_id;
  if (entry.seq <= lastSeq) {
    // After a failure of the place they go to, the same entries are written again.
    const same = run.entries.get(entry.seq);
    if (same !== undefined && same.at === entry.at && same.type === entry.type) return;
    throw outOfOrder(name, lastSeq + 1, entry.seq, 'it stands there twice, or in the wrong place');
  }
  if (!isFirst && entry.type !== 'dropped' && entry.seq !== lastSeq + 1) {
    if (torn !== null) throw noDocument(torn.name, String(torn.value));
    throw outOfOrder(name, lastSeq + 1, entry.seq, 'entries are missing');
  }
  run.entries.set(entry.seq, entry);
  run.lastSeq = entry.seq;
}

function outOfOrder(name: string, expected: number, seq: number, why: string): IModelError {
  const message = `${name}: expected \`seq\` to be ${expected}, got ${seq}: ${why}`;
  return IModelError.of('config', message, { field: 'seq', value: String(seq) });
}

function isOf(id: string | undefined, runs: ReadonlyMap<string, Run>, name: string): (run: Run) => boolean {
  const ids = [...new Set([...runs.values()].flatMap(({ modelId }) => modelId ?? []))];
  if (id === undefined && ids.length > 1) {
    const message = `${name} holds the journals of ${ids.join(', ')}: expected the id of one of them`;
    throw IModelError.of('config', message, { field: 'id' });
  }
  if (id !== undefined && !ids.includes(id)) {
    const message = `${name} holds no journal of ${id}${ids.length === 0 ? '' : `, but of ${ids.join(', ')}`}`;
    throw IModelError.of('config', message, { field: 'id', value: id });
  }
  return ({ modelId }) => id === undefined || modelId === id;
}

/** The entries of several runs, as if they had been counted together; those that have been already stay as they are. */
function numbered(runs: readonly Run[]): JournalEntry[] {
  const all: JournalEntry[] = [];
  for (const { entries } of runs) {
    const before = all.at(-1)?.seq ?? 0;
    const [first = 1] = entries.keys();
    const shift = first > before ? 0 : before - first + 1;
    for (const entry of entries.values()) all.push(shift === 0 ? entry : { ...entry, seq: entry.seq + shift });
  }
  return all;
}

function checkedEntry({ value, name }: Place): JournalEntry {
  const { journal_version: version } = (value ?? {}) as { readonly journal_version?: unknown };
  if (typeof version === 'number' && version > journalVersion) {
    const message = `${name}: \`journal_version\` is ${version}; this program reads up to ${journalVersion}. A later version of it wrote this`;
    throw IModelError.of('config', message, { field: 'journal_version', value: String(version) });
  }
  const result = journalEntry.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const path = issue?.path.map(String) ?? [];
  const field = path.join('.');
  const got = printField(value, path);
  const where = field === '' ? '' : ` \`${field}\` to be`;
  throw IModelError.of('config', `${name}: expected${where} ${issue?.message ?? 'an entry'}, got ${got}`, {
    field: field === '' ? name : field,
    value: got,
  });
}
