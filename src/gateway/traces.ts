import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { activeSpanId, ServerSpan } from '../telemetry/server-span.ts';
import { readTrace, type TraceHeaders } from '../telemetry/trace-headers.ts';
import { activeTracer } from '../telemetry/tracer.ts';

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
  server.addHook('onRoute', (route) => {
    // Only routes that make calls write errors in somebody's words.
    if (route.config?.dialect === undefined) return;
    route.onRequest = (request, reply, done) => {
      // Most requests are of no trace.
      if (request.headers.traceparent !== undefined || activeTracer() !== null) follow(request, reply, route.url, idle);
      done();
    };
  });
}

function follow(request: FastifyRequest, { raw }: FastifyReply, route: string, idle: string | undefined): void {
  const { traceparent, tracestate } = request.headers;
  const headers: TraceHeaders = {
    ...(typeof traceparent === 'string' ? { traceparent } : {}),
    ...(typeof tracestate === 'string' ? { tracestate } : {}),
  };
  const span = ServerSpan.begin({ method: request.method, route, headers }, idle);
  if (span !== null) raw.once('close', () => span.end(raw.writableFinished ? raw.statusCode : null));
  request.trace = span?.headers ?? (activeSpanId() === idle && readTrace(headers) !== null ? headers : null);
}
