import { CallerTicket, type CallerUse } from '../../actors/caller-ticket.ts';
import { IModelError } from '../errors.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';
import { systemClock } from '../runtime/system-clock.ts';
import type { Caller } from './caller.ts';

/** How a request comes to the gate of its caller. */
export interface AdmissionInput {
  readonly modelId: string;
  readonly callId: string;
  readonly estimate: CallerUse;
  readonly priority: number;
  /** Milliseconds it may wait. */
  readonly waitMs: number;
  /** Takes it back. */
  readonly signal: AbortSignal | undefined;
}

/** One request that its caller's limits have let in. */
export class Admission {
  /** How long it waited, in milliseconds. */
  readonly waitedMs: number;
  readonly #caller: Caller;
  readonly #ticket: CallerTicket;

  constructor(caller: Caller, ticket: CallerTicket, waitedMs: number) {
    this.#caller = caller;
    this.#ticket = ticket;
    this.waitedMs = waitedMs;
  }

  /**
   * Ends it. A second call changes nothing.
   *
   * @param call - What came of it, ended; null gives everything back.
   */
  settle(call: ApiCalling | null): void {
    const used = call === null ? { tokens: 0, costMicros: 0 } : usedBy(call, this.#ticket.estimate);
    this.#caller.gate.settle(this.#ticket, used);
  }
}

/**
 * Brings a request to the gate of its caller.
 *
 * @returns The admission; a promise of it when the request has to wait.
 * @throws IModelError What the request is refused with: `rate_limited`, `queue_full`, `estimate_too_large`, `timed_out`; the signal's reason.
 */
export function enter(caller: Caller, input: AdmissionInput): Admission | Promise<Admission> {
  const { modelId, callId, estimate, priority, waitMs, signal } = input;
  if (caller.heldFor(modelId, callId) !== undefined)
    throw IModelError.of('conflict', 'A call with this id waits already', {});
  signal?.throwIfAborted();
  const now = systemClock.now();
  let outcome: Admission | IModelError | null = null;
  let tell = (_outcome: Admission | IModelError): void => {};
  const settle = (result: Admission | IModelError): void => {
    outcome = result;
    tell(result);
  };
  const ticket = new CallerTicket({
    estimate,
    priority,
    deadlineAt: now + waitMs,
    admit: () => settle(new Admission(caller, ticket, systemClock.now() - now)),
    refuse: (failure) => settle(new IModelError(failure)),
  });
  caller.gate.enter(ticket);
  if (outcome !== null) return admitted(outcome);
  return new Promise<Admission>((resolve, reject) => {
    const leave = (reason: unknown): void => {
      if (caller.gate.leave(ticket)) settle(cancelled(reason));
    };
    const abort = (): void => leave(signal?.reason);
    const release = caller.hold({ modelId, callId, heldAt: now, leave });
    signal?.addEventListener('abort', abort, { once: true });
    tell = (result) => {
      release();
      signal?.removeEventListener('abort', abort);
      if (result instanceof Admission) resolve(result);
      else reject(result);
    };
  });
}

function admitted(outcome: Admission | IModelError): Admission {
  if (outcome instanceof Admission) return outcome;
  throw outcome;
}

function cancelled(reason: unknown): IModelError {
  if (IModelError.is(reason)) return reason;
  const text = typeof reason === 'string' ? reason : 'taken back';
  return IModelError.of('cancelled', `The request was cancelled: ${text}`, { reason: text });
}

/** What counts once a call has ended: what was reported; without a report what was expected, unless nobody can have been paid for anything. */
function usedBy(call: ApiCalling, estimate: CallerUse): CallerUse {
  const { usage, failure, cost } = call;
  const unused = call.attempts === 0 || (failure?.source === 'provider' && call.chunks === 0);
  if (usage === null && unused) return { tokens: 0, costMicros: 0 };
  // A stream that broke off has not told what it used; a chunk holds a token, more or less.
  const tokens = usage?.totalTokens ?? Math.max(estimate.tokens, call.chunks);
  return { tokens, costMicros: cost === null ? estimate.costMicros : Math.ceil(cost * 1_000_000) };
}
