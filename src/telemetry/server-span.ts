import { type Context, context, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { readTrace, type TraceHeaders, writeTrace } from './trace-headers.ts';
import { activeTracer, quietly } from './tracer.ts';

/** A request as its span tells of it. */
export interface ServedRequest {
  readonly method: string;
  /** The path as it was registered, without what varies. */
  readonly route: string;
  /** `traceparent` and `tracestate` as they came, or nothing. */
  readonly headers: TraceHeaders;
}

/** The span of an HTTP request that was answered here. */
export class ServerSpan {
  readonly headers: TraceHeaders;
  readonly #span: Span;

  /**
   * Begins the span of a request; null where nothing is traced, and where an instrumentation of the HTTP server has begun one already.
   *
   * @param idle - The span that was active when the server was started, which is none of a request's.
   * @see {@link https://github.com/open-telemetry/semantic-conventions/blob/v1.44.0/docs/http/http-spans.md} for HTTP server spans (stable;
   * read 2026-11)
   */
  static begin({ method, route, headers }: ServedRequest, idle: string | undefined): ServerSpan | null {
    const tracer = activeTracer();
    if (tracer === null || activeSpanId() !== idle) return null;
    const made = quietly(() => {
      const attributes = {
        'http.request.method': method,
        'http.route': route,
        'url.path': route,
        'url.scheme': 'http',
      };
      return new ServerSpan(
        tracer.startSpan(`${method} ${route}`, { kind: SpanKind.SERVER, attributes }, below(headers)),
      );
    });
    return made ?? null;
  }

  private constructor(span: Span) {
    this.#span = span;
    this.headers = writeTrace(span.spanContext());
  }

  /** It was answered with this status; with null its caller was gone before that. */
  end(status: number | null): void {
    quietly(() => {
      if (status === null) this.#span.setAttribute('error.type', 'cancelled');
      else this.#span.setAttribute('http.response.status_code', status);
      if (status === null || status < 500) return;
      this.#span.setAttribute('error.type', String(status));
      this.#span.setStatus({ code: SpanStatusCode.ERROR });
    });
    quietly(() => this.#span.end());
  }
}

/** Which span is active where this is asked; undefined without one. */
export function activeSpanId(): string | undefined {
  return quietly(() => trace.getSpanContext(context.active())?.spanId);
}

function below(headers: TraceHeaders): Context {
  const remote = readTrace(headers);
  return remote === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, remote);
}
