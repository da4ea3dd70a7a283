import type { CallIdentity, JournalEntry } from '../schemas/journal.ts';
import { CallRow } from './call-row.ts';
import type { DispatcherEvent } from './dispatcher-events.ts';
import type { DispatcherLimits, ResiliencePolicy } from './dispatcher-input.ts';

type OneOf<E extends JournalEntry['type']> = Extract<JournalEntry, { type: E }>;
type Written<E> = E extends JournalEntry ? Omit<E, 'seq' | 'at' | 'answers'> : never;

/** An event as a journal writes it, without number and time. */
export type WrittenEvent = Written<OneOf<DispatcherEvent['type']>>;

/** Gives calls their numbers. */
export interface CallNumbers {
  /** The call's number in this journal, and who it is when it is new there. */
  of(row: CallRow): { readonly call: number; readonly who?: CallIdentity };
  /** What only the runtime knows of these calls, where the journal keeps that. */
  requests(rows: readonly CallRow[]): { readonly requests?: Record<string, unknown>[] };
}

/** Writes an event. What is plain data in it is shared, not copied: nobody changes it. */
export function writeEvent(event: DispatcherEvent, numbers: CallNumbers): WrittenEvent {
  switch (event.type) {
    case 'call.submit':
    case 'call.sent':
    case 'call.answer':
    case 'call.withhold':
      return { type: event.type, ...numbers.of(event.row) };
    case 'call.settle': {
      const { failure, tokens } = event;
      const delivered = event.isDelivered === true ? ({ is_delivered: true } as const) : {};
      return { type: event.type, ...numbers.of(event.row), failure, tokens, ...delivered };
    }
    case 'call.hook':
      return { type: event.type, ...numbers.of(event.row), is_running: event.isRunning };
    case 'call.finish':
      return { type: event.type, ...numbers.of(event.row), failure: event.failure };
    case 'call.end':
      return { type: event.type, ...numbers.of(event.row), failure: event.failure };
    case 'limits.learned': {
      const { requests, tokens } = event.limits;
      return { type: event.type, requests: writeCounter(requests), tokens: writeCounter(tokens) };
    }
    case 'limits.set':
      return { type: event.type, limits: writeSomeLimits(event.limits) };
    case 'limits.inherit':
      return { type: event.type, window: event.window };
    case 'calls.restore': {
      const { state, rows } = event.restored;
      const calls = rows.map((row) => numbers.of(row).call);
      return { type: event.type, state, calls, ...numbers.requests(rows) };
    }
    default:
      return { type: event.type };
  }
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
      const { type, failure, tokens, is_delivered: isDelivered = false } = entry;
      return { type, row: rowOf(entry.call, entry.who), failure, tokens, isDelivered };
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

/** Who a call is, for whoever has not heard of it. */
export function writeIdentity(row: CallRow, request: Record<string, unknown> | undefined): CallIdentity {
  const who: CallIdentity = { id: row.id };
  if (row.caller !== '') who.caller = row.caller;
  if (row.priority !== 0) who.priority = row.priority;
  if (row.weight !== 1) who.weight = row.weight;
  if (row.tokens !== 0) who.tokens = row.tokens;
  if (row.deadlineAt !== Number.POSITIVE_INFINITY) who.deadline_at = row.deadlineAt;
  if (row.queueDeadlineAt !== Number.POSITIVE_INFINITY) who.queue_deadline_at = row.queueDeadlineAt;
  if (row.streaming) who.streaming = true;
  if (request !== undefined) who.request = request;
  return who;
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
