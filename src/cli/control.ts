import { Argument, type Command } from 'commander';
import type { ControlRequest } from '../../schemas/wire.ts';
import { connect } from '../runtime/remote/remote-model.ts';
import { type BusFlags, withBus } from './bus-command.ts';
import { addNatsOptions, type Finish, jsonOption, parseCount, parseLimit } from './options.ts';
import { exitCodes, UsageError } from './report-error.ts';
import { printState } from './state.ts';

const actions = ['pause', 'resume', 'drain', 'close', 'limits', 'reset'] as const;

interface ControlFlags extends BusFlags {
  readonly limitRequests?: number | 'none';
  readonly limitTokens?: number | 'none';
  readonly concurrencyLimit?: number | 'none';
  readonly queueCapacity?: number;
}

/** `imodel control`: changes what an iModel does, on every node that serves it. */
export function addControl(program: Command, finish: Finish): void {
  addNatsOptions(program.command('control'), 'the NATS server it is served on (default: nats://127.0.0.1:4222)')
    .description('pause, resume, drain or close a served iModel, change its limits, or forget what was used of them')
    .argument('<id>', 'the id of the iModel')
    .addArgument(new Argument('<action>', 'what it shall do').choices(actions))
    .option('--limit-requests <n>', 'starts per window, or none', parseLimit)
    .option('--limit-tokens <n>', 'tokens per window, or none', parseLimit)
    .option('--concurrency-limit <n>', 'calls at once, or none', parseLimit)
    .option('--queue-capacity <n>', 'calls that may wait', parseCount)
    .addOption(jsonOption('print the state afterwards as JSON'))
    .action(async (id: string, action: (typeof actions)[number], flags: ControlFlags) => {
      const request = controlRequest(action, flags);
      finish(
        await withBus(flags, async (bus) => {
          printState(await connect(bus).model(id).control(request), flags.json === true);
          return exitCodes.ok;
        }),
      );
    });
}

function controlRequest(action: (typeof actions)[number], flags: ControlFlags): ControlRequest {
  const { limitRequests, limitTokens, concurrencyLimit, queueCapacity } = flags;
  const limits = {
    ...(limitRequests === undefined ? {} : { limit_requests: limitOf(limitRequests) }),
    ...(limitTokens === undefined ? {} : { limit_tokens: limitOf(limitTokens) }),
    ...(concurrencyLimit === undefined ? {} : { concurrency_limit: limitOf(concurrencyLimit) }),
    ...(queueCapacity === undefined ? {} : { queue_capacity: queueCapacity }),
  };
  const [first] = Object.keys(limits);
  if (action === 'limits' && first === undefined) {
    throw new UsageError('Expected a limit to change, such as --limit-requests 100 or --limit-tokens none');
  }
  if (action !== 'limits' && first !== undefined) {
    throw new UsageError(`Expected limits only with the action \`limits\`, got \`${action}\` with \`${first}\``);
  }
  return action === 'limits' ? { action, ...limits } : { action };
}

function limitOf(flag: number | 'none'): number | null {
  return flag === 'none' ? null : flag;
}
