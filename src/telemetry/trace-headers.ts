import { createTraceState, type SpanContext } from '@opentelemetry/api';
import { type CallOptions, traceParent } from '../../schemas/imodel.ts';

/**
 * A W3C trace context as headers, `traceparent` and where there is one `tracestate`. It is written and read here, so that the wire says the same
 * whichever propagator an application has registered, or none.
 *
 * @see {@link https://www.w3.org/TR/trace-context/} (read 2026-11)
 */
export type TraceHeaders = Readonly<Record<string, string>>;

/** Writes a span's place in its trace. */
export function writeTrace({ traceId, spanId, traceFlags, traceState }: SpanContext): TraceHeaders {
  const traceparent = `00-${traceId}-${spanId}-${(traceFlags & 0xff).toString(16).padStart(2, '0')}`;
  const tracestate = traceState?.serialize() ?? '';
  return tracestate === '' ? { traceparent } : { traceparent, tracestate };
}

/** The trace that a caller has named among its options; null when it named none. */
export function namedTrace({
  traceparent,
  tracestate,
}: Pick<CallOptions, 'traceparent' | 'tracestate'>): TraceHeaders | null {
  if (traceparent === undefined) return null;
  return tracestate === undefined ? { traceparent } : { traceparent, tracestate };
}

/** Reads what {@link writeTrace} or somebody else wrote; null for headers without a trace context, or with one that is none. */
export function readTrace({ traceparent, tracestate }: TraceHeaders): SpanContext | null {
  if (traceparent === undefined || !traceParent.safeParse(traceparent).success || traceparent.startsWith('ff')) {
    return null;
  }
  const [, traceId = '', spanId = '', flags = ''] = traceparent.split('-');
  const span: SpanContext = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  return tracestate === undefined ? span : { ...span, traceState: createTraceState(tracestate) };
}
