import type { Counter, Gauge, Registry } from 'prom-client';
import type { ModelState } from '../../../schemas/state.ts';
import { quietly } from '../../telemetry/tracer.ts';
import type { GatewayHost } from '../gateway.ts';

/** What is read from the state when somebody asks: name, help, labels beside `imodel`, and the values. */
interface Reading {
  readonly name: string;
  readonly help: string;
  readonly kind: 'Counter' | 'Gauge';
  readonly label?: string;
  /** Null where there is no such number. */
  read(state: ModelState): Readonly<Record<string, number | null>>;
}

const ends = ['completed', 'failed', 'cancelled', 'aborted', 'skipped'] as const;
const breakerStates = ['closed', 'tripped', 'trial'] as const;

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
    name: 'imodel_retries_total',
    help: 'Attempts after the first of a call',
    kind: 'Counter',
    read: ({ counters }) => ({ '': counters.retried }),
  },
  {
    name: 'imodel_calls_waiting',
    help: 'Calls that wait: with a place in the queue, or for one',
    kind: 'Gauge',
    label: 'place',
    read: ({ queue }) => ({ queue: queue.waiting, outside: queue.outside }),
  },
  {
    name: 'imodel_queue_capacity',
    help: 'Calls that may wait in the queue',
    kind: 'Gauge',
    read: ({ queue }) => ({ '': queue.capacity }),
  },
  { name: 'imodel_calls_running', help: 'Calls that run', kind: 'Gauge', read: ({ running }) => ({ '': running }) },
  {
    name: 'imodel_calls_backing_off',
    help: 'Running calls between two attempts',
    kind: 'Gauge',
    read: (state) => ({ '': state.backing_off }),
  },
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
    name: 'imodel_budget_remaining',
    help: 'What the rate window that ends now has left; absent without a limit',
    kind: 'Gauge',
    label: 'of',
    read: ({ budget }) => ({ requests: budget.requests.remaining, tokens: budget.tokens.remaining }),
  },
  {
    name: 'imodel_breaker_state',
    help: '1 for the state that the breaker is in, 0 for the others',
    kind: 'Gauge',
    label: 'state',
    read: ({ regions }) => Object.fromEntries(breakerStates.map((state) => [state, Number(regions.breaker === state)])),
  },
  {
    name: 'imodel_mode',
    help: '1 for the mode it is in',
    kind: 'Gauge',
    label: 'mode',
    read: ({ mode }) => ({ [mode]: 1 }),
  },
];

/** Numbers that an actor keeps itself: read when they are asked for. */
export async function addStateMetrics(registry: Registry, { models }: GatewayHost): Promise<void> {
  const { Counter, Gauge } = await import('prom-client');
  for (const { name, help, kind, label, read } of readings) {
    const labelNames = label === undefined ? ['imodel'] : ['imodel', label];
    const set = (metric: Counter | Gauge): void => {
      metric.reset();
      for (const model of models.values()) {
        quietly(() => {
          for (const [key, value] of Object.entries(read(model.state))) {
            if (value === null) continue;
            metric.inc(label === undefined ? { imodel: model.id } : { imodel: model.id, [label]: key }, value);
          }
        });
      }
    };
    const Kind = kind === 'Gauge' ? Gauge : Counter;
    new Kind({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        set(this);
      },
    });
  }
}
