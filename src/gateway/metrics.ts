import type { FastifyInstance } from 'fastify';
import type { ModelEventMessage } from '../../schemas/event.ts';
import type { ModelState } from '../../schemas/state.ts';
import type { iModel } from '../imodel.ts';
import type { GatewayHost } from './gateway.ts';

/** Bounds of waits and durations, in seconds: from a cached answer to an agent's hour. */
const buckets = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800];

/** What is read from the state when somebody asks: name, help, labels beside `imodel`, and the values. */
interface Reading {
  readonly name: string;
  readonly help: string;
  readonly kind: 'Counter' | 'Gauge';
  readonly label?: string;
  read(state: ModelState): Readonly<Record<string, number | null>>;
}

const ends = ['completed', 'failed', 'cancelled', 'aborted', 'skipped'] as const;

const readings: readonly Reading[] = [
  {
    name: 'imodel_calls_total',
    help: 'Calls that have ended, by how',
    kind: 'Counter',
    label: 'status',
    read: ({ counters }) => Object.fromEntries(ends.map((status) => [status, counters[status]])),
  },
  {
    name: 'imodel_calls_submitted_total',
    help: 'Calls that were submitted',
    kind: 'Counter',
    read: ({ counters }) => ({ '': counters.submitted }),
  },
  {
    name: 'imodel_calls_waiting',
    help: 'Calls that wait: with a place in the queue, or for one',
    kind: 'Gauge',
    label: 'place',
    read: ({ queue }) => ({ queue: queue.waiting, outside: queue.outside }),
  },
  { name: 'imodel_calls_running', help: 'Calls that run', kind: 'Gauge', read: ({ running }) => ({ '': running }) },
  {
    name: 'imodel_budget_limit',
    help: 'What a rate window grants; absent without a limit',
    kind: 'Gauge',
    label: 'of',
    read: ({ budget }) => ({ requests: budget.requests.limit, tokens: budget.tokens.limit }),
  },
  {
    name: 'imodel_budget_used',
    help: 'What the rate window that ends now has used',
    kind: 'Gauge',
    label: 'of',
    read: ({ budget }) => ({ requests: budget.requests.used, tokens: budget.tokens.used }),
  },
  {
    name: 'imodel_mode',
    help: '1 for the mode it is in',
    kind: 'Gauge',
    label: 'mode',
    read: ({ mode }) => ({ [mode]: 1 }),
  },
];

/**
 * `GET /metrics`: what the iModels do, for Prometheus. Numbers that an actor keeps itself are read when asked for; waits, durations and tokens are
 * gathered as calls end.
 */
export async function addMetrics(server: FastifyInstance, host: GatewayHost): Promise<void> {
  const { models } = host;
  const { Counter, Gauge, Histogram, Registry } = await import('prom-client');
  const registry = new Registry();
  const registers = [registry];
  for (const { name, help, kind, label, read } of readings) {
    const labelNames = label === undefined ? ['imodel'] : ['imodel', label];
    const set = (add: (labels: Record<string, string>, value: number) => void): void => {
      for (const { id, state } of models.values()) {
        for (const [key, value] of Object.entries(read(state))) {
          if (value !== null) add(label === undefined ? { imodel: id } : { imodel: id, [label]: key }, value);
        }
      }
    };
    const options = { name, help, labelNames, registers };
    if (kind === 'Gauge') {
      new Gauge({
        ...options,
        collect() {
          this.reset();
          set((labels, value) => this.set(labels, value));
        },
      });
    } else {
      new Counter({
        ...options,
        collect() {
          this.reset();
          set((labels, value) => this.inc(labels, value));
        },
      });
    }
  }
  const times = { labelNames: ['imodel'], buckets, registers };
  const wait = new Histogram({ ...times, name: 'imodel_call_wait_seconds', help: 'From submission to dispatch' });
  const duration = new Histogram({ ...times, name: 'imodel_call_duration_seconds', help: 'From dispatch to end' });
  const tokens = new Counter({
    name: 'imodel_tokens_total',
    help: 'Tokens that vendors reported',
    labelNames: ['imodel', 'direction'],
    registers,
  });
  const note = ({
    type,
    model_id: imodel,
    wait_ms: waitMs,
    duration_ms: durationMs,
    usage,
  }: ModelEventMessage): void => {
    if (type !== 'post_invocation') return;
    if (waitMs !== undefined) wait.observe({ imodel }, waitMs / 1_000);
    if (durationMs !== undefined) duration.observe({ imodel }, durationMs / 1_000);
    if (usage === undefined) return;
    tokens.inc({ imodel, direction: 'input' }, usage.input_tokens);
    tokens.inc({ imodel, direction: 'output' }, usage.output_tokens);
  };
  const observed = new Map<string, () => void>();
  // One whose place another takes is heard to its end.
  const watch = (model: iModel): void => void observed.set(model.id, model.observe(note));
  const unwatch = host.watchModels?.(watch);
  if (unwatch === undefined) models.forEach(watch);
  server.addHook('onClose', async () => {
    unwatch?.();
    for (const close of observed.values()) close();
  });
  server.get('/metrics', async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()));
}
