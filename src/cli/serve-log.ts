import type { ModelEventMessage, ModelEventType } from '../../schemas/event.ts';
import type { BusStatus } from '../bus/bus.ts';
import { toFailure } from '../errors.ts';
import type { iModel } from '../imodel.ts';
import { eventLine } from './event-line.ts';
import { formatDuration, formatTable } from './format.ts';

/** What a serving process tells the one who runs it. */
export interface ServeLog {
  /** Every iModel answers. `where` names the bus. */
  ready(models: ReadonlyMap<string, iModel>, where: string): void;
  event(event: ModelEventMessage): void;
  connection(status: BusStatus): void;
  fault(error: unknown, subject: string): void;
  /** It takes no more calls; `running` ones have `limitMs`. */
  stopping(running: number, limitMs: number): void;
  stopped(): void;
}

/** One line a call would be too little, four too many: these say how calls end and when an iModel's mode changes. */
const told: ReadonlySet<ModelEventType> = new Set([
  'post_invocation',
  'throttled',
  'refreshed',
  'full',
  'drained',
  'paused',
  'resumed',
  'draining',
  'closed',
  'malformed',
]);

/** Lines for people, on stdout. */
export function createTextLog(): ServeLog {
  const print = (text: string): void => {
    process.stdout.write(`${text}\n`);
  };
  let width = 0;
  return {
    ready(models, where) {
      width = Math.max(...[...models.keys()].map((id) => id.length));
      const rows = [...models.values()].map((model) => [model.id, modelLabel(model), limitsLabel(model)]);
      print(formatTable([['ID', 'MODEL', 'LIMITS'], ...rows]).join('\n'));
      print(`ready: ${models.size === 1 ? '1 iModel' : `${models.size} iModels`} on ${where}`);
    },
    event(event) {
      if (told.has(event.type)) print(eventLine(event, width));
    },
    connection({ type, detail }) {
      print(`bus: ${type.replace('_', ' ')}${detail === undefined ? '' : `, ${detail}`}`);
    },
    fault(error, subject) {
      const { code, message } = toFailure(error);
      process.stderr.write(`bus: ${subject === '' ? '' : `${subject}: `}${message} (${code})\n`);
    },
    stopping(running, limitMs) {
      const wait =
        running === 0 ? '' : `: ${running} running, which have ${formatDuration(limitMs)}; once more ends them`;
      print(`stopping${wait}`);
    },
    stopped: () => print('stopped'),
  };
}

/** Where a secret could stand in something that is logged. */
const secretPaths = ['apiKey', 'api_key', 'authorization', 'headers', 'password', 'token', 'creds'].flatMap((name) => [
  name,
  `*.${name}`,
  `*.*.${name}`,
]);

/** Lines of JSON for programs, on stdout, written before the next thing happens. */
export async function createJsonLog(): Promise<ServeLog> {
  const { pino } = await import('pino');
  const destination = pino.destination({ dest: 1, sync: true });
  const logger = pino({ redact: { paths: secretPaths, censor: '(hidden)' } }, destination);
  return {
    ready(models, where) {
      const list = [...models.values()].map((model) => ({ id: model.id, model: modelLabel(model) }));
      logger.info({ models: list, bus: where }, 'ready');
    },
    event(event) {
      const { type, failure } = event;
      const level = !told.has(type) ? 'debug' : failure === undefined ? 'info' : 'warn';
      logger[level]({ event }, type);
    },
    connection: ({ type, at, detail }) => logger[type === 'connected' ? 'info' : 'warn']({ at, detail }, `bus ${type}`),
    fault: (error, subject) => logger.error({ failure: toFailure(error), subject }, 'fault'),
    stopping: (running, limitMs) => logger.info({ running, limit_ms: limitMs }, 'stopping'),
    stopped: () => logger.info('stopped'),
  };
}

function modelLabel(model: iModel): string {
  return `${model.endpoint.config.provider}/${model.modelName}`;
}

function limitsLabel(model: iModel): string {
  const { budget, concurrency_limit: concurrency } = model.state;
  const per = formatDuration(budget.window_ms);
  const parts = [
    ...(budget.requests.limit === null ? [] : [`${budget.requests.limit} requests in ${per}`]),
    ...(budget.tokens.limit === null ? [] : [`${budget.tokens.limit} tokens in ${per}`]),
    ...(concurrency === null ? [] : [`${concurrency} at once`]),
  ];
  return parts.join(', ') || 'none';
}
