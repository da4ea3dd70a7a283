import type { Registry } from 'prom-client';
import type { Bus } from '../../bus/bus.ts';
import { quietly } from '../../telemetry/tracer.ts';

/** How the connection of a bus fares. Returns the way to listen no more. */
export async function addBusMetrics(registry: Registry, bus: Bus): Promise<() => void> {
  const { Counter, Gauge } = await import('prom-client');
  const registers = [registry];
  const connected = new Gauge({ name: 'imodel_bus_connected', help: '1 while the bus has its connection', registers });
  const reconnects = new Counter({
    name: 'imodel_bus_reconnects_total',
    help: 'How often a lost connection came back',
    registers,
  });
  const reports = new Counter({
    name: 'imodel_bus_reports_total',
    help: 'What the bus reported of its connection, by type',
    labelNames: ['type'],
    registers,
  });
  new Gauge({
    name: 'imodel_bus_pending_bytes',
    help: 'Bytes that wait to be sent, or that the server has not confirmed',
    registers,
    collect() {
      quietly(() => this.set(bus.pendingBytes ?? 0));
    },
  });
  const statuses = bus.status[Symbol.asyncIterator]();
  const follow = async (): Promise<void> => {
    let lost = false;
    for (;;) {
      const { value, done } = await statuses.next();
      if (done === true) return;
      const { type } = value;
      reports.inc({ type });
      if (type === 'connected' && lost) reconnects.inc();
      if (type === 'disconnected' || type === 'closed') lost = true;
      else if (type === 'connected') lost = false;
      if (type === 'connected' || type === 'disconnected' || type === 'closed') connected.set(lost ? 0 : 1);
    }
  };
  follow().catch(() => connected.set(0));
  return () => void statuses.return?.();
}
