import type { FastifyInstance } from 'fastify';
import type { CallerBook } from '../../callers/caller-book.ts';
import type { iModel } from '../../imodel.ts';
import { version } from '../../version.ts';
import type { GatewayHost } from '../gateway.ts';
import { BoundedLabels } from './bounded-labels.ts';
import { addBusMetrics } from './bus-metrics.ts';
import { addCallMetrics } from './call-metrics.ts';
import { addStateMetrics } from './state-metrics.ts';

/** Callers that have series of their own; the rest share one. */
const maxCallers = 100;

/**
 * `GET /metrics`: what the iModels do, for Prometheus; `docs/telemetry.md` lists the metrics. Numbers that an actor keeps itself are read when
 * asked for; waits, durations and tokens are gathered as calls end. A fault of theirs reaches neither calls nor the other numbers.
 */
export async function addMetrics(server: FastifyInstance, host: GatewayHost, book: CallerBook): Promise<void> {
  const { Gauge, Registry } = await import('prom-client');
  const registry = new Registry();
  const registers = [registry];
  new Gauge({ name: 'imodel_info', help: '1, with the version', labelNames: ['version'], registers }).set(
    { version },
    1,
  );
  new Gauge({
    name: 'process_resident_memory_bytes',
    help: 'Resident memory size in bytes',
    registers,
    collect() {
      this.set(process.memoryUsage.rss());
    },
  });
  await addStateMetrics(registry, host);
  const callers = new BoundedLabels(maxCallers);
  const held = new Gauge({
    name: 'imodel_caller_calls_waiting',
    help: 'Requests that wait for the limits of their caller',
    labelNames: ['imodel', 'caller'],
    registers,
    collect() {
      held.reset();
      for (const { model, caller } of book.held()) held.inc({ imodel: model, caller: callers.of(caller) });
    },
  });
  const listener = addCallMetrics(registry, callers);
  const closeBus = host.bus === undefined ? () => {} : await addBusMetrics(registry, host.bus);
  const observed = new Map<string, () => void>();
  // One whose place another takes is heard to its end.
  const watch = (model: iModel): void => {
    const note = listener(model);
    // Of the events of a call only its end is looked at: the others need not be made.
    const close = model.live.events.observe((type, make) => type === 'post_invocation' && note(make()));
    observed.set(model.id, close);
  };
  const unwatch = host.watchModels?.(watch);
  if (unwatch === undefined) host.models.forEach(watch);
  server.addHook('onClose', async () => {
    unwatch?.();
    closeBus();
    for (const close of observed.values()) close();
  });
  server.get('/metrics', async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()));
}
