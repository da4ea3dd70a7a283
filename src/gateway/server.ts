import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { GatewayConfig } from '../../schemas/config.ts';
import { anthropicDialect } from './anthropic-dialect.ts';
import { Connections } from './connections.ts';
import type { Dialect } from './dialect.ts';
import { openaiDialect } from './openai-dialect.ts';
import { retryHeaders, soonestStartMs } from './queue-headers.ts';
import { answerable, Refusal } from './refusal.ts';
import type { Target } from './target.ts';
import { Turns } from './turns.ts';

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

/** Largest head of a request, in bytes. */
const maxHeadBytes = 32_768;

/** What a server asks of the gateway. */
export interface ServerHooks {
  /** Lets a request pass before its body is read. @throws Refusal */
  readonly check: (request: FastifyRequest) => void;
  /** Hears of faults of ours. */
  readonly onError: (error: unknown) => void;
}

/** The HTTP server with its limits, before it has any paths. `stop` makes it answer that it is going. */
export async function createServer(
  config: GatewayConfig,
  { check, onError }: ServerHooks,
): Promise<{ readonly server: FastifyInstance; stop(): void }> {
  const { fastify } = await import('fastify');
  const requestTimeoutMs = (config.requestTimeout ?? 120) * 1_000;
  const server = fastify({
    bodyLimit: config.bodyLimit ?? 33_554_432,
    keepAliveTimeout: keepAliveMs,
    requestTimeout: requestTimeoutMs,
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
  server.decorateRequest('caller', null);
  let stopping = false;
  const connections = new Connections(server.server, requestTimeoutMs);
  const turns = new Turns();
  server.addHook('onRequest', (request, reply, done) => {
    if (stopping) reply.header('connection', 'close');
    check(request);
    turns.begin(done);
  });
  server.setNotFoundHandler((request) => {
    throw new Refusal(404, 'not_found', `There is nothing at ${request.method} ${request.url.split('?', 1)[0]}`);
  });
  server.setErrorHandler((thrown, request, reply) => {
    const { failure, status, reason } = answerable(thrown);
    if (status >= 500 && failure.code === 'internal') onError(thrown);
    if (status === 401 && failure.code !== 'unauthorized') reply.header('www-authenticate', 'Bearer');
    const dialect = dialectOf(request);
    const backlog = request.target?.model.backlog;
    const waitMs = backlog === undefined ? 0 : soonestStartMs(backlog, Date.now());
    return reply
      .status(status)
      .headers(retryHeaders(failure, status, waitMs))
      .send(dialect.failureBody(failure, status, reason));
  });
  return {
    server,
    stop: () => {
      stopping = true;
      connections.close();
    },
  };
}

function dialectOf(request: FastifyRequest): Dialect {
  const { dialect } = request.routeOptions.config;
  return dialect ?? (request.headers['anthropic-version'] === undefined ? openaiDialect : anthropicDialect);
}
