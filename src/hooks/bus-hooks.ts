import type { Clock } from '../../actors/clock.ts';
import { bytesFromWire } from '../../schemas/bytes.ts';
import { viewFromWire } from '../../schemas/call.ts';
import { type Chunk, chunkFromWire, chunkToWire } from '../../schemas/chunk.ts';
import type { Failure } from '../../schemas/failure.ts';
import {
  type AskPoint,
  askPoints,
  type CallOutcome,
  type HookAnswer,
  type HookAskAt,
  type HookReport,
  hookActions,
  hookAnswer,
} from '../../schemas/hook.ts';
import type { AskedHookOptions } from '../../schemas/imodel.ts';
import { failureReply } from '../../schemas/wire.ts';
import type { Bus, Message } from '../bus/bus.ts';
import { subjects } from '../bus/subjects.ts';
import type { EndpointReply, Fields } from '../endpoints/endpoint.ts';
import { ownRequest } from '../endpoints/unwritable.ts';
import { IModelError, printValue, toFailure } from '../errors.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';
import { hookTimeouts } from './hook.ts';

/** Milliseconds an answer about chunks may take, unless configured. */
const chunkTimeoutMs = 10_000;

/** A reason is for people; one that is longer is cut. */
const maxReasonLength = 1_000;

/** A hook on the bus, as an iModel was told to ask it. @internal */
export interface AskedHook {
  readonly options: AskedHookOptions;
  /** As observers are told: the point, and the name after a dot. */
  readonly label: string;
  readonly subject: string;
  readonly timeoutMs: number;
}

/** What the hooks on the bus of one iModel work with. @internal */
export interface BusHooksOptions {
  readonly modelId: string;
  readonly hooks: readonly AskedHookOptions[];
  readonly clock: Clock;
  /** Hears of every question about a call, and of those about chunks that did not end in `pass` or `transform`. */
  readonly report: (report: HookReport, failure: Failure | null, call: ApiCalling) => void;
}

/** A question without what {@link BusHooks} adds to it. */
type Question<P extends AskPoint> = Omit<
  HookAskAt<P>,
  'model_id' | 'model' | 'call_id' | 'caller' | 'traceparent' | 'at' | 'timeout_ms'
>;

/**
 * Asks the interceptors of one iModel, and keeps to what its options say of those that do not answer. The bus is the one on which the iModel
 * is served last, or was given; without any no hook can be had.
 *
 * @internal
 */
export class BusHooks {
  readonly #options: BusHooksOptions;
  readonly #buses: Bus[] = [];
  readonly #at: ReadonlyMap<AskPoint, readonly AskedHook[]>;

  constructor(options: BusHooksOptions) {
    this.#options = options;
    this.#at = new Map(
      askPoints.map((point) => [
        point,
        options.hooks.filter((hook) => hook.point === point).map((hook) => askedHook(options.modelId, hook)),
      ]),
    );
  }

  /** The hooks to ask at a point, in their order. */
  at(point: AskPoint): readonly AskedHook[] {
    return this.#at.get(point) ?? [];
  }

  /** Whether there is one to ask at this point. */
  asksAt(point: AskPoint): boolean {
    return this.at(point).length > 0;
  }

  /** Whether questions hold the request of a call, which then must be kept. */
  get showsRequests(): boolean {
    return this.asksAt('pre_event_create') || this.asksAt('pre_invocation') || this.asksAt('post_invocation');
  }

  /** Asks on this bus from now on; the returned function ends that. */
  attach(bus: Bus): () => void {
    this.#buses.push(bus);
    return () => {
      const index = this.#buses.lastIndexOf(bus);
      if (index >= 0) this.#buses.splice(index, 1);
    };
  }

  /**
   * Asks the hooks of one of the two points before a call is sent. Each may change the call; the first that answers in the vendor's place is
   * the last that is asked.
   *
   * @returns That answer; null without one.
   * @throws IModelError `vetoed` by a hook, or because one that must be asked could not; what `stop` was aborted with.
   */
  async before(
    point: 'pre_event_create' | 'pre_invocation',
    call: ApiCalling,
    stop: AbortSignal,
    caller?: string,
  ): Promise<EndpointReply | null> {
    for (const hook of this.at(point)) {
      const answer = await this.#ask(hook, call, { point, ...requestOf(call) }, { stop, caller });
      if (answer.action === 'veto') throw vetoBy(hook, answer.reason);
      if (answer.action === 'replace') this.#replace(hook, call, answer.request);
      if (answer.action === 'answer') return replyOf(answer);
    }
    return null;
  }

  /**
   * Tells the hooks after invocation how the call ends. Each is asked, whatever the others say.
   *
   * @param limitMs - Milliseconds that each may take at most.
   * @returns Why a call that completed has failed after all; null when it stays as it is.
   */
  async after(call: ApiCalling, outcome: CallOutcome, stop: AbortSignal, limitMs: number): Promise<IModelError | null> {
    let spoiled: IModelError | null = null;
    for (const hook of this.at('post_invocation')) {
      const question = { point: 'post_invocation' as const, ...requestOf(call), outcome, call: call.toWire() };
      try {
        const answer = await this.#ask(hook, call, question, { stop, limitMs });
        if (answer.action === 'veto') spoiled ??= vetoBy(hook, answer.reason);
      } catch (error) {
        // Somebody waits for the end of the call.
        if (stop.aborted) return null;
        spoiled ??= IModelError.is(error) ? error : IModelError.of('internal', String(error), {});
      }
    }
    return outcome === 'completed' ? spoiled : null;
  }

  /**
   * Asks about chunks before they reach the reader.
   *
   * @returns What the reader gets: the very list when the hook has let it pass.
   * @throws IModelError as {@link before}.
   */
  async judge(hook: AskedHook, call: ApiCalling, piece: StreamPiece, stop: AbortSignal): Promise<readonly Chunk[]> {
    const answer = await this.#ask(hook, call, chunkQuestion(call, piece), { stop });
    if (answer.action === 'veto') throw vetoBy(hook, answer.reason);
    return answer.action === 'transform' ? answer.chunks.map(chunkFromWire) : piece.chunks;
  }

  /** Shows chunks to whoever listens, and waits for nothing. */
  show(hook: AskedHook, call: ApiCalling, piece: StreamPiece): void {
    this.#buses.at(-1)?.announce(hook.subject, () => this.#body(hook, call, chunkQuestion(call, piece)));
  }

  async #ask<P extends AskPoint>(
    hook: AskedHook,
    call: ApiCalling,
    question: Question<P> & { readonly point: P },
    { stop, caller, limitMs = hook.timeoutMs }: AskLimits,
  ): Promise<HookAnswer> {
    const startedAt = this.#options.clock.now();
    try {
      const bus = this.#buses.at(-1);
      if (bus === undefined) throw unserved(hook);
      const timeoutMs = Math.min(hook.timeoutMs, limitMs);
      const body = this.#body(hook, call, question, caller);
      const reply = await bus.request(hook.subject, body, { timeoutMs, signal: stop });
      const answer = readAnswer(hook, question.point, reply);
      if (answer.action === 'veto') {
        this.#tell(hook, call, startedAt, { status: 'cancelled', exit: true }, vetoBy(hook, answer.reason).failure);
      } else if (question.point !== 'chunk') this.#tell(hook, call, startedAt, { status: 'completed' });
      return answer;
    } catch (error) {
      // Who ends the call has the last word, not the hook that was asked meanwhile.
      stop.throwIfAborted();
      return this.#passOver(hook, call, startedAt, error);
    }
  }

  #replace(hook: AskedHook, call: ApiCalling, request: Fields): void {
    try {
      call.replaceRequest(request);
    } catch (cause) {
      const message = `The request that the hook ${hook.label} gave is none: ${toFailure(cause).message}`;
      const error = IModelError.of('malformed', message, { source: 'bus' }, { cause });
      this.#passOver(hook, call, this.#options.clock.now(), error);
    }
  }

  /** Goes on without a hook that could not be had. @throws IModelError `vetoed` when it must be asked. */
  #passOver(hook: AskedHook, call: ApiCalling, startedAt: number, error: unknown): HookAnswer {
    const mustBeAsked = hook.options.onFailure !== 'open';
    const failure = failureOf(hook, error);
    this.#tell(hook, call, startedAt, { status: 'failed', ...(mustBeAsked ? { exit: true } : {}) }, failure);
    if (!mustBeAsked) return { action: 'pass' };
    const message = `The hook ${hook.label} must be asked and could not be: ${failure.message}`;
    throw IModelError.of('vetoed', message, { hook: hook.label }, { cause: error });
  }

  #tell(
    { label }: AskedHook,
    call: ApiCalling,
    startedAt: number,
    ended: Pick<HookReport, 'status' | 'exit'>,
    failure: Failure | null = null,
  ): void {
    const { clock, report } = this.#options;
    report({ name: label, duration_ms: clock.now() - startedAt, ...ended }, failure, call);
  }

  #body<P extends AskPoint>(hook: AskedHook, call: ApiCalling, question: Question<P>, caller?: string): unknown {
    const by = caller ?? call.row?.caller ?? '';
    const { model } = call.payload;
    const { point, ...asked } = question;
    return {
      point,
      model_id: this.#options.modelId,
      model: typeof model === 'string' ? model : '',
      call_id: call.id,
      ...(by === '' ? {} : { caller: by }),
      ...(call.trace?.traceparent === undefined ? {} : { traceparent: call.trace.traceparent }),
      at: this.#options.clock.now(),
      timeout_ms: hook.timeoutMs,
      ...asked,
    };
  }
}

/** Some chunks of a call. @internal */
export interface StreamPiece {
  readonly chunks: readonly Chunk[];
  /** The number of the first of them within the call, from 1. */
  readonly first: number;
  /** None follow. */
  readonly isLast: boolean;
}

interface AskLimits {
  readonly stop: AbortSignal;
  readonly caller?: string | undefined;
  readonly limitMs?: number;
}

function askedHook(modelId: string, options: AskedHookOptions): AskedHook {
  const { point, name } = options;
  const usualMs = point === 'chunk' ? chunkTimeoutMs : hookTimeouts[point] * 1_000;
  return {
    options,
    label: name === undefined ? point : `${point}.${name}`,
    subject: subjects.hooks(modelId, point, name),
    timeoutMs: options.timeoutMs ?? usualMs,
  };
}

/** Copied: on the bus inside a process the question is the very object that an interceptor gets. */
function requestOf(call: ApiCalling): { readonly streaming: boolean; readonly request: Record<string, unknown> } {
  const { stream: _stream, ...request } = call.request ?? call.payload;
  return { streaming: call.isStreamed, request: ownRequest(request) };
}

function chunkQuestion(call: ApiCalling, { chunks, first, isLast }: StreamPiece): Question<'chunk'> {
  return { point: 'chunk', streaming: call.isStreamed, first, chunks: chunks.map(chunkToWire), is_last: isLast };
}

function readAnswer(hook: AskedHook, point: AskPoint, reply: Message): HookAnswer {
  const value = reply.value();
  const failed = failureReply.safeParse(value);
  if (failed.success) throw new IModelError(failed.data.failure);
  const parsed = hookAnswer.safeParse(value);
  const actions: readonly string[] = hookActions[point];
  if (parsed.success && actions.includes(parsed.data.action)) return parsed.data;
  const said = parsed.success
    ? `\`${parsed.data.action}\` means nothing at this point`
    : parsed.error.issues[0]?.message;
  const message = `The answer of the hook ${hook.label} is none: ${said}; got ${printValue(value)}`;
  const path = parsed.error?.issues[0]?.path.map(String).join('.');
  throw IModelError.of('malformed', message, { source: 'bus', ...(path ? { path } : {}) });
}

function replyOf(answer: Extract<HookAnswer, { action: 'answer' }>): EndpointReply {
  const { text = '', thinking = '', tool_uses = [], finish_reason = 'stop', usage = null, response = null } = answer;
  return { response: bytesFromWire(response), view: viewFromWire({ text, thinking, tool_uses, finish_reason, usage }) };
}

function vetoBy(hook: AskedHook, reason: string | undefined): IModelError {
  const why = reason === undefined || reason === '' ? '' : `: ${reason.slice(0, maxReasonLength)}`;
  return IModelError.of('vetoed', `The hook ${hook.label} refused the call${why}`, { hook: hook.label });
}

function unserved(hook: AskedHook): IModelError {
  const message = `The iModel is served on no bus on which ${hook.subject} could be asked`;
  return IModelError.of('no_responder', message, { subject: hook.subject });
}

/** Says of a reply that did not come in time that it was a hook's. */
function failureOf({ label }: AskedHook, error: unknown): Failure {
  const failure = toFailure(error);
  if (failure.code !== 'timed_out') return failure;
  const { timeoutMs } = failure;
  const message = `The hook ${label} has not answered within ${timeoutMs} ms`;
  return IModelError.of('timed_out', message, { phase: 'hook', timeoutMs }).failure;
}
