import type { FastifyInstance } from 'fastify';
import type { CallerBook } from '../callers/caller-book.ts';
import type { GatewayHost } from './gateway.ts';

/**
 * `GET /healthz`: the process answers. `GET /readyz`: every iModel takes calls, else 503. Nobody is asked for a key here, so where there are
 * callers the iModels are not named.
 */
export function addHealth(server: FastifyInstance, { models }: GatewayHost, book: CallerBook): void {
  const options = { config: { access: 'everyone' } } as const;
  server.get('/healthz', options, async () => ({ status: 'ok' }));
  server.get('/readyz', options, async (_request, reply) => {
    const notReady = [...models.values()].filter(({ status }) => status === 'closed' || status === 'draining');
    if (notReady.length > 0) reply.status(503);
    return {
      status: notReady.length === 0 ? 'ready' : 'not_ready',
      ...(book.isInUse ? {} : { imodels: Object.fromEntries([...models].map(([id, { status }]) => [id, status])) }),
    };
  });
}
