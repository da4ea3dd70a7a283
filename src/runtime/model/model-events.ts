import type { Clock } from '../../../actors/clock.ts';
import type { ModelRegions } from '../../../actors/imodel.ts';
import type { ModelEventMessage, ModelEventType } from '../../../schemas/event.ts';
import { type Failure, failureOf } from '../../../schemas/failure.ts';
import type { HookReport } from '../../../schemas/hook.ts';
import { IModelError, toFailure } from '../../errors.ts';
import type { HookEvent } from '../../hooks/hook-event.ts';
import type { ApiCalling } from '../calls/api-calling.ts';

/** Hears events of one iModel. `make` builds the event: who does not want it does not pay for it. */
export type ModelObserver = (type: ModelEventType, make: () => ModelEventMessage, call: ApiCalling | null) => void;

/** Tells observers what happens to one iModel and its calls; costs next to nothing while there are none. @internal */
export class ModelEvents {
  readonly #modelId: string;
  readonly #clock: Clock;
  readonly #observers = new Set<ModelObserver>();

  constructor(modelId: string, clock: Clock) {
    this.#modelId = modelId;
    this.#clock = clock;
  }

  /** Whether anybody listens. */
  get isObserved(): boolean {
    return this.#observers.size > 0;
  }

  /** Adds an observer; the returned function takes it away. An observer that throws is not asked again. */
  observe(observer: ModelObserver): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  /** Tells of a step of a call. */
  call(type: ModelEventType, call: ApiCalling, details?: Partial<ModelEventMessage>): void {
    if (this.#observers.size > 0) this.#publish(type, () => this.#describe(type, call, details), call);
  }

  /** Tells of a hook's run. `call` is null when it refused the call before there was one. */
  hook(event: HookEvent, call: ApiCalling | null): void {
    this.hookReport(event.report, event.error === null ? null : hookFailure(event), call);
  }

  /** Tells what a hook in this process or on the bus has reported. */
  hookReport(hook: HookReport, failure: Failure | null, call: ApiCalling | null): void {
    call?.span?.hooked(hook, failure);
    const about = call === null ? {} : { call_id: call.id };
    this.report('hook', { hook, ...about, ...(failure === null ? {} : { failure }) });
  }

  /** Tells of what the machine has turned to. */
  turn(before: ModelRegions, regions: ModelRegions): void {
    if (regions.rate !== before.rate) this.report(rateEvent(before.rate, regions.rate), {});
    if (regions.breaker !== before.breaker) this.report(breakerEvents[regions.breaker], {});
    if (regions.queue !== before.queue) this.report(regions.queue === 'full' ? 'full' : 'drained', {});
    if (regions.life !== before.life) {
      const type = lifeEvent(before.life, regions.life);
      if (type !== null) this.report(type, {});
    }
  }

  /** Tells of something that concerns the iModel, or a call it does not know. */
  report(type: ModelEventType, details: Partial<ModelEventMessage>): void {
    this.#publish(type, () => ({ type, model_id: this.#modelId, at: this.#clock.now(), ...details }));
  }

  #describe(type: ModelEventType, call: ApiCalling, details?: Partial<ModelEventMessage>): ModelEventMessage {
    const at = this.#clock.now();
    const event: ModelEventMessage = { type, model_id: this.#modelId, at, call_id: call.id, ...details };
    const { row, trace } = call;
    if (trace?.traceparent !== undefined) event.traceparent = trace.traceparent;
    if (row !== null) {
      if (row.caller !== '') event.caller = row.caller;
      if (row.startedAt !== null) event.wait_ms = row.startedAt - row.queuedAt;
    }
    if (call.waitReason !== null) event.wait_reason = call.waitReason;
    if (type === 'post_invocation') describeEnd(event, call);
    return event;
  }

  #publish(type: ModelEventType, make: () => ModelEventMessage, call: ApiCalling | null = null): void {
    for (const observer of this.#observers) {
      try {
        observer(type, make, call);
      } catch {
        this.#observers.delete(observer);
      }
    }
  }
}

function describeEnd(event: ModelEventMessage, call: ApiCalling): void {
  const { usage, cost, failure, duration } = call;
  event.status = call.status;
  event.attempts = call.attempts;
  if (failure !== null) event.failure = failure;
  if (duration !== null) event.duration_ms = duration * 1_000;
  if (call.own !== null) event.overhead_ms = call.own.ms;
  const { startedAt, firstChunkAt } = call.timing;
  if (startedAt !== null && firstChunkAt !== null) event.first_token_ms = firstChunkAt - startedAt;
  if (cost !== null) event.cost_usd = cost;
  if (usage === null) return;
  const { inputTokens, outputTokens, totalTokens } = usage;
  event.usage = { input_tokens: inputTokens, output_tokens: outputTokens, total_tokens: totalTokens };
}

function hookFailure({ error, point }: HookEvent): Failure {
  return IModelError.is(error) ? error.failure : failureOf('vetoed', toFailure(error).message, { hook: point });
}

const breakerEvents = { tripped: 'tripped', trial: 'trial', closed: 'recovered' } as const;

function rateEvent(before: ModelRegions['rate'], rate: ModelRegions['rate']): ModelEventType {
  if (rate !== 'open') return rate;
  return before === 'cooling' ? 'cooled' : 'refreshed';
}

/** What observers are told; null for a drain that becomes a close, of which they know. */
function lifeEvent(before: ModelRegions['life'], life: ModelRegions['life']): ModelEventType | null {
  switch (life) {
    case 'paused':
      return 'paused';
    case 'running':
      return before === 'paused' ? 'resumed' : 'started';
    case 'closed':
      return 'closed';
    default:
      return before === 'draining' ? null : 'draining';
  }
}
