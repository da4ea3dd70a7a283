import {
  type Attributes,
  type Context,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import type { Endpoint, JobTrace } from '../endpoints/endpoint.ts';
import { toFailure } from '../errors.ts';
import { serverAttributes } from './gen-ai.ts';
import { type TraceHeaders, writeTrace } from './trace-headers.ts';
import { quietly, within } from './tracer.ts';

/** What the span of an attempt is made from. */
export interface AttemptSpanInit {
  readonly tracer: Tracer;
  /** What it is a part of. */
  readonly parent: Context;
  readonly endpoint: Pick<Endpoint, 'config' | 'isCli' | 'isElsewhere'>;
  /** 1 for the first of its call. */
  readonly number: number;
}

/**
 * One attempt of a call. Over HTTP it is the span of that request; for programs, scripts and endpoints of other processes one of our own.
 *
 * @see {@link https://github.com/open-telemetry/semantic-conventions/blob/v1.44.0/docs/http/http-spans.md} for HTTP client spans (stable; read
 * 2026-11)
 */
export class AttemptSpan implements JobTrace {
  readonly headers: TraceHeaders;
  readonly #span: Span;
  readonly #context: Context;
  #status = 0;

  constructor({ tracer, parent, endpoint, number }: AttemptSpanInit) {
    const isHttp = endpoint.config.baseUrl !== null && !endpoint.isCli && endpoint.isElsewhere !== true;
    const attributes: Attributes = { 'imodel.attempt': number };
    if (isHttp) Object.assign(attributes, httpAttributes(endpoint.config, number));
    const kind = isHttp || endpoint.isElsewhere === true ? SpanKind.CLIENT : SpanKind.INTERNAL;
    this.#span = tracer.startSpan(isHttp ? endpoint.config.method : 'attempt', { kind, attributes }, parent);
    this.#context = trace.setSpan(parent, this.#span);
    this.headers = writeTrace(this.#span.spanContext());
  }

  responded(status: number): void {
    this.#status = status;
  }

  /** Runs the attempt within its span. What it resolves or rejects with is handed through. */
  follow<T>(run: () => Promise<T>): Promise<T> {
    let reply: Promise<T>;
    try {
      reply = within(this.#context, run);
    } catch (error) {
      this.#end(error);
      throw error;
    }
    reply.then(
      () => this.#end(null),
      (error: unknown) => this.#end(error),
    );
    return reply;
  }

  #end(error: unknown): void {
    quietly(() => {
      const failure = error === null ? null : toFailure(error);
      const status = this.#status;
      if (status > 0) this.#span.setAttribute('http.response.status_code', status);
      if (failure !== null) {
        // What the vendor said of it may repeat the prompt.
        this.#span.setAttribute('error.type', status >= 400 ? String(status) : failure.code);
        this.#span.setStatus({ code: SpanStatusCode.ERROR });
      }
    });
    quietly(() => this.#span.end());
  }
}

function httpAttributes({ method, baseUrl, endpoint }: Endpoint['config'], number: number): Attributes {
  const base = new URL(baseUrl ?? '');
  return {
    'http.request.method': method,
    // A query may hold a key.
    'url.full': `${base.origin}${base.pathname.replace(/\/+$/, '')}/${endpoint}`,
    ...serverAttributes(baseUrl),
    ...(number > 1 ? { 'http.request.resend_count': number - 1 } : {}),
  };
}
