import { toFailure } from '../errors.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';
import { inputAttributes, outputAttributes } from '../telemetry/content.ts';
import { lineWithout, writableEvent, writableFailure } from '../telemetry/redaction.ts';
import { openLineOutput } from './line-output.ts';
import { modelLabel, type ServeLog, told } from './serve-log.ts';

/** Where a secret could stand in something that is logged. */
const secretPaths = ['apiKey', 'api_key', 'authorization', 'headers', 'password', 'token', 'creds'].flatMap((name) => [
  name,
  `*.${name}`,
  `*.*.${name}`,
]);

/**
 * Lines of JSON for programs, on stdout. They hold prompts, answers and vendors' words of failures only for iModels that record content, and no
 * secrets.
 *
 * @param secrets - Texts that must not be written wherever they stand.
 */
export async function createJsonLog(secrets: readonly string[]): Promise<ServeLog> {
  const { pino } = await import('pino');
  const clean = lineWithout(secrets);
  const output = openLineOutput((count) =>
    JSON.stringify({ level: 40, time: Date.now(), lost: count, msg: 'lines lost' }),
  );
  const destination = { write: (line: string): void => output.write(() => clean(line.trimEnd())) };
  const logger = pino({ redact: { paths: secretPaths, censor: '(hidden)' } }, destination);
  return {
    ready(models, where, door) {
      const list = [...models.values()].map((model) => ({ id: model.id, model: modelLabel(model) }));
      const gateway = door === null ? {} : { gateway: door.url, has_callers: door.hasCallers };
      logger.info({ models: list, bus: where, ...gateway }, 'ready');
    },
    tells: (type) => told.has(type) || logger.isLevelEnabled('debug'),
    event(event, model, call) {
      const { type, failure } = event;
      const level = !told.has(type) ? 'debug' : failure === undefined ? 'info' : 'warn';
      const { recordsContent } = model.live;
      const content = recordsContent && call?.ended === true ? contentOf(call) : {};
      logger[level]({ event: writableEvent(event, recordsContent), ...content }, type);
    },
    connection: ({ type, at, detail }) => logger[type === 'connected' ? 'info' : 'warn']({ at, detail }, `bus ${type}`),
    fault: (error, subject) => logger.error({ failure: writableFailure(toFailure(error), true), subject }, 'fault'),
    reloaded: (changes, lasting) => logger.info({ ...changes, lasting }, 'reloaded'),
    refused: (error) => logger.error({ failure: toFailure(error) }, 'not reloaded'),
    stopping: (running, limitMs) => logger.info({ running, limit_ms: limitMs }, 'stopping'),
    stopped: () => logger.info('stopped'),
    close: () => output.close(),
  };
}

/** Prompt and answer of a call that has ended, in the words of the GenAI conventions. */
function contentOf(call: ApiCalling): Record<string, unknown> {
  return { ...inputAttributes(call.payload), ...outputAttributes(call) };
}
