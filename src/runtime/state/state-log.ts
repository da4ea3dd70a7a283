import { z } from 'zod';
import type { LiveCall, LiveState } from '../../../schemas/live-state.ts';
import { IModelError, printValue } from '../../errors.ts';

/** What must not be forgotten between two snapshots. Instants are epoch milliseconds. */
const logEntry = z.union([
  /** An attempt of a call was about to begin. */
  z.strictObject({
    start: z.string().min(1),
    at: z.number().nonnegative(),
    tokens: z.number().nonnegative().optional(),
    streaming: z.literal(true).optional(),
    reply_to: z.string().optional(),
  }),
  /** A call has ended. */
  z.strictObject({ end: z.string().min(1), at: z.number().nonnegative() }),
]);

/** See {@link logEntry}. */
export type LogEntry = z.infer<typeof logEntry>;

/** Reads the lines of a log. @throws IModelError `config`, naming the place and the line. */
export function readLog(lines: readonly string[], place: string): LogEntry[] {
  return lines.map((line, index) => {
    try {
      return logEntry.parse(JSON.parse(line));
    } catch (cause) {
      const field = `${place}, entry ${index + 1} of its log`;
      const message = `Expected ${field} to be the start or the end of a call, got ${printValue(line)}`;
      throw IModelError.of('config', message, { field, value: printValue(line) }, { cause });
    }
  });
}

interface OpenAttempt {
  readonly entry: Extract<LogEntry, { start: string }>;
  readonly attempts: number;
}

/**
 * A state with what has happened since: calls that ended are gone, calls that started run, what they took of the limits is used.
 *
 * @param useMs - How long a request counts at most after it was written; null where nothing is limited.
 */
export function applyLog(state: LiveState, log: readonly LogEntry[], useMs: number | null): LiveState {
  if (log.length === 0) return state;
  const known = new Map(state.calls.map((call) => [call.id, call]));
  const open = new Map<string, OpenAttempt>();
  const used = [...state.window.used];
  /** An attempt was written at the latest when something came after it. */
  const settle = (id: string, at: number): void => {
    const grant = open.has(id)
      ? { tokens: open.get(id)?.entry.tokens ?? 0, expires_at: undefined }
      : known.get(id)?.run?.grant;
    if (useMs !== null && grant !== undefined) used.push([grant.expires_at ?? at + useMs, grant.tokens]);
  };
  for (const entry of log) {
    const id = 'start' in entry ? entry.start : entry.end;
    settle(id, entry.at);
    if ('start' in entry) open.set(id, { entry, attempts: (open.get(id)?.attempts ?? 0) + 1 });
    else {
      open.delete(id);
      known.delete(id);
    }
  }
  const calls: LiveCall[] = [];
  for (const call of known.values()) {
    const attempt = open.get(call.id);
    calls.push(attempt === undefined ? call : begun(call, attempt, useMs !== null));
    open.delete(call.id);
  }
  // Those came and began after the snapshot: what they asked for nobody knows any more.
  for (const attempt of open.values()) {
    const { start: id, at, streaming, reply_to: replyTo } = attempt.entry;
    const call: LiveCall = { id, queued_at: at, payload: {} };
    if (streaming === true) call.streaming = true;
    if (replyTo !== undefined) call.reply_to = replyTo;
    calls.push(begun(call, attempt, useMs !== null));
  }
  return { ...state, calls, window: { ...state.window, used } };
}

function begun(call: LiveCall, { entry, attempts }: OpenAttempt, isCounted: boolean): LiveCall {
  const before = call.run?.attempts ?? 0;
  return {
    ...call,
    stage: 'sending',
    run: {
      started_at: call.run?.started_at ?? entry.at,
      attempts: before + attempts,
      breaker_epoch: -1,
      ...(isCounted ? { grant: { tokens: entry.tokens ?? 0 } } : {}),
    },
  };
}
