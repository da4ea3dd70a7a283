import type { Failure } from '../../schemas/failure.ts';
import { IModelError, toFailure } from '../errors.ts';
import { formatDuration } from './format.ts';

/** How the program ends. An interrupted one ends with 128 and the number of its signal. */
export const exitCodes = { ok: 0, failed: 1, usage: 2 } as const;

/** Words or values on the command line that make no sense. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/**
 * Says on stderr, or as JSON on stdout, why a command did not do its work.
 *
 * @returns The exit code that fits.
 */
export function reportError(error: unknown, { json }: { readonly json: boolean }): number {
  if (error instanceof UsageError) {
    if (json) printFailure({ code: 'invalid_request', message: error.message, retryable: false, source: 'runtime' });
    else process.stderr.write(`error: ${error.message}\n`);
    return exitCodes.usage;
  }
  const failure = toFailure(error);
  if (json) printFailure(failure);
  else process.stderr.write(`error: ${describeFailure(failure)}\n${stackOf(error, failure)}`);
  return failure.code === 'config' ? exitCodes.usage : exitCodes.failed;
}

/** A failure in one line for people: what happened, its code, and what may help. */
export function describeFailure(failure: Failure): string {
  const wait = failure.retryAfterMs === undefined ? '' : `; try again in ${formatDuration(failure.retryAfterMs)}`;
  const hint = failure.code === 'no_responder' ? '; `imodel ls` shows who is there' : '';
  return `${failure.message} (${failure.code})${wait}${hint}`;
}

function printFailure(failure: Failure): void {
  process.stdout.write(`${JSON.stringify({ failure })}\n`);
}

/** Our own faults are shown with where they happened; failures of the world are not. */
function stackOf(error: unknown, failure: Failure): string {
  return failure.code === 'internal' && !IModelError.is(error) && error instanceof Error ? `${error.stack}\n` : '';
}
