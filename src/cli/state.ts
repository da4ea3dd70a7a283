import type { Command } from 'commander';
import type { ModelState } from '../../schemas/state.ts';
import { connect } from '../runtime/remote/remote-model.ts';
import { type BusFlags, withBus } from './bus-command.ts';
import { formatDuration, formatTable } from './format.ts';
import { addNatsOptions, type Finish, jsonOption } from './options.ts';
import { exitCodes } from './report-error.ts';

/** `imodel state`: what one iModel is doing. */
export function addState(program: Command, finish: Finish): void {
  addNatsOptions(program.command('state'), 'the NATS server it is served on (default: nats://127.0.0.1:4222)')
    .description('show what a served iModel is doing: queue, limits, counters')
    .argument('<id>', 'the id of the iModel')
    .addOption(jsonOption('print the state as JSON'))
    .action(async (id: string, flags: BusFlags) => {
      finish(
        await withBus(flags, async (bus) => {
          printState(await connect(bus).model(id).state(), flags.json === true);
          return exitCodes.ok;
        }),
      );
    });
}

/** Prints a state: aligned for people, or as one line of JSON. */
export function printState(state: ModelState, json: boolean): void {
  const text = json ? JSON.stringify(state) : stateLines(state).join('\n');
  process.stdout.write(`${text}\n`);
}

/** A state in aligned lines. */
export function stateLines(state: ModelState): string[] {
  const { queue, budget, counters } = state;
  const ended = ['completed', 'failed', 'cancelled', 'aborted', 'skipped'] as const;
  return formatTable([
    [state.id, `${state.mode}${state.blocked === null ? '' : `, waits for ${waitsFor[state.blocked]}`}`],
    ['model', `${state.provider}/${state.model} (${state.endpoint})`],
    ['running', `${state.running}${state.concurrency_limit === null ? '' : ` of ${state.concurrency_limit} at once`}`],
    ['waiting', `${queue.waiting} of ${queue.capacity}${queue.outside > 0 ? `, ${queue.outside} for a place` : ''}`],
    ['requests', budgetText(budget.requests, budget.window_ms)],
    ['tokens', budgetText(budget.tokens, budget.window_ms)],
    [
      'so far',
      ended
        .filter((name) => counters[name] > 0)
        .map((name) => `${counters[name]} ${name}`)
        .join(', ') || 'no call has ended',
    ],
  ]);
}

const waitsFor = {
  rate: 'its rate limit',
  cooling: 'its vendor, which wants no requests',
  concurrency: 'a running call to end',
  paused: 'being resumed',
} as const satisfies Record<NonNullable<ModelState['blocked']>, string>;

function budgetText({ limit, used }: ModelState['budget']['requests'], windowMs: number): string {
  return limit === null ? 'no limit' : `${used} of ${limit} in ${formatDuration(windowMs)}`;
}
