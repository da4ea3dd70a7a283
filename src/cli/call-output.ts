import type { ToolUse } from '../../schemas/chunk.ts';
import { IModelError } from '../errors.ts';
import { ApiCalling } from '../runtime/calls/api-calling.ts';
import { RemoteCall } from '../runtime/remote/remote-call.ts';
import { faint, formatCost, formatDuration, formatUsage } from './format.ts';

/** The call inside an error that `invoke` or a stream threw; undefined for errors without one. */
export function callOf(error: unknown): ApiCalling | RemoteCall | undefined {
  if (!IModelError.is(error)) return undefined;
  const { call } = error;
  return call instanceof ApiCalling || call instanceof RemoteCall ? call : undefined;
}

/** Prints a value as one line of JSON. */
export function printJson(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** A tool the model asks for, as people read it. */
export function describeToolUse({ name, input, rawArguments }: ToolUse): string {
  return `[tool] ${name} ${rawArguments ?? JSON.stringify(input)}`;
}

/** Says on a terminal how long it took and what it used. */
export function printSummary(call: ApiCalling | RemoteCall): void {
  if (!process.stderr.isTTY) return;
  const parts = [
    call.status,
    ...(call.duration === null ? [] : [formatDuration(call.duration * 1_000)]),
    ...(call.usage === null ? [] : [formatUsage(call.usage)]),
    ...(call.cost === null ? [] : [formatCost(call.cost)]),
    ...(call.finishReason === null || call.finishReason === 'stop' ? [] : [`ended by ${call.finishReason}`]),
  ];
  process.stderr.write(`${faint(parts.join(', '), process.stderr)}\n`);
}
