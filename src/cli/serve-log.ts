import type { ModelEventMessage, ModelEventType } from '../../schemas/event.ts';
import type { BusStatus } from '../bus/bus.ts';
import { toFailure } from '../errors.ts';
import type { iModel } from '../imodel.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';
import type { ConfigChanges } from '../runtime/config-changes.ts';
import { lineWithout, writableFailure } from '../telemetry/redaction.ts';
import { eventLine } from './event-line.ts';
import { formatDuration, formatTable } from './format.ts';
import { openLineOutput } from './line-output.ts';

/** The HTTP gateway of a process. */
export interface OpenDoor {
  readonly url: string;
  /** Whether it asks for keys. */
  readonly hasCallers: boolean;
}

/** What a serving process tells the one who runs it. */
export interface ServeLog {
  /** Every iModel answers. `where` names the bus. */
  ready(models: ReadonlyMap<string, iModel>, where: string, door: OpenDoor | null): void;
  /** Whether it tells of such events: the others need not be made. */
  tells(type: ModelEventType): boolean;
  /** Hears of an event that it tells. @param call - The call it tells of; null for none. */
  event(event: ModelEventMessage, model: iModel, call: ApiCalling | null): void;
  connection(status: BusStatus): void;
  fault(error: unknown, subject: string): void;
  /** Another configuration holds. `lasting` names the settings that hold only from the next start on. */
  reloaded(changes: ConfigChanges, lasting: readonly string[]): void;
  /** A configuration was refused, and the one before holds. */
  refused(error: unknown): void;
  /** It takes no more calls; `running` ones have `limitMs`. */
  stopping(running: number, limitMs: number): void;
  stopped(): void;
  /** Resolves when what was told is written, or cannot be. */
  close(): Promise<void>;
}

/** One line a call would be too little, four too many: these say how calls end and when an iModel's mode changes. */
export const told: ReadonlySet<ModelEventType> = new Set([
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

/** Tells nothing, where something else is on the terminal. */
export const silentLog: ServeLog = {
  ready: () => {},
  tells: () => false,
  event: () => {},
  connection: () => {},
  fault: () => {},
  reloaded: () => {},
  refused: () => {},
  stopping: () => {},
  stopped: () => {},
  close: async () => {},
};

/** Lines for people, on stdout. @param secrets - Texts that must not be written wherever they stand. */
export function createTextLog(secrets: readonly string[]): ServeLog {
  const clean = lineWithout(secrets);
  const output = openLineOutput((count) => `${count} lines are missing here: nobody took them`);
  const print = (text: string): void => output.write(() => clean(text));
  let width = 0;
  let lastConnection = '';
  return {
    ready(models, where, door) {
      width = Math.max(...[...models.keys()].map((id) => id.length));
      const rows = [...models.values()].map((model) => [model.id, modelLabel(model), limitsLabel(model)]);
      print(formatTable([['ID', 'MODEL', 'LIMITS'], ...rows]).join('\n'));
      const gateway = door === null ? '' : `, and on ${door.url}`;
      print(`ready: ${models.size === 1 ? '1 iModel' : `${models.size} iModels`} on ${where}${gateway}`);
      if (door === null) return;
      print(`watch them at ${door.url}; clients of OpenAI use ${door.url}/v1 as their base URL`);
      if (!door.hasCallers)
        print('no callers are configured: only this machine is answered, and nobody is asked for a key');
    },
    tells: (type) => told.has(type),
    event(event, model) {
      output.write(() => clean(eventLine(shownEvent(event, model), width)));
    },
    connection({ type, detail }) {
      const line = `bus: ${type.replace('_', ' ')}${detail === undefined ? '' : `, ${detail}`}`;
      // A server that is away is tried again every second or so.
      if (line !== lastConnection) print(line);
      lastConnection = line;
    },
    fault(error, subject) {
      const { code, message } = toFailure(error);
      process.stderr.write(`bus: ${subject === '' ? '' : `${subject}: `}${clean(message)} (${code})\n`);
    },
    reloaded(changes, lasting) {
      const said = (what: string, ids: readonly string[]) => (ids.length === 0 ? [] : [`${what} ${ids.join(', ')}`]);
      const { added, changed, limited, removed } = changes;
      const news = [
        said('added', added),
        said('changed', changed),
        said('limits of', limited),
        said('removed', removed),
      ];
      print(`reloaded: ${news.flat().join('; ') || 'no iModel has changed'}`);
      if (lasting.length > 0) print(`from the next start on: ${lasting.join(', ')}`);
    },
    refused(error) {
      process.stderr.write(`not reloaded, all goes on as before: ${toFailure(error).message}\n`);
    },
    stopping(running, limitMs) {
      const wait =
        running === 0 ? '' : `: ${running} running, which have ${formatDuration(limitMs)}; once more ends them`;
      print(`stopping${wait}`);
    },
    stopped: () => print('stopped'),
    close: () => output.close(),
  };
}

/** An event whose failure is told by status and reason where its words must not be written. */
function shownEvent(event: ModelEventMessage, { live }: iModel): ModelEventMessage {
  const { failure } = event;
  if (failure === undefined) return event;
  const { message, status, reason } = writableFailure(failure, live.recordsContent);
  const said =
    message ?? ([status, reason].filter((word) => word !== undefined).join(' ') || `by the ${failure.source}`);
  return { ...event, failure: { ...failure, message: String(said) } };
}

/** The provider and model of an iModel, in one word. */
export function modelLabel(model: iModel): string {
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
