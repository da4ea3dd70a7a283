import { type Failure, failureCodes, failureOf } from '../../schemas/failure.ts';
import { IModelError, toFailure } from '../errors.ts';

/** What HTTP has a status for and the union of failures no code: a path or a model that is not there, a key that is not known. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  /** The word by which OpenAI's clients know it. */
  readonly reason: string;
  readonly path: string | undefined;

  constructor(status: number, reason: string, message: string, path?: string) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.path = path;
  }
}

/** A failure with the status it is answered with. */
export interface Answerable {
  readonly failure: Failure;
  readonly status: number;
  /** Set for what has no failure code of its own. */
  readonly reason?: string;
}

/** Phases of a time-out in which the call had not begun. */
const waitingPhases: ReadonlySet<string> = new Set(['queue', 'paused', 'concurrency', 'rate']);

/** The status that a failure is answered with: its code's own, but 429 for a call whose time ran out while it waited for its turn. */
export function statusOf(failure: Failure): number {
  if (failure.code === 'timed_out' && waitingPhases.has(failure.phase)) return 429;
  return failureCodes[failure.code].http;
}

/** Words for what the HTTP server refuses by itself. */
const serverReasons: ReadonlyMap<number, string> = new Map([
  [413, 'payload_too_large'],
  [415, 'unsupported_media_type'],
]);

/** Whatever was thrown, as it is answered: our errors, the gateway's refusals, and what the HTTP server says of a request it cannot read. */
export function answerable(thrown: unknown): Answerable {
  if (thrown instanceof Refusal) {
    const { message, path, status, reason } = thrown;
    return { failure: failureOf('invalid_request', message, path === undefined ? {} : { path }), status, reason };
  }
  if (!IModelError.is(thrown)) {
    const { statusCode, message } = thrown as { statusCode?: unknown; message?: unknown };
    if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
      const failure = failureOf('invalid_request', String(message), {});
      const reason = serverReasons.get(statusCode);
      return { failure, status: statusCode, ...(reason === undefined ? {} : { reason }) };
    }
    // What went wrong inside is for the log, not for strangers.
    return { failure: failureOf('internal', 'The gateway failed', {}), status: 500 };
  }
  const failure = toFailure(thrown);
  return { failure, status: statusOf(failure) };
}
