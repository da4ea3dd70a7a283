import type { CallRow, CallVerdict } from '../../../actors/call-row.ts';
import type { Clock } from '../../../actors/clock.ts';
import type { DispatcherEvent } from '../../../actors/dispatcher-events.ts';
import type { DispatcherEffects } from '../../../actors/dispatcher-input.ts';
import type { Failure } from '../../../schemas/failure.ts';
import type { CallOutcome } from '../../../schemas/hook.ts';
import type { Endpoint, EndpointReply, UpstreamNote } from '../../endpoints/endpoint.ts';
import { blamedOn } from '../../endpoints/unwritable.ts';
import { IModelError, seen, toFailure } from '../../errors.ts';
import type { ChunkOutlet } from '../../hooks/chunk-outlet.ts';
import type { ApiCalling } from './api-calling.ts';
import type { Caching } from './caching.ts';
import type { CallEntry, Running } from './call-entry.ts';
import { CallRun, type CallRunListener } from './call-run.ts';
import type { EndpointStanding } from './endpoint-standing.ts';
import { type FallbackPolicy, isWorthFallback, Rescue } from './fallback.ts';
import { writeAnswer } from './given-answer.ts';
import { HookedRun } from './hooked-run.ts';

/** How long an endpoint may take to tear its transport down before the call ends without it, in milliseconds. */
const stopGraceMs = 5_000;

/** Hears what happens to calls. Called synchronously; must not throw. */
export interface ExecutorObserver {
  /** An attempt is about to begin, and waits for what this returns; null when it need not wait. */
  starting(call: ApiCalling): Promise<void> | null;
  started(call: ApiCalling): void;
  answered(call: ApiCalling): void;
  retrying(call: ApiCalling, failure: Failure, delayMs: number): void;
  rescued(call: ApiCalling, failure: Failure): void;
  /** The upstream said something that no chunk carries. */
  noted(call: ApiCalling, note: UpstreamNote): void;
  ended(call: ApiCalling): void;
}

/** What an executor works with. */
export interface ExecutorOptions {
  readonly endpoint: Endpoint;
  readonly standing: EndpointStanding;
  readonly fallback: FallbackPolicy;
  readonly caching: Caching;
  readonly clock: Clock;
  readonly observer: ExecutorObserver;
  /** Whether the vendor has asked to be left alone. */
  readonly isCooling: () => boolean;
  /** A reply that names the session it belongs to. */
  readonly onSession: (sessionId: string) => void;
}

/**
 * Carries out what a dispatcher decides: runs calls on their endpoint, stops them, and reports back. It decides nothing itself.
 */
export class Executor implements DispatcherEffects {
  readonly #options: ExecutorOptions;
  /** Calls whose post hook runs, with what stops it. */
  readonly #finishing = new Map<CallRow, AbortController>();
  /** What attempts tell of; one for all of them, since a call has no time for closures of its own. */
  readonly #attempts: CallRunListener;
  #send: (event: DispatcherEvent) => void = () => {};

  constructor(options: ExecutorOptions) {
    const { observer, isCooling } = options;
    this.#options = options;
    this.#attempts = {
      withholds: isCooling,
      sent: ({ row }) => this.#send({ type: 'call.sent', row }),
      answered: ({ row, call }) => {
        this.#send({ type: 'call.answer', row });
        observer.answered(call);
      },
      learned: (limits) => this.#send({ type: 'limits.learned', limits }),
      noted: ({ call }, note) => observer.noted(call, note),
    };
  }

  /** Connects the executor to its dispatcher; before this it reports to nobody. */
  reportTo(send: (event: DispatcherEvent) => void): void {
    this.#send = send;
  }

  start(row: CallRow): void {
    const { observer, standing } = this.#options;
    const call = callOf(row);
    const upstream = this.#upstreamOf(call);
    call.own?.take();
    const run = new CallRun(call, row, this.#attempts);
    if (call.attempts === 0) observer.started(call);
    call.attempts = row.attempts;
    const recorded = observer.starting(call);
    const { hooks } = call;
    if (hooks === null || hooks.passed) {
      this.#follow(
        row,
        run,
        after(recorded, run, () => run.on(upstream)),
        standing,
      );
      return;
    }
    const hooked = new HookedRun(call, run, hooks, (isRunning) => this.#send({ type: 'call.hook', row, isRunning }));
    this.#follow(
      row,
      hooked,
      after(recorded, run, () => hooked.run(upstream)),
      standing,
    );
  }

  estimate(row: CallRow): number {
    return estimateOf(this.#options.endpoint, callOf(row));
  }

  ending(row: CallRow, event: CallVerdict['event'], failure: Failure | null): boolean {
    const call = callOf(row);
    const { hooks } = call;
    if (hooks === null || !hooks.passed || !hooks.has('post_invocation')) return false;
    const { clock } = this.#options;
    const outcome = outcomes[event] === 'cancelled' && call.isLeft ? 'closed' : outcomes[event];
    const error = failure === null ? null : errorFor(failure, call.entry?.error ?? call.cause);
    call.decide(outcome, failure, error, clock.now());
    const stop = new AbortController();
    this.#finishing.set(row, stop);
    call.own?.give();
    const after = () => hooks.after(call, outcome, stop.signal);
    const finish = (spoiled: IModelError | null): void => {
      this.#finishing.delete(row);
      call.own?.take();
      if (spoiled !== null && call.entry !== null) call.entry.error = spoiled;
      this.#send({ type: 'call.finish', row, failure: spoiled?.failure ?? null });
    };
    // Hooks do not make it fail; whatever does must not leave the call without an end.
    (call.span?.within(after) ?? after()).then(finish, (cause) => finish(new IModelError(toFailure(cause), { cause })));
    return true;
  }

  retrying(row: CallRow, failure: Failure, delayMs: number): void {
    this.#options.observer.retrying(callOf(row), failure, delayMs);
  }

  rescue(row: CallRow, failure: Failure): boolean {
    const { fallback, clock, observer } = this.#options;
    if (fallback.models.length === 0 || !isWorthFallback(fallback, failure)) return false;
    const call = callOf(row);
    const { deadlineAt } = row;
    const rescue = new Rescue(call, fallback, {
      caller: row.caller,
      priority: row.priority,
      weight: row.weight,
      ...(deadlineAt === Number.POSITIVE_INFINITY ? {} : { timeoutMs: Math.max(1, deadlineAt - clock.now()) }),
      ...call.trace,
    });
    const first = errorFor(failure, call.entry?.error ?? null);
    observer.rescued(call, failure);
    this.#follow(row, rescue, () => rescue.run(first), null);
    return true;
  }

  stop(row: CallRow, failure: Failure): void {
    const finishing = this.#finishing.get(row);
    if (finishing !== undefined) {
      const timer = this.#options.clock.setTimeout(() => finishing.abort(new IModelError(failure)), stopGraceMs);
      callOf(row).onEnd(() => this.#options.clock.clearTimeout(timer));
      return;
    }
    const { entry } = callOf(row);
    if (entry === null) return;
    const { clock, endpoint } = this.#options;
    const graceMs = endpoint.stopGraceMs ?? stopGraceMs;
    entry.graceTimer = clock.setTimeout(() => this.#settle(row, entry, failure, null), graceMs);
    callOf(row).outlet?.stop(new IModelError(failure));
    entry.running.stop(failure);
  }

  ended(row: CallRow, failure: Failure | null): void {
    const call = callOf(row);
    const { entry } = call;
    call.entry = null;
    call.attempts = row.attempts;
    entry?.running.release?.();
    const error = failure === null ? null : errorFor(failure, call.cause ?? entry?.error ?? null);
    call.end(failure, error, this.#options.clock.now());
    this.#options.observer.ended(call);
  }

  /** Who answers a call: its endpoint, or the cache in front of it. */
  #upstreamOf(call: ApiCalling): Pick<Endpoint, 'run'> {
    const { endpoint, caching } = this.#options;
    return call.isCached && call.sink === null ? caching.cache : endpoint;
  }

  /** Runs something for a call and reports how it ended. */
  #follow(row: CallRow, running: Running, run: () => Promise<EndpointReply>, standing: EndpointStanding | null): void {
    const call = callOf(row);
    const entry: CallEntry = { running, error: null, graceTimer: undefined };
    call.entry = entry;
    let reply: Promise<EndpointReply>;
    try {
      reply = run();
    } catch (error) {
      reply = Promise.reject(error);
    }
    call.own?.give();
    if (call.outlet !== null) reply = passedOn(reply, call, call.outlet);
    const failed = (thrown: unknown): void => {
      call.own?.take();
      const error = blamedOn(call.payload, seen(thrown));
      entry.error = error;
      const received = IModelError.is(error) ? error.partial : undefined;
      const partial = received === undefined ? undefined : (call.outlet?.amend(received) ?? received);
      if (partial !== undefined) {
        call.bring(partial);
        // The error is its reader's to look into.
        (error as IModelError).partial = partial;
      }
      const failure = toFailure(error);
      const isTold = running.isVetoed !== true && running.isWithheld !== true && failure.code !== 'vetoed';
      if (isTold) standing?.note(failure);
      this.#settle(row, entry, failure, partial?.view.usage?.totalTokens ?? null);
    };
    reply.then((brought) => {
      call.own?.take();
      try {
        const { sessionId, view, isUnasked = false } = brought;
        call.bring(brought);
        if (!isUnasked) standing?.note(null);
        if (sessionId) this.#options.onSession(sessionId);
        this.#settle(row, entry, null, view.usage?.totalTokens ?? null, isUnasked);
      } catch (error) {
        // An endpoint of somebody else's may bring what is no reply; its call must end all the same.
        failed(error);
      }
    }, failed);
  }

  #settle(row: CallRow, entry: CallEntry, failure: Failure | null, tokens: number | null, isUnasked = false): void {
    if (entry.graceTimer !== undefined) this.#options.clock.clearTimeout(entry.graceTimer);
    // An attempt that was given up and ends after all says nothing of the one that follows it.
    if (callOf(row).entry !== entry) return;
    const { running } = entry;
    if (running.isWithheld === true && failure !== null) {
      callOf(row).own?.give();
      this.#send({ type: 'call.withhold', row });
    } else {
      const { isDelivered, isVetoed = false } = running;
      this.#send({ type: 'call.settle', row, failure, tokens, isDelivered, isUnasked: isUnasked || isVetoed });
    }
  }
}

/** How many tokens a call will need. What an endpoint of somebody else's answers instead of a number counts as 0. */
export function estimateOf(endpoint: Endpoint, { payload }: ApiCalling): number {
  try {
    const tokens = endpoint.estimateTokens(payload);
    return Number.isNaN(tokens) ? 0 : Math.max(tokens, 0);
  } catch {
    return 0;
  }
}

const outcomes = {
  'call.complete': 'completed',
  'call.fail': 'failed',
  'call.cancel': 'cancelled',
  'call.abort': 'aborted',
} as const satisfies Record<CallVerdict['event'], CallOutcome>;

/** Begins when what must be done before is done, unless the attempt was stopped meanwhile. */
function after(
  done: Promise<void> | null,
  attempt: CallRun,
  begin: () => Promise<EndpointReply>,
): () => Promise<EndpointReply> {
  if (done === null) return begin;
  return async () => {
    await done;
    if (attempt.aborted) throw attempt.reason;
    return begin();
  };
}

/** Ends when the reader has what its hooks let through, with as much of the reply as that reader may know. */
async function passedOn(reply: Promise<EndpointReply>, call: ApiCalling, outlet: ChunkOutlet): Promise<EndpointReply> {
  let brought: EndpointReply;
  try {
    brought = await reply;
  } catch (error) {
    // What came before the failure is judged all the same; that it failed is what the reader is told.
    await outlet.finish().catch(() => {});
    throw error;
  }
  if (call.sink === null) writeAnswer(outlet, brought.view);
  try {
    await outlet.finish();
  } catch (error) {
    if (IModelError.is(error)) error.partial = outlet.amend(brought);
    throw error;
  }
  return outlet.amend(brought);
}

function callOf(row: CallRow): ApiCalling {
  // Rows are made by the iModel with the call as their handle.
  return row.handle as ApiCalling;
}

function errorFor(failure: Failure, thrown: unknown): IModelError {
  if (IModelError.is(thrown) && thrown.failure === failure) return thrown;
  return new IModelError(failure, thrown === null ? {} : { cause: thrown });
}
