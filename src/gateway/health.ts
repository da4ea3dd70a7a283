import type { FastifyInstance } from 'fastify';
import type { Bus, BusStatus } from '../bus/bus.ts';
import type { CallerBook } from '../callers/caller-book.ts';
import type { GatewayHost } from './gateway.ts';

/**
 * `GET /healthz`: the process answers. `GET /readyz`: every iModel takes calls and the bus is there, else 503 with what is not. Nobody is asked
 * for a key here, so where there are callers the iModels are not named.
 */
export function addHealth(server: FastifyInstance, { models, bus }: GatewayHost, book: CallerBook): void {
  const options = { config: { access: 'everyone' } } as const;
  server.get('/healthz', options, async () => ({ status: 'ok' }));
  server.get('/readyz', options, async (_request, reply) => {
    const takeCalls = [...models.values()].every(({ status }) => status !== 'closed' && status !== 'draining');
    const away = bus === undefined ? null : await awayAs(bus);
    const ready = takeCalls && away === null;
    if (!ready) reply.status(503);
    return {
      status: ready ? 'ready' : 'not_ready',
      ...(book.isInUse ? {} : { imodels: Object.fromEntries([...models].map(([id, { status }]) => [id, status])) }),
      ...(away === null ? {} : { bus: away }),
    };
  });
}

/** What is the matter with a bus that reaches nobody; null for one that does. A server about to shut down still carries. */
async function awayAs(bus: Bus): Promise<BusStatus['type'] | null> {
  // Whoever reads the status begins with the present one.
  for await (const { type } of bus.status) return type === 'connected' || type === 'lame_duck' ? null : type;
  return 'closed';
}
