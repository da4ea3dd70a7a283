import type { FastifyInstance } from 'fastify';
import type { LimitView } from '../../actors/policy/meter.ts';
import type { CallerBook } from '../callers/caller-book.ts';

/** `GET /v1/callers`: who may call, and what each has used of its limits; for operators. Keys and their hashes are in no answer. */
export function addCallers(server: FastifyInstance, book: CallerBook): void {
  server.get('/v1/callers', async () => {
    const data = [...book].map(({ name, config, gate, isOperator }) => {
      const { requests, tokens, costMicros, running, waiting } = gate.view();
      return {
        name,
        object: 'caller',
        operator: isOperator,
        models: config.models ?? null,
        weight: config.weight ?? 1,
        running,
        waiting,
        requests: written(requests),
        tokens: written(tokens),
        cost_usd: written(costMicros, 1_000_000),
      };
    });
    return { object: 'list', data };
  });
}

function written({ limit, used, resetsAt }: LimitView, unit = 1) {
  return { limit: limit === null ? null : limit / unit, used: used / unit, resets_at: resetsAt };
}
