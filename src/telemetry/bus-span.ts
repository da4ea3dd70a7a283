import { context, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { CallOptions } from '../../schemas/imodel.ts';
import type { Endpoint } from '../endpoints/endpoint.ts';
import { toFailure } from '../errors.ts';
import { AttemptSpan } from './attempt-span.ts';
import { namedTrace, readTrace, type TraceHeaders, writeTrace } from './trace-headers.ts';
import { activeTracer, quietly } from './tracer.ts';

/** A call that was sent over a bus, as its caller sees it: the call's own span, on its host, is a child of this one. */
export class BusSpan {
  /** What goes along with the request. */
  readonly headers: TraceHeaders;
  readonly #span: Span;

  /**
   * Begins the span of a call that is sent; null where nothing is traced.
   *
   * @param options - Those of the call: they may name the trace it belongs to, in place of the one that is active.
   */
  static begin(operation: 'invoke' | 'stream', modelId: string, options: CallOptions): BusSpan | null {
    const tracer = activeTracer();
    if (tracer === null) return null;
    const made = quietly(() => {
      const named = namedTrace(options);
      const remote = named === null ? null : readTrace(named);
      const above = remote === null ? context.active() : trace.setSpanContext(ROOT_CONTEXT, remote);
      const attributes = {
        'messaging.operation.type': 'send',
        'messaging.operation.name': operation,
        'messaging.destination.name': `imodel.${modelId}.${operation}`,
        'imodel.id': modelId,
      };
      return new BusSpan(tracer.startSpan(`${operation} ${modelId}`, { kind: SpanKind.CLIENT, attributes }, above));
    });
    return made ?? null;
  }

  private constructor(span: Span) {
    this.#span = span;
    this.headers = writeTrace(span.spanContext());
  }

  /** The call has ended, or was lost: `error` says why, null for one that completed. */
  end(error: unknown): void {
    quietly(() => {
      if (error === null) return;
      this.#span.setAttribute('error.type', toFailure(error).code);
      this.#span.setStatus({ code: SpanStatusCode.ERROR });
    });
    quietly(() => this.#span.end());
  }
}

/** The span of an attempt that is made here for an iModel in another process; null where nothing is traced. */
export function servedAttempt(headers: TraceHeaders | null, endpoint: Endpoint): AttemptSpan | null {
  const tracer = activeTracer();
  if (tracer === null) return null;
  const made = quietly(() => {
    const remote = headers === null ? null : readTrace(headers);
    const parent = remote === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, remote);
    return new AttemptSpan({ tracer, parent, endpoint, number: 1 });
  });
  return made ?? null;
}
