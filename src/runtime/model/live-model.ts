import { setMaxListeners } from 'node:events';
import { writeActor } from '../../../actors/actor-state.ts';
import { isRunning, stepCall } from '../../../actors/call.ts';
import { interruptedFailure } from '../../../actors/call-failures.ts';
import { CallRow } from '../../../actors/call-row.ts';
import type { Clock } from '../../../actors/clock.ts';
import type { DispatcherLimits, ResiliencePolicy } from '../../../actors/dispatcher-input.ts';
import { restoreRow } from '../../../actors/dispatcher-state.ts';
import type { DispatcherView } from '../../../actors/dispatcher-view.ts';
import { type ModelRegions, modeOf } from '../../../actors/imodel.ts';
import type { OwnerEvent } from '../../../actors/recorder.ts';
import type { Usage } from '../../../schemas/chunk.ts';
import { type Failure, failureOf } from '../../../schemas/failure.ts';
import type { CallOptions, JournalOptions } from '../../../schemas/imodel.ts';
import type { ActorState, LiveState } from '../../../schemas/live-state.ts';
import type { PriceTable } from '../../../schemas/prices.ts';
import type { ControlRequest } from '../../../schemas/wire.ts';
import type { Bus } from '../../bus/bus.ts';
import type { Endpoint, Fields, UpstreamNote } from '../../endpoints/endpoint.ts';
import { IModelError, toFailure } from '../../errors.ts';
import { auditFile } from '../../hooks/audit-sinks.ts';
import type { CallClass } from '../../hooks/hook.ts';
import { CallSpan } from '../../telemetry/call-span.ts';
import { environmentWantsContent } from '../../telemetry/content.ts';
import { OwnTime } from '../../telemetry/own-time.ts';
import { namedTrace } from '../../telemetry/trace-headers.ts';
import { costOf } from '../../tokens/prices.ts';
import { ActorRestarts, type LastGood } from '../actor-restart.ts';
import { ApiCalling } from '../calls/api-calling.ts';
import type { Caching } from '../calls/caching.ts';
import type { CallOwner } from '../calls/call-owner.ts';
import { EndpointStanding } from '../calls/endpoint-standing.ts';
import { Executor, type ExecutorObserver, estimateOf } from '../calls/executor.ts';
import type { FallbackPolicy } from '../calls/fallback.ts';
import type { PreparedRequest } from '../calls/prepare-request.ts';
import { defaultJournalSize, Journal } from '../journal/journal.ts';
import { JournalWriter } from '../journal/journal-writer.ts';
import { journalSink, journalStream } from '../journal-place.ts';
import { changedLimits } from '../policies.ts';
import { readLiveCall, writeLiveCall, writeRequest } from '../state/live-calls.ts';
import { writeValue } from '../state/written.ts';
import { LiveActor } from './live-actor.ts';
import { ModelEvents } from './model-events.ts';
import { type HookOptions, ModelHooks } from './model-hooks.ts';

/** What a live model is made from. @internal */
export interface LiveModelOptions {
  readonly id: string;
  readonly endpoint: Endpoint;
  readonly limits: DispatcherLimits;
  readonly resilience: ResiliencePolicy;
  readonly fallback: FallbackPolicy;
  readonly hooks: HookOptions;
  /** Takes a request as one from a caller. */
  readonly prepare: (request: Fields) => PreparedRequest;
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

/** Characters of a note in a journal. */
const longestNote = 2_000;

/** Keeps what must not be forgotten when the process dies. Must not throw. @internal */
export interface CallRecorder {
  /** An attempt is about to begin. It waits for what this returns; null when it need not. */
  starting(call: ApiCalling): Promise<void> | null;
  ended(call: ApiCalling): void;
}

/**
 * The running actor of one iModel, bound to its endpoint: the only place that knows both. Everything that happens to a call goes
 * through here.
 *
 * @internal
 */
export class LiveModel implements CallOwner, ExecutorObserver {
  readonly id: string;
  readonly clock: Clock;
  readonly endpoint: Endpoint;
  /** What observers are told. */
  readonly events: ModelEvents;
  /** What its actor hears, written down; null where nothing is. */
  readonly journal: Journal | null;
  /** The stream that its journal is to go to once it is served; null where there is none, or it does already. */
  #journalStream: string | null;
  #hasJournalPlace: boolean;
  /** How the endpoint stands with its upstream. */
  readonly standing = new EndpointStanding();
  /** Hears of attempts and ends before anybody else; null for most models. */
  recorder: CallRecorder | null = null;
  /** Whether the chunks of streams are kept for a while for those who want to see them too: true once it is served on a bus. */
  keepsChunks = false;
  /** The calls that {@link restore} brought, oldest first. */
  restoredCalls: readonly ApiCalling[] = [];
  readonly #createId: () => string;
  readonly #traceContent: boolean | undefined;
  readonly hooks: ModelHooks;
  readonly #prepare: (request: Fields) => PreparedRequest;
  readonly #prices: PriceTable | null;
  readonly caching: Caching;
  #actor: LiveActor;
  readonly #newActor: (limits: DispatcherLimits) => LiveActor;
  readonly #restarts = new ActorRestarts();
  readonly #stop: (row: CallRow, failure: Failure) => void;
  /** Calls whose id their caller chose, and so may ask for. */
  readonly #named = new Map<string, ApiCalling>();
  #closing: Promise<void> | null = null;

  constructor(options: LiveModelOptions) {
    this.id = options.id;
    this.clock = options.clock;
    this.events = new ModelEvents(options.id, options.clock);
    this.endpoint = options.endpoint;
    this.#createId = options.createId;
    this.#traceContent = options.traceContent;
    this.hooks = new ModelHooks({
      ...options.hooks,
      modelId: this.id,
      clock: this.clock,
      events: this.events,
      fail: (call, error) => this.fail(call, error),
    });
    this.#prepare = options.prepare;
    this.#prices = options.prices;
    this.caching = options.caching;
    const { clock, endpoint, limits, resilience, fallback, random, onSession } = options;
    const executor = new Executor({
      ...{ endpoint, standing: this.standing, fallback, clock, caching: this.caching, observer: this, onSession },
      isCooling: () => this.actor.dispatcher.isCooling,
    });
    this.journal = options.journal && this.#journal(options.journal, resilience);
    this.#stop = (row, failure) => executor.stop(row, failure);
    this.#newActor = (present) => {
      const actor = new LiveActor(
        { limits: present, resilience, clock, random, effects: executor, journal: this.journal?.recorder ?? null },
        { turned: (before, regions) => this.events.turn(before, regions), failed: (error) => this.#fail(error) },
      );
      executor.reportTo(actor.send);
      return actor;
    };
    this.#actor = this.#newActor(limits);
    const { file, stream = null } = options.journal ?? {};
    this.#journalStream = stream;
    this.#hasJournalPlace = file !== undefined || stream !== null;
    if (file === undefined) this.journal?.snapshot();
    else this.journal?.attach(new JournalWriter(auditFile(file)));
    this.#tell({ type: 'model.start' });
  }

  /** Writes the journal to a place, unless it has one of its own or there is none; see `journalSink`. */
  writeJournal(place: string, bus: Bus): void {
    if (this.#hasJournalPlace) return;
    this.#hasJournalPlace = true;
    this.journal?.attach(new JournalWriter(journalSink(place, this.id, bus)));
  }

  /** Writes the journal to the stream that its options name, if they do, once. @throws IModelError `config` on a bus without a server. */
  streamJournal(bus: Bus): void {
    const stream = this.#journalStream;
    if (stream === null) return;
    this.journal?.attach(new JournalWriter(journalStream(stream, this.id, bus)));
    this.#journalStream = null;
  }

  /** The machine behind it. Another one takes its place when it fails. */
  get actor(): LiveActor {
    return this.#actor;
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
  rows(): Iterable<CallRow> {
    return this.actor.dispatcher.rows();
  }

  createCall(
    payload: Fields,
    transport: Fields,
    callId?: string,
    metadata?: Record<string, unknown>,
    callClass: CallClass = ApiCalling,
  ): ApiCalling {
    return new callClass({
      id: callId ?? this.#createId(),
      createdAtMs: this.clock.now(),
      payload,
      transport,
      owner: this,
      ...(metadata === undefined ? {} : { metadata }),
    });
  }

  renew(call: ApiCalling, payload: Fields, transport: Fields, metadata: Record<string, unknown>): ApiCalling {
    // Its class is the one that made it.
    return this.createCall(payload, transport, undefined, metadata, call.constructor as CallClass);
  }

  prepare(request: Fields): PreparedRequest {
    return this.#prepare(request);
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
    if (this.#answeredBefore(call)) return;
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

  /**
   * Ends a call whose answer is kept: it needs no turn and no units. One with hooks waits for its turn nevertheless, for they are to be asked
   * first. @returns Whether it has ended.
   */
  #answeredBefore(call: ApiCalling): boolean {
    const { row } = call;
    if (row === null || !call.isCached || call.sink !== null || call.hooks !== null || call.outlet !== null)
      return false;
    const found = this.regions.life === 'running' ? this.caching.cache.find(call) : null;
    if (found === null) return false;
    row.queuedAt = this.clock.now();
    row.startedAt = row.queuedAt;
    for (const event of ['call.enqueue', 'call.dispatch', 'call.complete'] as const)
      row.state = stepCall(row.state, event);
    call.bring(found);
    call.end(null, null, row.queuedAt);
    this.events.call('post_invocation', call);
    return true;
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
    for (const row of this.actor.dispatcher.rows()) {
      if (row.id === callId) return row.handle as ApiCalling;
    }
    return undefined;
  }

  /** Everything of the actor and its calls as plain data. Shares payloads with the calls: to be copied or turned into a text at once. */
  writeState(): LiveState {
    const state = writeActor(this.regions.life, this.actor.dispatcher);
    const rows = this.actor.dispatcher.rows()[Symbol.iterator]();
    const calls = state.calls.map((row) => {
      // The rows are written in their order.
      const call = rows.next().value?.handle as ApiCalling;
      return writeLiveCall(row, call, this.#named.has(call.id));
    });
    return { ...state, calls, saved_at: this.clock.now() };
  }

  /**
   * Takes over what another actor was doing, before anything else has come. Its running calls have failed with `interrupted`; those that wait
   * go on waiting, and none begins before {@link begin}.
   */
  restore(state: LiveState): void {
    const calls = state.calls.map((written) => readLiveCall(written, this));
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
    this.#takeOver(state, rows);
  }

  #takeOver(state: ActorState, rows: readonly CallRow[]): void {
    this.actor.send({ type: 'calls.restore', restored: { state: { ...state, is_gate_open: false }, rows } });
    this.actor.send({ type: 'calls.interrupt' });
    if (state.life === 'paused') this.control({ action: 'pause' });
  }

  /** Lets calls start after {@link restore}, unless the actor was paused. */
  begin(): void {
    if (this.regions.life === 'running') this.actor.send({ type: 'gate.open' });
  }

  control(request: ControlRequest): void {
    // A machine that has stopped warns about what it is sent.
    if (this.actor.isStopped) return;
    switch (request.action) {
      case 'pause':
      case 'resume':
      case 'drain':
      case 'close':
        this.#tell({ type: `model.${request.action}` });
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

  starting(call: ApiCalling): Promise<void> | null {
    return this.recorder === null ? null : this.recorder.starting(call);
  }

  started(call: ApiCalling): void {
    call.span?.dispatched();
    this.events.call('pre_invocation', call);
  }

  retrying(call: ApiCalling, failure: Failure, delayMs: number): void {
    call.span?.retrying(failure, delayMs);
    call.own?.give();
    this.events.call('retrying', call, { failure, delay_ms: delayMs, attempts: call.attempts });
  }

  rescued(call: ApiCalling, failure: Failure): void {
    call.span?.rescued(failure);
    this.events.call('falling_back', call, { failure, attempts: call.attempts });
  }

  answered(call: ApiCalling): void {
    this.events.call('answered', call);
  }

  noted(call: ApiCalling, { kind, type, raw }: UpstreamNote): void {
    this.journal?.recorder.note(call.row, kind, type, noteText(raw), this.clock.now());
  }

  ended(call: ApiCalling): void {
    this.recorder?.ended(call);
    this.events.call('post_invocation', call);
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

  #tell(event: OwnerEvent): void {
    this.journal?.recorder.tell(event, this.clock.now());
    this.actor.tell(event);
  }

  #journal({ size = defaultJournalSize, requests = false }: JournalOptions, resilience: ResiliencePolicy): Journal {
    return new Journal({
      size,
      now: () => this.clock.now(),
      calls: () => this.actor.dispatcher.size,
      actor: () => ({
        modelId: this.id,
        limits: this.actor.dispatcher.limits,
        resilience,
        state: writeActor(this.regions.life, this.actor.dispatcher),
        rows: [...this.actor.dispatcher.rows()],
      }),
      requestOf: requests
        ? (row, queuedAt) => writeRequest(row.handle as ApiCalling, queuedAt, this.#named.has(row.id))
        : undefined,
    });
  }

  async #close(timeoutMs: number | undefined): Promise<void> {
    if (this.regions.life !== 'closing' && this.regions.life !== 'closed') this.control({ action: 'drain' });
    const timer =
      timeoutMs === undefined ? undefined : this.clock.setTimeout(() => this.control({ action: 'close' }), timeoutMs);
    await this.actor.untilClosed();
    if (timer !== undefined) this.clock.clearTimeout(timer);
    this.actor.stop();
    await this.journal?.close();
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
    const abort = () => this.cancel(call, signal.reason);
    // One signal may well end a thousand calls; Node would warn at the eleventh.
    setMaxListeners(0, signal);
    signal.addEventListener('abort', abort, { once: true });
    call.onEnd(() => signal.removeEventListener('abort', abort));
  }

  /** The machine itself failed: a fault of ours. Nothing that waits may wait for ever. */
  #fail(error: unknown): void {
    const dead = this.#actor;
    const rows = [...dead.dispatcher.rows()];
    const good = this.#restarts.next(this.journal?.entries() ?? [], this.clock.now());
    if (good !== null) this.#goOn(dead, good, new Map(rows.map((row) => [row.journalNumber, row])));
    for (const row of rows) this.#abort(row.handle as ApiCalling, row, error);
  }

  /** Begins another actor where the dead one stood before the event that killed it, with the calls that it had. */
  #goOn(dead: LiveActor, { state, calls }: LastGood, before: ReadonlyMap<number, CallRow>): void {
    const rows: CallRow[] = [];
    const written = state.calls.filter((call, index) => {
      const old = before.get(calls[index] ?? 0);
      const handle = old?.handle as ApiCalling | undefined;
      if (old === undefined || handle === undefined || handle.ended) return false;
      // What still comes from its endpoint is for a row that has ended; what runs there is of no use any more.
      if (isRunning(old.state)) this.#stop(old, interruptedFailure());
      old.state = stepCall(old.state, 'call.abort');
      const row = restoreRow(call, handle);
      handle.submitAs(row);
      rows.push(row);
      return true;
    });
    this.#actor = this.#newActor(dead.dispatcher.limits);
    this.journal?.snapshot();
    this.#tell({ type: 'model.start' });
    this.#takeOver({ ...state, calls: written }, rows);
    this.begin();
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

/** The beginning of what an upstream said. */
function noteText(raw: unknown): string {
  const text = typeof raw === 'string' ? raw : JSON.stringify(writeValue(raw));
  return text.slice(0, longestNote);
}
