import type { Command } from 'commander';
import type { CallOptions } from '../../schemas/imodel.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { type Interrupt, listenForInterrupt } from './interrupt.ts';
import { addNatsOptions, jsonOption, parseDuration } from './options.ts';
import { readRequest } from './prompt.ts';
import { UsageError } from './report-error.ts';
import { openTarget, type Target, type TargetFlags } from './target.ts';

/** The flags that `invoke` and `stream` share. */
export interface CallFlags extends TargetFlags {
  readonly model?: string;
  readonly request?: string;
  /** Milliseconds. */
  readonly timeout?: number;
}

/** Gives a command the arguments and flags of a call. */
export function withCallFlags(command: Command): Command {
  return addNatsOptions(command, 'reach a served model by its id over this NATS server')
    .argument('[model]', 'a model such as openai/gpt-4o-mini, or the id of one that is served or configured')
    .argument('[prompt...]', 'the prompt; - stands for stdin, which is read too when there are no words')
    .option('--model <model>', 'the model, when every word is the prompt')
    .option('-c, --config <file>', 'run a model of this configuration file, by its id')
    .option('--base-url <url>', 'where the model lives: any host that speaks its protocol')
    .option('--request <json>', 'fields of the request (temperature, tools, …) as JSON, or @file')
    .option('--timeout <time>', 'end the call after this time: 30, 1.5s, 500ms, 2m', parseDuration)
    .addOption(jsonOption());
}

/** A call that is ready to be made. */
export interface PreparedCall {
  readonly target: Target;
  readonly request: Fields;
  readonly options: CallOptions;
  readonly interrupt: Interrupt;
}

/**
 * Reads the request, finds the model, runs the call, and cleans up after it.
 *
 * @param act - Makes the call and prints it; returns the exit code.
 * @returns Its exit code, or that of the signal which interrupted it.
 */
export async function runCall(
  name: string | undefined,
  words: readonly string[],
  flags: CallFlags,
  act: (call: PreparedCall) => Promise<number>,
): Promise<number> {
  const all = flags.model === undefined || name === undefined ? words : [name, ...words];
  const model = flags.model ?? name;
  if (model === undefined)
    throw new UsageError('Expected a model such as openai/gpt-4o-mini, or the id of a served one');
  const request = await readRequest({ words: all, request: flags.request, stdin: process.stdin });
  const interrupt = listenForInterrupt();
  let target: Target | undefined;
  try {
    target = await openTarget(model, flags, interrupt.signal);
    const timeout = flags.timeout === undefined ? {} : { timeoutMs: flags.timeout };
    const code = await act({ target, request, interrupt, options: { signal: interrupt.signal, ...timeout } });
    return interrupt.exitCode ?? code;
  } catch (error) {
    // What was asked for by a signal is no failure; the code says how it ended.
    if (interrupt.exitCode === null) throw error;
    if (flags.json !== true) process.stderr.write(`${(interrupt.signal.reason as Error).message}\n`);
    return interrupt.exitCode;
  } finally {
    await target?.close();
    interrupt.release();
  }
}
