import { explainCall } from '../../../actors/explanation.ts';
import type { ModelMode, ModelRegions } from '../../../actors/imodel.ts';
import { Replay, type ReplayedState } from '../../../actors/replay.ts';
import type { CallExplanation } from '../../../schemas/explanation.ts';
import type { JournalEntry } from '../../../schemas/journal.ts';
import { refuseNoObject } from '../../arguments.ts';
import { IModelError, printValue } from '../../errors.ts';
import { checkJournal } from './read-journal.ts';

/** How far a journal is replayed. */
export interface ReplayOptions {
  /** The number of the last entry to take, or an instant. @defaultValue the end */
  readonly until?: number | Date | undefined;
  /** The id of the iModel, where the journals of several are among the entries. @defaultValue the only one there */
  readonly id?: string | undefined;
}

/** Where an iModel stood after an entry of its journal. */
export interface ReplayedModel {
  readonly model_id: string;
  /** The number of the entry. */
  readonly seq: number;
  /** When that was, or what was asked for; epoch milliseconds. */
  readonly at: number;
  /** The strictest of its regions, in one word. */
  readonly mode: ModelMode;
  readonly regions: ModelRegions;
  /** As `toDict({ state: true }).state` was then, byte by byte. Calls are without their payloads unless the journal was told to keep `requests`. */
  readonly state: ReplayedState;
}

/**
 * Leads the statechart and the policies of an iModel through a journal, to see where it stood at any step. Nothing is sent to anybody, and no
 * clock but that of the journal is asked.
 *
 * @param journal - `model.journal`, what `readJournal` has read, or the parsed lines of a file.
 * @throws IModelError `config`, naming the entry and the path in it, for a journal that is damaged, of a later version, or misses entries, and
 * for an `until` at which it knows no state.
 *
 * @example
 * ```ts
 * const { mode, state } = replay(await readJournal('gpt.jsonl'), { until: new Date('2026-11-27T12:00:00Z') });
 * ```
 */
export function replay(journal: readonly unknown[], options: ReplayOptions = {}): ReplayedModel {
  refuseNoObject('options', options);
  const { until, id } = options;
  const entries = checkJournal(journal, { id });
  const end = endOf(entries, until);
  const model = new Replay();
  for (const entry of entries.slice(0, end)) takeEntry(model, entry);
  if (until instanceof Date) model.pass(until.getTime());
  return replayedModel(model);
}

/**
 * Tells why a call waited, how long for which reason, and what ended it: the last one of this id.
 *
 * @param journal - As for {@link replay}.
 * @throws IModelError `config` as {@link replay}, and for a call that the journal does not know.
 */
export function explain(
  journal: readonly unknown[],
  callId: string,
  options: Pick<ReplayOptions, 'id'> = {},
): CallExplanation {
  refuseNoObject('options', options);
  const entries = checkJournal(journal, { id: options.id });
  if (!entries.some(({ type }) => type === 'snapshot')) throw noState(entries.at(-1)?.seq ?? 0);
  const explanation = guarded(entries.at(-1), () => explainCall(entries, callId));
  if (explanation !== null) return explanation;
  const message = `The journal knows no call ${printValue(callId)}: it came before the first entry, or to another iModel`;
  throw IModelError.of('config', message, { field: 'call', value: callId });
}

/** Takes an entry. @throws IModelError `config` for one that does not follow from those before. */
export function takeEntry(model: Replay, entry: JournalEntry): void {
  guarded(entry, () => model.take(entry));
}

/** Where a replay stands. @throws IModelError `config` when it knows no state. */
export function replayedModel(model: Replay): ReplayedModel {
  if (!model.hasState) throw noState(model.seq);
  const { modelId, seq, at, mode, regions } = model;
  return { model_id: modelId, seq, at, mode, regions, state: model.liveState() };
}

/** How many entries are to be taken. */
export function endOf(entries: readonly JournalEntry[], until: ReplayOptions['until']): number {
  if (until === undefined) return entries.length;
  const first = entries[0];
  const last = entries.at(-1);
  if (first === undefined || last === undefined) throw noState(0);
  if (until instanceof Date) {
    const at = until.getTime();
    const end = entries.findLastIndex((entry) => entry.at <= at) + 1;
    if (end > 0) return end;
    throw refuseUntil(`an instant from ${new Date(first.at).toISOString()} on`, until);
  }
  const end = entries.findIndex(({ seq }) => seq === until) + 1;
  if (end > 0) return end;
  throw refuseUntil(`a Date, or the number of an entry from ${first.seq} to ${last.seq}`, until);
}

function refuseUntil(expected: string, until: unknown): IModelError {
  const value = printValue(until);
  return IModelError.of('config', `Expected \`until\` to be ${expected}, got ${value}`, { field: 'until', value });
}

function noState(seq: number): IModelError {
  const message =
    `The journal has no snapshot up to entry ${seq}, or entries are missing between them, so that nobody knows where the iModel stood; ` +
    'in memory that is so while more calls are live than `journal.size`';
  return IModelError.of('config', message, { field: 'journal' });
}

/** What cannot be is a mistake in the journal, not in whoever reads it. */
function guarded<T>(entry: JournalEntry | undefined, take: () => T): T {
  try {
    return take();
  } catch (cause) {
    const message = `Entry ${entry?.seq} of the journal does not follow from those before: ${(cause as Error).message}`;
    throw IModelError.of('config', message, { field: String(entry?.seq) }, { cause });
  }
}
