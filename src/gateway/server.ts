import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { GatewayConfig } from '../../schemas/config.ts';
import { anthropicDialect } from './anthropic-dialect.ts';
import type { Dialect } from './dialect.ts';
import { isLocalOnly } from './loopback.ts';
import { openaiDialect } from './openai-dialect.ts';
import { retryHeaders, soonestStartMs } from './queue-headers.ts';
import { answerable, Refusal } from './refusal.ts';
import type { Target } from './target.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** In whose words the errors of a route are written. @defaultValue OpenAI's */
    dialect?: Dialect;
  }
  interface FastifyRequest {
    /** The iModel a request is for, once that is known. */
    target: Target | null;
  }
}

/** How often requests that take too long to arrive are looked for, in milliseconds. */
const checkingMs = 1_000;

/** Idle connections are kept longer than the 60 s after which most clients and balancers drop them: the one who closes last loses no request. */
const keepAliveMs = 72_000;

/** How often a server that stops looks for connections that have become idle, in milliseconds. */
const closingMs = 25;

/** Largest head of a request, in bytes. */
const maxHeadBytes = 32_768;

/** The HTTP server with its limits, before it has any paths. `stop` makes it answer that it is going. */
export async function createServer(
  config: GatewayConfig,
  onError: (error: unknown) => void,
): Promise<{ readonly server: FastifyInstance; stop(): void }> {
  const { fastify } = await import('fastify');
  const server = fastify({
    bodyLimit: config.bodyLimit ?? 33_554_432,
    keepAliveTimeout: keepAliveMs,
    requestTimeout: (config.requestTimeout ?? 120) * 1_000,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    exposeHeadRoutes: false,
    http: {
      headersTimeout: (config.headersTimeout ?? 10) * 1_000,
      connectionsCheckingInterval: checkingMs,
      maxHeaderSize: maxHeadBytes,
    },
  });
  // A form of another site's page can send text, but no JSON.
  server.removeContentTypeParser('text/plain');
  server.decorateRequest('target', null);
  let stopping = false;
  server.server.on('connection', (socket) => socket.setMaxListeners(0));
  server.addHook('onRequest', (request, reply, done) => {
    if (stopping) reply.header('connection', 'close');
    refuseForeignName(request);
    done();
  });
  server.setNotFoundHandler((request) => {
    throw new Refusal(404, 'not_found', `There is nothing at ${request.method} ${request.url.split('?', 1)[0]}`);
  });
  server.setErrorHandler((thrown, request, reply) => {
    const { failure, status, reason } = answerable(thrown);
    if (status >= 500 && failure.code === 'internal') onError(thrown);
    const dialect = dialectOf(request);
    const state = request.target?.model.state;
    const waitMs = state === undefined ? 0 : soonestStartMs(state, Date.now());
    return reply
      .status(status)
      .headers(retryHeaders(failure, status, waitMs))
      .send(dialect.failureBody(failure, status, reason));
  });
  return {
    server,
    stop: () => {
      stopping = true;
      // A connection that was busy when the server closed must not stay open for a next request.
      const timer = setInterval(() => server.server.closeIdleConnections(), closingMs);
      server.server.once('close', () => clearInterval(timer));
    },
  };
}

function dialectOf(request: FastifyRequest): Dialect {
  const { dialect } = request.routeOptions.config;
  return dialect ?? (request.headers['anthropic-version'] === undefined ? openaiDialect : anthropicDialect);
}

/**
 * Refuses requests that name another host than this machine: a page of another site whose name has been pointed at 127.0.0.1 would
 * otherwise pass for one of ours.
 */
function refuseForeignName({ headers }: FastifyRequest): void {
  const name = (headers.host ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  if (name === '' || isLocalOnly(name)) return;
  throw new Refusal(403, 'forbidden_host', 'Without keys only requests to this machine by its own name are answered');
}
