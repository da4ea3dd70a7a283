import type { FastifyInstance } from 'fastify';
import type { GatewayHost } from './gateway.ts';

/** `GET /healthz`: the process answers. `GET /readyz`: every iModel takes calls, else 503 with those that do not. */
export function addHealth(server: FastifyInstance, { models }: GatewayHost): void {
  server.get('/healthz', async () => ({ status: 'ok' }));
  server.get('/readyz', async (_request, reply) => {
    const notReady = [...models.values()].filter(({ status }) => status === 'closed' || status === 'draining');
    if (notReady.length > 0) reply.status(503);
    return {
      status: notReady.length === 0 ? 'ready' : 'not_ready',
      imodels: Object.fromEntries([...models].map(([id, { status }]) => [id, status])),
    };
  });
}
