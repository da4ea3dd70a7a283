import type { Command } from 'commander';
import { type CallFlags, type PreparedCall, runCall, withCallFlags } from './call-command.ts';
import { callOf, describeToolUse, printJson, printSummary } from './call-output.ts';
import type { Finish } from './options.ts';
import { Progress } from './progress.ts';
import { describeFailure, exitCodes } from './report-error.ts';

/** `imodel invoke`: one call, printed when it has ended. */
export function addInvoke(program: Command, finish: Finish): void {
  withCallFlags(program.command('invoke').description('run one call and print its answer')).action(
    async (name: string | undefined, words: string[], flags: CallFlags) =>
      finish(await runCall(name, words, flags, (call) => invoke(call, flags.json === true))),
  );
}

async function invoke({ target, request, options }: PreparedCall, json: boolean): Promise<number> {
  const progress = new Progress(process.stderr, json);
  progress.show(`waiting for ${target.name}`);
  try {
    const call = await target.invoke(request, options);
    progress.stop();
    if (json) {
      printJson(call.toWire());
    } else if (call.failure !== null) {
      process.stderr.write(`error: ${describeFailure(call.failure)}\n`);
    } else {
      const lines = [...(call.text === '' ? [] : [call.text]), ...call.toolUses.map(describeToolUse)];
      process.stdout.write(`${lines.join('\n')}\n`);
      printSummary(call);
    }
    return call.status === 'completed' ? exitCodes.ok : exitCodes.failed;
  } catch (error) {
    const call = callOf(error);
    if (!json || call === undefined) throw error;
    printJson(call.toWire());
    return exitCodes.failed;
  } finally {
    progress.stop();
  }
}
