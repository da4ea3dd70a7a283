import { stat } from 'node:fs/promises';
import type { Command } from 'commander';
import type { CallEnding, CallExplanation, CallPhase, CallPhaseName } from '../../schemas/explanation.ts';
import { explain } from '../runtime/journal/replay.ts';
import { streamIn } from '../runtime/journal-place.ts';
import { connect } from '../runtime/remote/remote-model.ts';
import { withBus } from './bus-command.ts';
import { formatDuration, formatTable, formatTime } from './format.ts';
import { addJournalOptions, type JournalFlags, withJournal } from './journal-source.ts';
import type { Finish } from './options.ts';
import { exitCodes } from './report-error.ts';

/** `imodel explain`: why a call waited, how long for which reason, and what ended it. */
export function addExplain(program: Command, finish: Finish): void {
  addJournalOptions(program.command('explain'), 'the id of a served iModel, or ')
    .description('tell why a call waited, how long for which reason, and what ended it')
    .argument('<call>', 'the id of the call')
    .action(async (source: string, callId: string, flags: JournalFlags) => {
      const tell = (explanation: CallExplanation): number => {
        const text = flags.json === true ? JSON.stringify(explanation) : explanationLines(explanation).join('\n');
        process.stdout.write(`${text}\n`);
        return exitCodes.ok;
      };
      if (await isServed(source)) {
        finish(await withBus(flags, async (bus) => tell(await connect(bus).model(source).explain(callId))));
      } else finish(await withJournal(source, flags, (entries) => tell(explain(entries, callId))));
    });
}

/** Whether an iModel is meant, and not a journal: something that can be an id, and is no file. */
async function isServed(source: string): Promise<boolean> {
  if (streamIn(source) !== null || !/^[\w-]{1,64}$/.test(source)) return false;
  return !(await stat(source).then(
    () => true,
    () => false,
  ));
}

/** An explanation in lines: what became of the call, what happened in order, and what it waited for in sum. */
export function explanationLines(explanation: CallExplanation): string[] {
  const { phases, waited, submitted_at: submittedAt, ahead, ended, ended_at: endedAt } = explanation;
  const others = ahead === 0 ? 'nobody was' : ahead === 1 ? '1 call was' : `${ahead} calls were`;
  const came = `came${explanation.caller === '' ? '' : ` from ${explanation.caller}`}; ${others} waiting`;
  const story = [
    [formatTime(submittedAt), '', came],
    ...phases.map((phase) => [formatTime(phase.from), durationText(phase), phaseText(phase)]),
    ...(ended === null || endedAt === null ? [] : [[formatTime(endedAt), '', endingText(explanation)]]),
  ];
  const sum = Object.entries(waited)
    .sort(([, one], [, other]) => other - one)
    .map(([name, ms]) => `${formatDuration(ms)} for ${waitsFor[name as CallPhaseName]}`);
  return [
    headline(explanation),
    '',
    ...formatTable(story),
    '',
    sum.length === 0 ? 'It never waited.' : `It waited ${sum.join(', ')}.`,
  ];
}

function headline({ call_id: id, model_id: modelId, status, phases, ...rest }: CallExplanation): string {
  const last = rest.ended_at ?? phases.at(-1)?.from ?? rest.submitted_at;
  const ms = Math.max(0, last - rest.submitted_at);
  const earlier = rest.earlier === 0 ? '' : ` (${rest.earlier} earlier calls had the same id)`;
  return `${id} of ${modelId}: ${status}${rest.ended === null ? ', and has not ended' : ` after ${formatDuration(ms)}`}${earlier}`;
}

const waitsFor = {
  queue: 'a place in the queue',
  concurrency: 'a slot',
  requests: 'the request limit',
  tokens: 'the token limit',
  cooling: 'the vendor, which wanted no requests',
  paused: 'its iModel to go on',
  hook: 'hooks',
  backoff: 'its next attempt',
  stopped: 'another process, for its own was gone',
  unknown: 'nobody knows what, for entries are missing',
  attempt: 'its endpoint',
  fallback: 'another model',
  stopping: 'its transport to be gone',
} as const satisfies Record<CallPhaseName, string>;

const units: Partial<Record<CallPhaseName, string>> = {
  queue: 'calls are waiting',
  concurrency: 'calls are running',
  requests: 'requests are used',
  tokens: 'tokens are used',
};

function phaseText({ name, attempt, used, limit, due_at: dueAt, failure }: CallPhase): string {
  const doing = name === 'attempt' ? `attempt ${attempt}` : `waits for ${waitsFor[name]}`;
  const full = used === undefined ? [] : [`${used}${limit === undefined ? '' : ` of ${limit}`} ${units[name]}`];
  const due = dueAt === undefined ? [] : [`expected ${formatTime(dueAt)}`];
  const failed = failure === undefined ? [] : [`failed: ${failure.code}: ${failure.message}`];
  const details = [...full, ...due, ...failed];
  return details.length === 0 ? doing : `${doing}: ${details.join('; ')}`;
}

function durationText({ ms, until }: CallPhase): string {
  return until === null ? `${formatDuration(ms)} so far` : formatDuration(ms);
}

const endedBy = {
  endpoint: 'by its endpoint',
  fallback: 'by another model',
  caller: 'by its caller',
  deadline: 'by its deadline',
  hook: 'by a hook',
  queue: 'since the queue was full',
  limits: 'since its tokens are more than the limit',
  breaker: 'by the circuit breaker, which let nothing through',
  close: 'since its iModel was closed',
  restart: 'since the process that ran it was gone',
} as const satisfies Record<CallEnding, string>;

function endingText({ status, ended }: CallExplanation): string {
  if (ended === null) return '';
  const { failure } = ended;
  const why = failure === null ? '' : `: ${failure.code === status ? '' : `${failure.code}: `}${failure.message}`;
  return `${status} ${endedBy[ended.by]}${why}`;
}
