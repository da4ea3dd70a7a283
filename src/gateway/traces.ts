import type { FastifyInstance } from 'fastify';
import { activeSpanId, ServerSpan } from '../telemetry/server-span.ts';
import { readTrace, type TraceHeaders } from '../telemetry/trace-headers.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The trace that its call belongs to; null leaves it to the one that is active. */
    trace: TraceHeaders | null;
  }
}

/**
 * Has the trace of a caller go on in its call: each request for a call is a span where traces are collected, unless an instrumentation of HTTP
 * has begun one; without a tracer the call belongs to the trace that the request's headers name.
 */
export function addTraces(server: FastifyInstance): void {
  const idle = activeSpanId();
  server.decorateRequest('trace', null);
  server.addHook('onRequest', (request, reply, done) => {
    // Only routes that make calls write errors in somebody's words.
    if (request.routeOptions.config.dialect !== undefined) {
      const { traceparent, tracestate } = request.headers;
      const headers: TraceHeaders = {
        ...(typeof traceparent === 'string' ? { traceparent } : {}),
        ...(typeof tracestate === 'string' ? { tracestate } : {}),
      };
      const { method, routeOptions } = request;
      const span = ServerSpan.begin({ method, route: routeOptions.url ?? '', headers }, idle);
      if (span !== null)
        reply.raw.once('close', () => span.end(reply.raw.writableFinished ? reply.raw.statusCode : null));
      request.trace = span?.headers ?? (activeSpanId() === idle && readTrace(headers) !== null ? headers : null);
    }
    done();
  });
}
