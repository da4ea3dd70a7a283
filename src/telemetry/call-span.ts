import {
  type Attributes,
  type Context,
  context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import type { CallStatus } from '../../schemas/call.ts';
import type { AnswerView } from '../../schemas/chunk.ts';
import type { Failure } from '../../schemas/failure.ts';
import type { HookReport } from '../../schemas/hook.ts';
import type { Endpoint, Fields } from '../endpoints/endpoint.ts';
import { chatFinishReason } from '../endpoints/openai-chat-reply.ts';
import { record } from '../http/vendor-error.ts';
import { AttemptSpan } from './attempt-span.ts';
import { inputAttributes, outputAttributes } from './content.ts';
import { genAiEndpoint, modelOf, requestAttributesOf } from './gen-ai.ts';
import { readTrace, type TraceHeaders, writeTrace } from './trace-headers.ts';
import { activeTracer, quietly, within } from './tracer.ts';

/** What a span tells of a call. */
export interface TracedCall extends AnswerView {
  readonly id: string;
  readonly payload: Fields;
  readonly isStreamed: boolean;
  readonly status: CallStatus;
  readonly attempts: number;
  readonly failure: Failure | null;
  readonly response: unknown;
  /** US dollars; null when that is not known. */
  readonly cost: number | null;
}

/** What the span of a call is made from. */
export interface CallSpanInit {
  readonly call: TracedCall;
  readonly modelId: string;
  readonly caller: string;
  readonly endpoint: Endpoint;
  /** Whether it holds prompt and answer; asked only where there is a tracer. */
  readonly content: () => boolean;
  /** The trace its caller belongs to; null when it belongs to none. @defaultValue the one that is active */
  readonly parent: TraceHeaders | null | undefined;
}

/**
 * The span of one call, from its submission to its end, with all attempts within: `{operation} {model}`. Its children are the wait in the queue,
 * hooks and attempts.
 *
 * Nothing that a tracer, a processor or an exporter throws reaches the call.
 *
 * @see {@link https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/client-inference.md} for the span
 * `gen_ai.client.inference` (in development, after v0.1.0; read 2026-11)
 */
export class CallSpan {
  /** The span as its children in other processes know it. */
  readonly headers: TraceHeaders;
  readonly #tracer: Tracer;
  readonly #span: Span;
  readonly #context: Context;
  readonly #endpoint: Endpoint;
  readonly #content: boolean;
  readonly #startedAt = performance.now();
  #queue: Span | null = null;
  #attempts = 0;

  /** Begins the span of a call; null where nothing is traced. */
  static begin(init: CallSpanInit): CallSpan | null {
    const tracer = activeTracer();
    if (tracer === null) return null;
    return quietly(() => new CallSpan(tracer, init)) ?? null;
  }

  private constructor(tracer: Tracer, { call, modelId, caller, endpoint, content, parent }: CallSpanInit) {
    const { operation, provider, server } = genAiEndpoint(endpoint.config, endpoint.isCli);
    const model = modelOf(call.payload) || modelOf(endpoint.config.kwargs);
    const attributes: Attributes = {
      'gen_ai.operation.name': operation,
      'gen_ai.provider.name': provider,
      ...(model === '' ? {} : { 'gen_ai.request.model': model }),
      ...(endpoint.isCli ? { 'gen_ai.agent.name': endpoint.config.provider } : {}),
      ...server,
      ...requestAttributesOf(call.payload, call.isStreamed),
      'imodel.id': modelId,
      'imodel.call.id': call.id,
      ...(caller === '' ? {} : { 'imodel.caller': caller }),
    };
    const subject = endpoint.isCli ? endpoint.config.provider : model;
    const above = contextOf(parent);
    const name = subject === '' ? operation : `${operation} ${subject}`;
    this.#tracer = tracer;
    this.#endpoint = endpoint;
    this.#span = tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes }, above);
    this.#context = trace.setSpan(above, this.#span);
    this.#content = content();
    this.headers = writeTrace(this.#span.spanContext());
  }

  /** It has to wait, for this reason. */
  queued(reason: string): void {
    quietly(() => {
      this.#queue = this.#tracer.startSpan('queue', { attributes: { 'imodel.wait.reason': reason } }, this.#context);
    });
  }

  /** Its turn has come. */
  dispatched(): void {
    quietly(() => this.#queue?.end());
    this.#queue = null;
  }

  /** A hook has run for it. */
  hooked({ name, status, duration_ms: durationMs }: HookReport, failure: Failure | null): void {
    quietly(() => {
      const attributes: Attributes = { 'imodel.hook.status': status };
      if (failure !== null) attributes['error.type'] = failure.code;
      const startTime = Date.now() - durationMs;
      const span = this.#tracer.startSpan(`hook ${name}`, { startTime, attributes }, this.#context);
      if (failure !== null) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    });
  }

  /** Begins the span of its next attempt; null when that cannot be had. */
  attempt(): AttemptSpan | null {
    this.#attempts += 1;
    const made = quietly(
      () =>
        new AttemptSpan({
          tracer: this.#tracer,
          parent: this.#context,
          endpoint: this.#endpoint,
          number: this.#attempts,
        }),
    );
    return made ?? null;
  }

  /** Runs something that belongs to the call, so that spans others begin there are its children. */
  within<T>(run: () => T): T {
    return within(this.#context, run);
  }

  /** The first chunk of its stream has come. */
  firstChunk(): void {
    quietly(() => {
      this.#span.addEvent('first_token');
      this.#span.setAttribute('gen_ai.response.time_to_first_chunk', (performance.now() - this.#startedAt) / 1_000);
    });
  }

  /** An attempt has failed and another follows. */
  retrying({ code }: Failure, delayMs: number): void {
    quietly(() => this.#span.addEvent('retry', { 'error.type': code, 'imodel.retry.delay': delayMs / 1_000 }));
  }

  /** Its model has failed and another is asked. */
  rescued({ code }: Failure): void {
    quietly(() => this.#span.addEvent('fallback', { 'error.type': code }));
  }

  /** It has ended. */
  end(call: TracedCall): void {
    this.dispatched();
    quietly(() => {
      const { failure } = call;
      this.#span.setAttributes(endAttributes(call));
      if (failure !== null) {
        // What is said of a failure may repeat the prompt, or the answer.
        const message = this.#content ? failure.message : failure.code;
        this.#span.setStatus({ code: SpanStatusCode.ERROR, message });
      }
      if (this.#content) this.#span.setAttributes({ ...inputAttributes(call.payload), ...outputAttributes(call) });
    });
    quietly(() => this.#span.end());
  }
}

function contextOf(parent: TraceHeaders | null | undefined): Context {
  if (parent === undefined) return context.active();
  const span = parent === null ? null : readTrace(parent);
  return span === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, span);
}

function endAttributes({ status, attempts, failure, finishReason, usage, response, cost }: TracedCall): Attributes {
  const attributes: Attributes = { 'imodel.status': status, 'imodel.attempts': attempts };
  if (failure !== null) attributes['error.type'] = failure.code;
  if (cost !== null) attributes['imodel.cost.usd'] = cost;
  const { id, model, choices } = record(response) ?? {};
  if (finishReason !== null || failure !== null)
    attributes['gen_ai.response.finish_reasons'] = [finishReason ?? 'error', ...furtherReasons(choices)];
  if (typeof id === 'string') attributes['gen_ai.response.id'] = id;
  if (typeof model === 'string') attributes['gen_ai.response.model'] = model;
  if (usage === null) return attributes;
  const { inputTokens, outputTokens, cachedInputTokens, cacheWriteTokens, reasoningTokens } = usage;
  attributes['gen_ai.usage.input_tokens'] = inputTokens;
  attributes['gen_ai.usage.output_tokens'] = outputTokens;
  if (cachedInputTokens !== undefined) attributes['gen_ai.usage.cache_read.input_tokens'] = cachedInputTokens;
  if (cacheWriteTokens !== undefined) attributes['gen_ai.usage.cache_write.input_tokens'] = cacheWriteTokens;
  if (reasoningTokens !== undefined) attributes['gen_ai.usage.reasoning.output_tokens'] = reasoningTokens;
  return attributes;
}

/** Why the answers beside the first ended, where several were asked for. */
function furtherReasons(choices: unknown): string[] {
  if (!Array.isArray(choices)) return [];
  return choices.slice(1).map((choice: unknown) => chatFinishReason(record(choice)?.finish_reason) ?? 'error');
}
