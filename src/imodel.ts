import type { z } from 'zod';
import type { ModelEventMessage } from '../schemas/event.ts';
import {
  type CallOptions,
  type CloseOptions,
  closeOptions,
  copyOptions,
  dictOptions,
  type ModelOptions,
  modelOptions,
} from '../schemas/imodel.ts';
import type { JournalEntry } from '../schemas/journal.ts';
import type { ModelDict } from '../schemas/snapshot.ts';
import type { ModelState } from '../schemas/state.ts';
import { refuseNoFunction, refuseStranger } from './arguments.ts';
import type { Bus } from './bus/bus.ts';
import type { Endpoint, Fields } from './endpoints/endpoint.ts';
import { withoutField } from './endpoints/fields.ts';
import { asRegistry, type HookRegistry } from './hooks/registry.ts';
import type { CopyOptions, IModelFunctions, IModelOptions } from './imodel-options.ts';
import { ApiCalling } from './runtime/calls/api-calling.ts';
import { Caching } from './runtime/calls/caching.ts';
import type { ModelStream } from './runtime/calls/model-stream.ts';
import { createAsked, invokeRequest, streamRequest } from './runtime/calls/take-request.ts';
import { checked, clonedMetadata, refuseNoRequest } from './runtime/checked.ts';
import { checkedCallOptions } from './runtime/checked-call-options.ts';
import { createId } from './runtime/create-id.ts';
import { Fallbacks } from './runtime/model/fallbacks.ts';
import { LiveModel } from './runtime/model/live-model.ts';
import { type Backlog, backlogOf, stateOf } from './runtime/model/model-state.ts';
import { ProviderSession } from './runtime/model/provider-session.ts';
import { limitsOf, resilienceOf } from './runtime/policies.ts';
import { resolveEndpoint, splitOptions } from './runtime/resolve-endpoint.ts';
import { type ServedModel, serveModel } from './runtime/serving/serve.ts';
import { makeAnother } from './runtime/state/endpoint-recipe.ts';
import { type FromDictOptions, namingPath, readModel } from './runtime/state/read-model.ts';
import { type ToDictOptions, writeModel, writeModelText } from './runtime/state/write-model.ts';
import { systemClock } from './runtime/system-clock.ts';
import { contextWindowOf } from './tokens/context-windows.ts';
import { estimateTokens } from './tokens/estimate.ts';
import { TokenBudget } from './tokens/token-budget.ts';

/**
 * One model behind one actor, which owns its queue, limits, deadlines and the life of every call.
 *
 * @example
 * ```ts
 * await using model = new iModel({ model: 'openai/gpt-4o-mini', limitRequests: 100, limitTokens: 100_000 });
 * const call = await model.invoke({ messages: [{ role: 'user', content: 'hello' }] });
 * console.log(call.text);
 * ```
 */
export class iModel implements AsyncDisposable {
  readonly id: string;
  /** Epoch seconds. */
  readonly createdAt: number;
  /** The caller's own data. */
  readonly providerMetadata: Record<string, unknown>;
  readonly endpoint: Endpoint;
  /** Its hooks; what is registered here holds for later calls. */
  readonly hookRegistry: HookRegistry;
  /** Whether a failure of a hook ends its call, unless the call says otherwise. */
  readonly exitHook: boolean;
  readonly #live: LiveModel;
  #settings: ModelOptions;
  readonly #functions: IModelFunctions;
  readonly #fallbacks: Fallbacks;
  readonly #session: ProviderSession;

  /**
   * @throws IModelError `config` for an unknown or malformed option, an unknown provider without `baseUrl`, or an endpoint the provider
   * does not have; the message names the field and prints the value.
   */
  constructor(options: IModelOptions) {
    const { own, functions, provider } = splitOptions(options);
    const settings = checked(modelOptions, own, 'option', 'config');
    const clock = functions.clock ?? systemClock;
    this.id = settings.id ?? createId();
    this.createdAt = settings.createdAt ?? clock.now() / 1_000;
    this.providerMetadata = clonedMetadata(settings.providerMetadata ?? {});
    this.endpoint = resolveEndpoint(settings, functions, provider);
    this.hookRegistry = asRegistry(functions.hookRegistry);
    this.exitHook = settings.exitHook ?? false;
    this.#session = new ProviderSession(this.endpoint, this.providerMetadata);
    const { fallbacks = [], env, bus } = functions;
    const { prices } = settings;
    this.#fallbacks = new Fallbacks({ given: fallbacks, shared: { clock, env, bus, prices }, model: iModel });
    this.#live = new LiveModel({
      id: this.id,
      endpoint: this.endpoint,
      limits: limitsOf(settings, this.endpoint),
      resilience: resilienceOf(settings, this.endpoint),
      fallback: { models: this.fallbacks, codes: settings.fallbackOn ?? [] },
      hooks: {
        registry: this.hookRegistry,
        onBus: settings.hooks ?? [],
        process: functions.streamingProcessFunc ?? null,
        exit: this.exitHook,
      },
      sessionId: () => this.providerSessionId,
      random: Math.random,
      prices: prices ?? null,
      caching: new Caching(this.endpoint, settings.cache, clock),
      journal: settings.journal === null ? null : (settings.journal ?? {}),
      clock,
      traceContent: settings.traceContent,
      createId,
      onSession: (sessionId) => this.#session.confirm(sessionId),
    });
    if (bus !== undefined) this.#live.hooks.onBus?.attach(bus);
    this.#settings = settings;
    this.#functions = functions;
  }

  /**
   * Makes the iModel that {@link toDict} wrote down, here or by the reference.
   *
   * With `state` in it, what waited waits again in its order, what was used of limits stays used, and what ran has ended as `failed` with
   * `interrupted`: see {@link restoredCalls}.
   *
   * @param data - Checked in full; not changed.
   * @param given - What no dict holds: hooks, functions, the clock, the environment, the key.
   * @throws IModelError `config`, naming the path in the dict, for one that is malformed or of a later version.
   */
  static fromDict<T extends iModel>(
    this: new (
      options: IModelOptions,
    ) => T,
    data: unknown,
    given: FromDictOptions = {},
  ): T {
    const { options, endpoint, sessionId, fallbacks: written, state } = readModel(data, given);
    const { apiKey: _apiKey, baseUrl: _baseUrl, endpoint: _endpoint, ...functions } = given;
    const owned: iModel[] = [];
    try {
      const { clock, env, bus } = given;
      for (const [index, dict] of given.fallbacks === undefined ? written.entries() : []) {
        owned.push(namingPath(`fallbacks.${index}`, () => iModel.fromDict(dict, { clock, env, bus })));
      }
      const fallbacks = given.fallbacks ?? owned;
      const model = new this({ ...options, ...functions, endpoint, fallbacks });
      model.#fallbacks.adopt(owned);
      model.restore({ state, session_id: sessionId });
      model.live.begin();
      return model;
    } catch (error) {
      for (const model of owned) void model.close();
      throw error;
    }
  }

  /**
   * The iModel as plain data: the reference's keys, and beside them `schema_version`, `exit_hook` and, where needed, `options`. A deep copy.
   *
   * Never holds a key or a function; credentials among the headers are `(redacted)`.
   *
   * @throws IModelError `config` naming the option that does not fit.
   */
  toDict(options: ToDictOptions = {}): ModelDict {
    checked(dictOptions, options, 'option', 'config');
    return writeModel(this, this.#settings, options);
  }

  /** As {@link toDict}, as JSON. @internal */
  writeText(options: ToDictOptions, generation?: number): string {
    return writeModelText(this, this.#settings, options, generation);
  }

  /** Goes on with what another process was doing; its calls begin with `live.begin()`. @internal */
  restore({ state, session_id: sessionId, fallbacks = [] }: Partial<ModelDict>): void {
    if (sessionId != null) this.#session.resume(sessionId);
    if (state !== undefined) this.#live.restore(state);
    this.#fallbacks.restore(fallbacks);
  }

  /**
   * A new iModel with the same configuration and key, and a queue, limits, breaker and id of its own. The hook registry is shared, metadata are
   * copied deeply. A subclass stays one.
   *
   * @throws IModelError `config` for an iModel on an endpoint of your own, unless another one is given; for an option that does not fit.
   */
  copy(options: CopyOptions = {}): this {
    checked(copyOptions, options, 'option', 'config');
    const { shareSession = false, endpoint: given } = options;
    if (given !== undefined) refuseStranger('endpoint', given);
    const endpoint = given ?? makeAnother(this.endpoint);
    const {
      id,
      createdAt,
      provider,
      baseUrl,
      apiKey,
      endpoint: name,
      endpointName,
      journal,
      ...settings
    } = this.#settings;
    const { session_id: session, ...metadata } = this.providerMetadata;
    const { given: fallbacks, own } = this.#fallbacks.copied();
    // A subclass is expected to take the options of this class.
    const Copy = this.constructor as new (options: IModelOptions) => this;
    const copy = new Copy({
      ...settings,
      ...this.#functions,
      hookRegistry: this.hookRegistry,
      providerMetadata: shareSession && session !== undefined ? { ...metadata, session_id: session } : metadata,
      endpoint,
      fallbacks,
      // Two cannot write one file.
      journal: journal && withoutField(journal, 'file'),
    });
    copy.#fallbacks.adopt(own);
    if (shareSession && this.providerSessionId !== null) copy.#session.resume(this.providerSessionId);
    return copy;
  }

  /** The models that stand in for this one, in the order in which they are asked. */
  get fallbacks(): readonly iModel[] {
    return this.#fallbacks.models;
  }

  /** The model's name as the vendor knows it; empty when none is set. */
  get modelName(): string {
    const { model } = this.endpoint.config.kwargs;
    return typeof model === 'string' ? model : '';
  }

  /** True for command-line agents. */
  get isCli(): boolean {
    return this.endpoint.isCli;
  }

  /** What a request may hold; null when everything passes. */
  get requestOptions(): z.ZodType | null {
    return this.endpoint.requestOptions;
  }

  /** Tokens it takes, prompt and answer together: the option `contextWindow`, else what the built-in table says of its name, else 128,000. */
  get contextWindow(): number {
    const { provider, contextWindow } = this.endpoint.config;
    return contextWindowOf(this.modelName, { provider, override: contextWindow });
  }

  /**
   * How much of {@link contextWindow} a call will take: an estimate of its prompt, and the longest answer that it allows.
   *
   * Before `loadTokenizer()` has loaded the tokenizer, texts are estimated by their length.
   *
   * @throws IModelError `invalid_request` for a request that this iModel would not take.
   */
  tokenBudget(request: Fields | ApiCalling): TokenBudget {
    const payload = request instanceof ApiCalling ? request.payload : this.createApiCalling(request).payload;
    return new TokenBudget(estimateTokens(payload), this.contextWindow, this.modelName);
  }

  /** The agent session that the next call resumes; null when there is none. */
  get providerSessionId(): string | null {
    return this.#session.id;
  }

  /** What it is doing, in one word: the strictest of its regions. */
  get status(): ModelState['mode'] {
    return this.#live.mode;
  }

  /** What it is doing, in numbers. */
  get state(): ModelState {
    return stateOf(this, this.#live);
  }

  /** Of {@link state} what each of its callers is told. @internal */
  get backlog(): Backlog {
    return backlogOf(this.#live.view());
  }

  /**
   * The calls that were waiting or running when the dict was written from which this iModel was made; those that were running have ended as
   * `failed`, with `interrupted`. In the order of their coming, kept until the end.
   */
  get restoredCalls(): readonly ApiCalling[] {
    return this.#live.restoredCalls;
  }

  /** The call with this id, while it has not ended, or for ever if it was restored; undefined when there is none. */
  call(callId: string): ApiCalling | undefined {
    return this.#live.findCall(callId) ?? this.restoredCalls.find(({ id }) => id === callId);
  }

  /** Takes on other limits at once, for calls that wait too. @param limits - Options that bound calls; those that are undefined have their defaults. @internal */
  setLimits(limits: Partial<ModelOptions>): void {
    this.#settings = { ...this.#settings, ...limits };
    this.#live.setLimits(limitsOf(this.#settings, this.endpoint));
  }

  /**
   * What its actor has heard lately, oldest first: to be given to `replay` and `explain`. Empty with `journal: null`. A copy.
   */
  get journal(): JournalEntry[] {
    return this.#live.journal.entries();
  }

  /** The actor behind it. @internal */
  get live(): LiveModel {
    return this.#live;
  }

  /**
   * Makes a call without sending it, to look at or to hand to {@link invoke} or {@link stream} later.
   *
   * No hook runs here. What the request says of hooks is kept for {@link invoke}: `create_event_type` (a class of calls), and
   * `{create_event,pre_invoke_event,post_invoke_event}_{exit_hook,hook_timeout,hook_params}`, in either spelling. No vendor sees it.
   *
   * @param request - The call's fields, as the vendor spells them; OpenAI-style `messages` work on every chat endpoint. Not changed.
   * @throws IModelError `invalid_request` naming the field that does not fit.
   */
  createApiCalling(request: Fields = {}, options: Pick<CallOptions, 'callId'> = {}): ApiCalling {
    checkedCallOptions(options);
    refuseNoRequest(request);
    return this.#live.maker.make(request, options.callId);
  }

  /**
   * As {@link createApiCalling}, but asks the hook before creation first, and gives the call the hooks that are registered now.
   *
   * @throws IModelError `invalid_request`; `vetoed`, `timed_out` or `cancelled` when the hook refused the call.
   */
  async createEvent(request: Fields = {}, options: Pick<CallOptions, 'callId' | 'signal'> = {}): Promise<ApiCalling> {
    refuseNoRequest(request);
    const call = await createAsked(this, request, checkedCallOptions(options));
    this.#live.hooks.attach(call);
    return call;
  }

  /**
   * Runs one call through queue and limits and resolves with it when it has ended.
   *
   * A vendor's refusal is a call with status `failed` and a typed `failure`, not a rejection (unless `raiseOnError` is set). The same call
   * handed over twice is sent once; a call that has ended is returned as it is.
   *
   * @throws IModelError `invalid_request`, `missing_api_key`, `queue_full`, `estimate_too_large`, `cancelled` (with the signal's reason as
   * cause), `timed_out` with the phase, `closed`, `conflict` for a call id in use. The call is in the error's `call` property.
   */
  invoke(request: Fields | ApiCalling = {}, options: CallOptions = {}): Promise<ApiCalling> {
    return invokeRequest(this, request, options);
  }

  /**
   * Runs one streamed call through the same queue and limits. The call is submitted at once, whether or not reading has begun.
   *
   * @returns An async iterable of chunks that carries the call; see {@link ModelStream} for order and failures. Awaiting it is allowed.
   * @throws IModelError `invalid_request`; `conflict` for a call that was started before. Everything later is thrown while reading.
   */
  stream(request: Fields | ApiCalling = {}, options: CallOptions = {}): ModelStream {
    return streamRequest(this, request, options);
  }

  /** Starts no more calls until {@link resume}; those that run go on, new ones wait. */
  pause(): void {
    this.#live.control({ action: 'pause' });
  }

  /** Ends a {@link pause}. */
  resume(): void {
    this.#live.control({ action: 'resume' });
  }

  /** Hears what happens here, synchronously; returns the way to stop. An observer that throws is not asked again. @throws IModelError `config` */
  observe(observer: (event: ModelEventMessage) => void): () => void {
    refuseNoFunction('observer', observer);
    return this.#live.events.observe((_type, make) => observer(make()));
  }

  /**
   * Answers this iModel's subjects on a bus until closed; see `docs/wire.md`.
   *
   * @param bus - Stays the caller's to close.
   */
  serve(bus: Bus): ServedModel {
    return serveModel(this, bus);
  }

  /**
   * Takes no more calls, ends those that wait, and ends those that run or, with `drain`, lets them finish. Resolves when every call has
   * ended and connections and timers are gone. Idempotent.
   *
   * @throws IModelError `invalid_request` naming the option that does not fit; nothing is closed then.
   */
  async close(options: CloseOptions = {}): Promise<void> {
    const { drain = false, timeoutMs } = checked(closeOptions, options, 'option', 'invalid_request');
    await this.#live.close(drain, timeoutMs);
    await this.#fallbacks.close(options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
