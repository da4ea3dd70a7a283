import { writeActor } from '../../../actors/actor-state.ts';
import { stepCall } from '../../../actors/call.ts';
import { CallRow } from '../../../actors/call-row.ts';
import type { Clock } from '../../../actors/clock.ts';
import type { DispatcherLimits, ResiliencePolicy } from '../../../actors/dispatcher-input.ts';
import { restoreRow } from '../../../actors/dispatcher-state.ts';
import type { DispatcherView } from '../../../actors/dispatcher-view.ts';
import { type ModelRegions, modeOf } from '../../../actors/imodel.ts';
import type { Usage } from '../../../schemas/chunk.ts';
import { type Failure, failureOf } from '../../../schemas/failure.ts';
import type { CallOptions, JournalOptions } from '../../../schemas/imodel.ts';
import type { LiveState } from '../../../schemas/live-state.ts';
import type { PriceTable } from '../../../schemas/prices.ts';
import type { ControlRequest } from '../../../schemas/wire.ts';
import type { Endpoint, Fields } from '../../endpoints/endpoint.ts';
import { IModelError, toFailure } from '../../errors.ts';
import { CallSpan } from '../../telemetry/call-span.ts';
import { environmentWantsContent } from '../../telemetry/content.ts';
import { OwnTime } from '../../telemetry/own-time.ts';
import { namedTrace } from '../../telemetry/trace-headers.ts';
import { costOf } from '../../tokens/prices.ts';
import type { ApiCalling } from '../calls/api-calling.ts';
import type { Caching } from '../calls/caching.ts';
import { CallMaker } from '../calls/call-maker.ts';
import type { CallOwner } from '../calls/call-owner.ts';
import { EndpointStanding } from '../calls/endpoint-standing.ts';
import { Executor, estimateOf } from '../calls/executor.ts';
import type { FallbackPolicy } from '../calls/fallback.ts';
import { answerAtOnce } from '../calls/given-answer.ts';
import { onAbort } from '../calls/on-abort.ts';
import type { PreparedRequest } from '../calls/prepare-request.ts';
import { changedLimits } from '../policies.ts';
import { credentialsIn, giveAgain } from '../state/credentials.ts';
import { readLiveCall, writeLiveCalls } from '../state/live-calls.ts';
import { CallReports } from './call-reports.ts';
import { LastingActor } from './lasting-actor.ts';
import type { LiveActor } from './live-actor.ts';
import { ModelEvents } from './model-events.ts';
import { type HookOptions, ModelHooks } from './model-hooks.ts';
import { ModelJournal } from './model-journal.ts';

/** What a live model is made from. @internal */
export interface LiveModelOptions {
  readonly id: string;
  readonly endpoint: Endpoint;
  readonly limits: DispatcherLimits;
  readonly resilience: ResiliencePolicy;
  readonly fallback: FallbackPolicy;
  readonly hooks: HookOptions;
  /** The session that the next call resumes; null when there is none. */
  readonly sessionId: () => string | null;
  readonly random: () => number;
  /** What tokens cost; null when nobody says. */
  readonly prices: PriceTable | null;
  readonly caching: Caching;
  /** What is written down of what its actor hears; null for nothing. */
  readonly journal: JournalOptions | null;
  readonly clock: Clock;
  /** Whether the spans of its calls hold prompts and answers. @defaultValue what the environment asks for */
  readonly traceContent: boolean | undefined;
  readonly createId: () => string;
  readonly onSession: (sessionId: string) => void;
}

/**
 * The running actor of one iModel, bound to its endpoint: the only place that knows both. Everything that happens to a call goes
 * through here.
 *
 * @internal
 */
export class LiveModel implements CallOwner {
  readonly id: string;
  readonly clock: Clock;
  readonly endpoint: Endpoint;
  /** What observers are told. */
  readonly events: ModelEvents;
  /** What its actor hears, written down. */
  readonly journal: ModelJournal;
  /** Who is told what happens to its calls. */
  readonly reports: CallReports;
  /** How the endpoint stands with its upstream. */
  readonly standing = new EndpointStanding();
  /** Whether the chunks of streams are kept for a while for those who want to see them too: true once it is served on a bus. */
  keepsChunks = false;
  /** The calls that {@link restore} brought, oldest first. */
  restoredCalls: readonly ApiCalling[] = [];
  /** Makes its calls. */
  readonly maker: CallMaker;
  readonly #traceContent: boolean | undefined;
  readonly hooks: ModelHooks;
  readonly #prices: PriceTable | null;
  readonly caching: Caching;
  readonly #machine: LastingActor;
  /** Calls whose id their caller chose, and so may ask for. */
  readonly #named = new Map<string, ApiCalling>();
  #closing: Promise<void> | null = null;

  constructor(options: LiveModelOptions) {
    this.id = options.id;
    this.clock = options.clock;
    this.events = new ModelEvents(options.id, options.clock);
    this.endpoint = options.endpoint;
    this.#traceContent = options.traceContent;
    this.hooks = new ModelHooks({
      ...options.hooks,
      modelId: this.id,
      clock: this.clock,
      events: this.events,
      fail: (call, error) => this.fail(call, error),
    });
    this.#prices = options.prices;
    this.caching = options.caching;
    const { clock, endpoint, limits, resilience, fallback, random, onSession, sessionId, createId } = options;
    this.maker = new CallMaker({
      ...{ endpoint, clock, sessionId, createId, owner: this },
      caching: this.caching,
      hooks: this.hooks,
      hasFallbacks: fallback.models.length > 0,
    });
    this.journal = new ModelJournal({
      ...{ options: options.journal, modelId: this.id, endpoint, clock, resilience },
      actor: () => this.actor,
      isNamed: (callId) => this.#named.has(callId),
    });
    this.reports = new CallReports(this.events, this.journal);
    const executor = new Executor({
      ...{ endpoint, fallback, clock, onSession },
      standing: this.standing,
      caching: this.caching,
      observer: this.reports,
      isCooling: () => this.actor.dispatcher.isCooling,
    });
    this.#machine = new LastingActor({
      ...{ limits, resilience, clock, random, executor, journal: this.journal },
      turned: (before, regions) => this.events.turn(before, regions),
      abort: (call, row, cause) => this.#abort(call, row, cause),
    });
    this.journal.begin();
    this.#machine.tell({ type: 'model.start' });
  }

  /** The machine behind it. Another one takes its place when it fails. */
  get actor(): LiveActor {
    return this.#machine.current;
  }

  /** What the regions of the machine say. */
  get regions(): ModelRegions {
    return this.actor.regions;
  }

  /** The strictest mode, in one word. */
  get mode() {
    return modeOf(this.regions, this.actor.dispatcher.view());
  }

  /** Whether prompts and answers may be recorded where its calls are told of. */
  get recordsContent(): boolean {
    return this.#traceContent ?? environmentWantsContent();
  }

  view(): DispatcherView {
    return this.actor.dispatcher.view();
  }

  /** Its calls that have not ended, oldest first. */
  rows(): CallRow[] {
    return this.actor.dispatcher.rows();
  }

  renew(call: ApiCalling, payload: Fields, transport: Fields, metadata: Record<string, unknown>): ApiCalling {
    return this.maker.renew(call, payload, transport, metadata);
  }

  prepare(request: Fields): PreparedRequest {
    return this.maker.prepare(request);
  }

  costOf({ payload: { model } }: Pick<ApiCalling, 'payload'>, usage: Usage | null): number | null {
    if (this.#prices === null) return null;
    const { kwargs, provider } = this.endpoint.config;
    return costOf(usage, `${provider}/${String(model ?? kwargs.model ?? '')}`, this.#prices);
  }

  /** Ends a call that was never submitted. */
  skip(call: ApiCalling, error: IModelError): void {
    const row = new CallRow({ id: call.id, handle: call });
    row.state = stepCall(row.state, 'call.skip');
    call.submitAs(row);
    call.end(error.failure, error, this.clock.now());
  }

  /**
   * Hands a pending call to the actor. Never throws: a call that is refused has ended when this returns.
   *
   * @param isElsewhere - Its caller is in another process, so that the trace that is active here is not its own.
   */
  submit(call: ApiCalling, options: CallOptions, isElsewhere = false): void {
    if (this.events.isObserved) call.own = new OwnTime();
    const now = this.clock.now();
    const countsTokens = this.actor.dispatcher.limits.window.tokens !== null;
    const row = new CallRow({
      id: call.id,
      handle: call,
      streaming: call.sink !== null,
      tokens: countsTokens ? estimateOf(this.endpoint, call) : 0,
      caller: options.caller,
      priority: options.priority,
      weight: options.weight,
      deadlineAt: options.timeoutMs === undefined ? undefined : now + options.timeoutMs,
      queueDeadlineAt: options.queueTimeoutMs === undefined ? undefined : now + options.queueTimeoutMs,
      countedFrom: now,
    });
    this.hooks.attach(call);
    this.hooks.placeOutlet(call);
    call.submitAs(row);
    this.#follow(call, options, isElsewhere);
    if (this.actor.isStopped) {
      this.#refuse(call);
      return;
    }
    if (options.callId !== undefined) this.#name(call, options.callId);
    this.events.call('created', call);
    if (options.signal?.aborted === true) {
      this.cancel(call, options.signal.reason);
      return;
    }
    const kept = this.regions.life === 'running' ? this.caching.kept(call) : null;
    if (kept !== null) {
      answerAtOnce(call, kept, this.clock.now());
      this.events.call('post_invocation', call);
      return;
    }
    const { actor } = this;
    actor.send({ type: 'call.submit', row });
    if (actor.fault !== null) this.#abort(call, row, actor.fault);
    if (call.status === 'pending') {
      call.waitReason = this.view().blocked ?? 'turn';
      call.span?.queued(call.waitReason);
      call.own?.give();
      this.events.call('queued', call);
    }
    if (options.signal !== undefined) this.#watch(call, options.signal);
  }

  cancel(call: ApiCalling, reason?: unknown): void {
    if (call.ended) return;
    const text = reason instanceof Error ? reason.message : typeof reason === 'string' ? reason : undefined;
    const message = text === undefined ? 'The call was cancelled' : `The call was cancelled: ${text}`;
    this.#end(call, failureOf('cancelled', message, text === undefined ? {} : { reason: text }), reason ?? null);
  }

  fail(call: ApiCalling, error: unknown): void {
    if (call.ended) return;
    this.#end(call, toFailure(error), error);
  }

  /** The call whose caller chose this id, while it has not ended. */
  namedCall(callId: string): ApiCalling | undefined {
    return this.#named.get(callId);
  }

  /** The call with this id, while it has not ended: at once where its caller chose the id, by a walk through all others. */
  findCall(callId: string): ApiCalling | undefined {
    const named = this.#named.get(callId);
    if (named !== undefined) return named;
    return this.actor.dispatcher.find(callId)?.handle as ApiCalling | undefined;
  }

  /** Everything of the actor and its calls as plain data. Shares payloads with the calls: to be copied or turned into a text at once. */
  writeState(): LiveState {
    const { regions, dispatcher } = this.actor;
    const state = writeActor(regions.life, dispatcher);
    const calls = writeLiveCalls(state.calls, dispatcher.rows(), (callId) => this.#named.has(callId));
    return { ...state, calls, saved_at: this.clock.now() };
  }

  /**
   * Takes over what another actor was doing, before anything else has come. Its running calls have failed with `interrupted`; those that wait
   * go on waiting, and none begins before {@link begin}.
   */
  restore(state: LiveState): void {
    const given = credentialsIn(this.endpoint.config.kwargs);
    const calls = state.calls.map((written) => readLiveCall(written, this));
    if (given.length > 0) for (const { payload } of calls) giveAgain(payload, given);
    const rows = state.calls.map((written, index) => {
      const call = calls[index] as ApiCalling;
      const row = restoreRow(written, call);
      call.submitAs(row);
      this.hooks.attach(call);
      this.hooks.placeOutlet(call);
      if (written.named === true) this.#name(call, call.id);
      return row;
    });
    this.restoredCalls = calls;
    this.#machine.takeOver(state, rows);
  }

  /** Lets calls start after {@link restore}, unless the actor was paused. */
  begin(): void {
    this.#machine.begin();
  }

  control(request: ControlRequest): void {
    // A machine that has stopped warns about what it is sent.
    if (this.actor.isStopped) return;
    switch (request.action) {
      case 'pause':
      case 'resume':
      case 'drain':
      case 'close':
        this.#machine.tell({ type: `model.${request.action}` });
        break;
      case 'reset':
        this.actor.send({ type: 'limits.reset' });
        break;
      case 'limits':
        this.setLimits(changedLimits(this.actor.dispatcher.limits, request));
        break;
      default:
        request satisfies never;
    }
  }

  /** Takes on other limits, for calls that wait too. */
  setLimits(limits: DispatcherLimits): void {
    if (!this.actor.isStopped) this.actor.send({ type: 'limits.set', limits });
  }

  /** Ends the actor; see `iModel.close`. */
  close(drain: boolean, timeoutMs: number | undefined): Promise<void> {
    if (!drain) this.control({ action: 'close' });
    this.#closing ??= this.#close(timeoutMs);
    return this.#closing;
  }

  /** Begins the span of a call where traces are collected; what the call causes belongs to it, or to its caller's. */
  #follow(call: ApiCalling, options: CallOptions, isElsewhere: boolean): void {
    call.trace = namedTrace(options) ?? call.trace;
    const { id: modelId, endpoint } = this;
    if (endpoint.isRelay === true) return;
    const { caller = '' } = options;
    const parent = call.trace ?? (isElsewhere ? null : undefined);
    call.span = CallSpan.begin({ call, modelId, caller, endpoint, content: () => this.recordsContent, parent });
    if (call.span !== null) call.trace = call.span.headers;
  }

  async #close(timeoutMs: number | undefined): Promise<void> {
    if (this.regions.life !== 'closing' && this.regions.life !== 'closed') this.control({ action: 'drain' });
    const timer =
      timeoutMs === undefined ? undefined : this.clock.setTimeout(() => this.control({ action: 'close' }), timeoutMs);
    await this.actor.untilClosed();
    if (timer !== undefined) this.clock.clearTimeout(timer);
    this.actor.stop();
    await this.journal.close();
    this.standing.close();
    await this.endpoint.close();
  }

  /** Ends a call before its time, also one that was never submitted. */
  #end(call: ApiCalling, failure: Failure, cause: unknown): void {
    const row = call.row ?? new CallRow({ id: call.id, handle: call });
    if (call.row === null) call.submitAs(row);
    // What is being stopped already ends for that reason, not for this one.
    if ((row.run?.stopping ?? null) === null) call.cause = cause;
    if (this.actor.isStopped) this.#refuse(call);
    else this.actor.send({ type: 'call.end', row, failure });
  }

  #name(call: ApiCalling, callId: string): void {
    this.#named.set(callId, call);
    call.onEnd(() => this.#named.delete(callId));
  }

  #watch(call: ApiCalling, signal: AbortSignal): void {
    if (call.ended) return;
    call.onEnd(onAbort(signal, () => this.cancel(call, signal.reason)));
  }

  /** Ends a call whose actor has failed, unless another one has taken it over. */
  #abort(call: ApiCalling, row: CallRow, cause: unknown): void {
    if (call.ended || call.row !== row) return;
    const failure = failureOf('internal', `The actor stopped: ${toFailure(cause).message}`, {});
    row.state = stepCall(row.state, 'call.abort');
    call.end(failure, new IModelError(failure, { cause }), this.clock.now());
  }

  #refuse(call: ApiCalling): void {
    const failure =
      this.actor.fault === null
        ? failureOf('closed', 'The model is closed and takes no calls', {})
        : failureOf('internal', 'The actor has stopped', {});
    if (call.row !== null) call.row.state = stepCall(call.row.state, 'call.skip');
    call.end(failure, new IModelError(failure), this.clock.now());
  }
}
