import type { Logger } from 'pino';
import { type ModelEventMessage, type ModelEventType, modelEvent } from '../../schemas/event.ts';
import { refuseNoObject, refuseStranger } from '../arguments.ts';
import type { Bus } from '../bus/bus.ts';
import { subjects } from '../bus/subjects.ts';
import { writableEvent } from '../telemetry/redaction.ts';

/** Where events are written. */
export interface EventLogOptions {
  /** @defaultValue one of pino's that writes JSON lines to stdout, at `level` */
  readonly logger?: Pick<Logger, 'debug' | 'info' | 'warn'>;
  /** Without a logger of your own: what is written. @defaultValue 'info' */
  readonly level?: 'debug' | 'info' | 'warn';
  /** The id of the one iModel that is logged. @defaultValue all */
  readonly model?: string;
}

/** A log of what happens to iModels and their calls. */
export interface EventLog {
  /** Writes no more. */
  close(): void;
}

/** Steps of a call on its way; there are several of them to each end. */
const details: ReadonlySet<ModelEventType> = new Set(['created', 'queued', 'pre_invocation', 'answered', 'refreshed']);

/** What somebody may have to look into. */
const troubles: ReadonlySet<ModelEventType> = new Set([
  'retrying',
  'falling_back',
  'throttled',
  'cooling',
  'tripped',
  'full',
  'malformed',
]);

/** Fields that must never be written, wherever somebody may have put them. */
const withheld = ['authorization', 'api_key', 'apiKey', 'headers', 'password', 'token'];

/**
 * Writes the events of the iModels on a bus, which hold neither prompts nor answers, until closed. Ends of calls are `info`, those that failed
 * and other troubles `warn`, steps on the way `debug`. The vendor's own body of a failure, which may repeat a prompt, is left out, and what
 * looks like a key is replaced.
 *
 * It only listens: whatever becomes of the log, no call waits for it or fails.
 */
export async function createEventLog(bus: Bus, options: EventLogOptions = {}): Promise<EventLog> {
  refuseStranger('bus', bus);
  refuseNoObject('options', options);
  const { logger = await ownLogger(options.level ?? 'info'), model } = options;
  const subscription = bus.subscribe(subjects.everyEvent(model), (message) => {
    const parsed = modelEvent.safeParse(message.value());
    // What others publish there is not ours to log.
    if (!parsed.success) return;
    const event = parsed.data;
    logger[levelOf(event)](writableEvent(event, true), event.type);
  });
  return { close: () => subscription.close() };
}

function levelOf({ type, failure }: ModelEventMessage): 'debug' | 'info' | 'warn' {
  if (details.has(type)) return 'debug';
  return failure !== undefined || troubles.has(type) ? 'warn' : 'info';
}

async function ownLogger(level: string): Promise<Logger> {
  const { pino } = await import('pino');
  const paths = withheld.flatMap((name) => [name, `*.${name}`]);
  return pino({ level, redact: { paths, censor: '(redacted)' } });
}
