import type { CallIdentity, JournalEntry } from '../schemas/journal.ts';
import { actorState, callRowState } from '../schemas/live-state.ts';
import { CallRow } from './call-row.ts';
import type { DispatcherEvent } from './dispatcher-events.ts';
import type { DispatcherLimits, ResiliencePolicy } from './dispatcher-input.ts';
import type { DispatcherState } from './dispatcher-state.ts';

type OneOf<E extends JournalEntry['type']> = Extract<JournalEntry, { type: E }>;

/** The entry of an event. */
export type WrittenEvent = OneOf<DispatcherEvent['type']>;

/** What an event's entry says beside the event. */
export interface EntryContext {
  readonly seq: number;
  /** Epoch milliseconds. */
  readonly at: number;
  /** Who its call is, where the journal speaks of it for the first time. */
  readonly who: CallIdentity | null;
  /** What is said of calls that come from elsewhere. */
  readonly restored: (rows: readonly CallRow[]) => Pick<OneOf<'calls.restore'>, 'calls' | 'requests'>;
}

/** Writes an event as an entry. What is plain data in it is shared, not copied: nobody changes it. */
export function writeEvent(event: DispatcherEvent, context: EntryContext): WrittenEvent {
  const { seq, at } = context;
  const { type } = event;
  switch (type) {
    case 'call.submit':
    case 'call.sent':
    case 'call.answer':
    case 'call.withhold':
      return { seq, at, type, ...callOf(event.row, context) };
    case 'call.settle': {
      const { row, failure, tokens } = event;
      const delivered = event.isDelivered === true ? ({ is_delivered: true } as const) : {};
      const unasked = event.isUnasked === true ? ({ is_unasked: true } as const) : {};
      return { seq, at, type, ...callOf(row, context), failure, tokens, ...delivered, ...unasked };
    }
    case 'call.hook':
      return { seq, at, type, ...callOf(event.row, context), is_running: event.isRunning };
    case 'call.finish':
      return { seq, at, type, ...callOf(event.row, context), failure: event.failure };
    case 'call.end':
      return { seq, at, type, ...callOf(event.row, context), failure: event.failure };
    case 'limits.learned': {
      const { requests, tokens } = event.limits;
      return { seq, at, type, requests: writeCounter(requests), tokens: writeCounter(tokens) };
    }
    case 'limits.set':
      return { seq, at, type, limits: writeSomeLimits(event.limits) };
    case 'limits.inherit':
      return { seq, at, type, window: event.window };
    case 'calls.restore': {
      const { state, rows } = event.restored;
      return { seq, at, type, state: stateOfActor(state), ...context.restored(rows) };
    }
    default:
      return { seq, at, type };
  }
}

const stateNames: ReadonlySet<string> = new Set(Object.keys(actorState.omit({ life: true }).shape));
const callNames: ReadonlySet<string> = new Set(Object.keys(callRowState.shape));

/** Only what is the actor's: whoever restores may have given more, prompts included. */
function stateOfActor(state: DispatcherState): DispatcherState {
  return picked({ ...state, calls: state.calls.map((call) => picked(call, callNames)) }, stateNames);
}

function picked<T extends object>(record: T, names: ReadonlySet<string>): T {
  const own: Record<string, unknown> = {};
  for (const name in record) {
    const value = record[name];
    if (value !== undefined && names.has(name)) own[name] = value;
  }
  // What is left out is no part of the type.
  return own as T;
}

function callOf(row: CallRow, { who }: EntryContext): { readonly call: number; readonly who?: CallIdentity } {
  return { call: row.journalNumber, ...(who === null ? {} : { who }) };
}

/**
 * Reads an event back, but for `calls.restore`, which brings calls of its own.
 *
 * @param rowOf - The row of a call's number; makes it from `who` where it is new.
 */
export function readEvent(
  entry: OneOf<Exclude<DispatcherEvent['type'], 'calls.restore'>>,
  rowOf: (call: number, who?: CallIdentity) => CallRow,
): DispatcherEvent {
  switch (entry.type) {
    case 'call.submit':
    case 'call.sent':
    case 'call.answer':
    case 'call.withhold':
      return { type: entry.type, row: rowOf(entry.call, entry.who) };
    case 'call.settle': {
      const { type, failure, tokens, is_delivered: isDelivered = false, is_unasked: isUnasked = false } = entry;
      return { type, row: rowOf(entry.call, entry.who), failure, tokens, isDelivered, isUnasked };
    }
    case 'call.hook':
      return { type: entry.type, row: rowOf(entry.call, entry.who), isRunning: entry.is_running };
    case 'call.finish':
      return { type: entry.type, row: rowOf(entry.call, entry.who), failure: entry.failure };
    case 'call.end':
      return { type: entry.type, row: rowOf(entry.call, entry.who), failure: entry.failure };
    case 'limits.learned':
      return {
        type: entry.type,
        limits: { requests: readCounter(entry.requests), tokens: readCounter(entry.tokens) },
      };
    case 'limits.set':
      return { type: entry.type, limits: readSomeLimits(entry.limits) };
    case 'limits.inherit':
      return { type: entry.type, window: entry.window };
    default:
      return { type: entry.type };
  }
}

/** Who a call is, for whoever has not heard of it: only its id where there is nothing else to say. */
export function writeIdentity(row: CallRow, request: Record<string, unknown> | undefined): CallIdentity | string {
  const who: CallIdentity = { id: row.id };
  if (row.caller !== '') who.caller = row.caller;
  if (row.priority !== 0) who.priority = row.priority;
  if (row.weight !== 1) who.weight = row.weight;
  if (row.tokens !== 0) who.tokens = row.tokens;
  if (row.deadlineAt !== Number.POSITIVE_INFINITY) who.deadline_at = row.deadlineAt;
  if (row.queueDeadlineAt !== Number.POSITIVE_INFINITY) who.queue_deadline_at = row.queueDeadlineAt;
  if (row.streaming) who.streaming = true;
  if (request !== undefined) who.request = request;
  for (const name in who) if (name !== 'id') return who;
  return who.id;
}

/** A row that is nothing yet but somebody's. */
export function readIdentity(who: CallIdentity): CallRow {
  return new CallRow({
    id: who.id,
    caller: who.caller,
    priority: who.priority,
    weight: who.weight,
    tokens: who.tokens,
    deadlineAt: who.deadline_at,
    queueDeadlineAt: who.queue_deadline_at,
    streaming: who.streaming,
  });
}

export function writeLimits({ queueCapacity, onFull, concurrency, window }: DispatcherLimits): WrittenLimits {
  return { queue_capacity: queueCapacity, on_full: onFull, concurrency, window: writeWindow(window) };
}

export function readLimits({ queue_capacity, on_full, concurrency, window }: WrittenLimits): DispatcherLimits {
  return { queueCapacity: queue_capacity, onFull: on_full, concurrency, window: readWindow(window) };
}

export function writeResilience({ retry, breaker }: ResiliencePolicy): WrittenResilience {
  return {
    retry: retry && {
      max_retries: retry.maxRetries,
      base_delay_ms: retry.baseDelayMs,
      max_delay_ms: retry.maxDelayMs,
      backoff_factor: retry.backoffFactor,
      jitter_factor: retry.jitterFactor,
      exclude_codes: [...retry.excludeCodes],
    },
    breaker: breaker && {
      // JSON has no word for a breaker that never trips.
      failure_threshold: Math.min(breaker.failureThreshold, Number.MAX_SAFE_INTEGER),
      recovery_ms: breaker.recoveryMs,
      half_open_max_calls: breaker.halfOpenMaxCalls,
      exclude_codes: [...breaker.excludeCodes],
    },
  };
}

export function readResilience({ retry, breaker }: WrittenResilience): ResiliencePolicy {
  return {
    retry: retry && {
      maxRetries: retry.max_retries,
      baseDelayMs: retry.base_delay_ms,
      maxDelayMs: retry.max_delay_ms,
      backoffFactor: retry.backoff_factor,
      jitterFactor: retry.jitter_factor,
      excludeCodes: retry.exclude_codes,
    },
    breaker: breaker && {
      failureThreshold: breaker.failure_threshold,
      recoveryMs: breaker.recovery_ms,
      halfOpenMaxCalls: breaker.half_open_max_calls,
      excludeCodes: breaker.exclude_codes,
    },
  };
}

type WrittenLimits = OneOf<'snapshot'>['limits'];
type WrittenResilience = OneOf<'snapshot'>['resilience'];
type Counter = Extract<DispatcherEvent, { type: 'limits.learned' }>['limits']['requests'];

function writeCounter(counter: Counter): OneOf<'limits.learned'>['requests'] {
  return counter && { remaining: counter.remaining, reset_at: counter.resetAt };
}

function readCounter(counter: OneOf<'limits.learned'>['requests']): Counter {
  return counter && { remaining: counter.remaining, resetAt: counter.reset_at };
}

function writeWindow({ requests, tokens, lengthMs, marginMs }: DispatcherLimits['window']): WrittenLimits['window'] {
  return { requests, tokens, length_ms: lengthMs, margin_ms: marginMs };
}

function readWindow({ requests, tokens, length_ms, margin_ms }: WrittenLimits['window']): DispatcherLimits['window'] {
  return { requests, tokens, lengthMs: length_ms, marginMs: margin_ms };
}

function writeSomeLimits(limits: Partial<DispatcherLimits>): Partial<WrittenLimits> {
  const written: Partial<WrittenLimits> = {};
  if (limits.queueCapacity !== undefined) written.queue_capacity = limits.queueCapacity;
  if (limits.onFull !== undefined) written.on_full = limits.onFull;
  if (limits.concurrency !== undefined) written.concurrency = limits.concurrency;
  if (limits.window !== undefined) written.window = writeWindow(limits.window);
  return written;
}

function readSomeLimits(written: OneOf<'limits.set'>['limits']): Partial<DispatcherLimits> {
  return {
    ...(written.queue_capacity === undefined ? {} : { queueCapacity: written.queue_capacity }),
    ...(written.on_full === undefined ? {} : { onFull: written.on_full }),
    ...(written.concurrency === undefined ? {} : { concurrency: written.concurrency }),
    ...(written.window === undefined ? {} : { window: readWindow(written.window) }),
  };
}
