import { z } from 'zod';
import { type FailureCode, failure, failureCodes } from './failure.ts';
import { actorState, callRowState, windowState } from './live-state.ts';

/** Rises when what an older program wrote can no longer be read as it is. */
export const journalVersion = 1;

const count = z.int('a whole number').nonnegative('at least 0');
const amount = z.number('a number').nonnegative('at least 0');
const positive = z.number('a number').positive('more than 0');
const flag = z.boolean('true or false');
const fields = z.record(z.string(), z.unknown(), 'an object of fields');
const limit = z.number('a number or null').nullable();
const codes = z.array(z.enum(Object.keys(failureCodes) as [FailureCode, ...FailureCode[]]));

const windowLimits = z.strictObject({
  requests: limit,
  tokens: limit,
  length_ms: positive,
  margin_ms: amount,
});

/** What bounds calls, as a journal writes it. */
const writtenLimits = z.strictObject({
  queue_capacity: z.int('a whole number').min(1, 'at least 1'),
  on_full: z.enum(['wait', 'reject'], '`wait` or `reject`'),
  concurrency: limit,
  window: windowLimits,
});

/** How failures are met, as a journal writes it. */
const writtenResilience = z.strictObject({
  retry: z
    .strictObject({
      max_retries: count,
      base_delay_ms: amount,
      max_delay_ms: amount,
      backoff_factor: amount,
      jitter_factor: amount,
      exclude_codes: codes,
    })
    .nullable(),
  breaker: z
    .strictObject({
      failure_threshold: count,
      recovery_ms: amount,
      half_open_max_calls: count,
      exclude_codes: codes,
    })
    .nullable(),
});

/** Who a call is. A journal numbers calls from 1, since ids may come again. */
const callIdentity = callRowState
  .pick({
    id: true,
    caller: true,
    priority: true,
    weight: true,
    tokens: true,
    deadline_at: true,
    queue_deadline_at: true,
  })
  .extend({
    streaming: z.literal(true, 'true, or left out').optional(),
    /** What only the runtime knows of it, prompts included; only where a journal was told to keep requests. */
    request: fields.optional(),
  });

/** See {@link callIdentity}. */
export type CallIdentity = z.infer<typeof callIdentity>;

const common = {
  /** Which process of several that have written to one place: 1 to 64 characters. Absent in memory. */
  run: z.string('a text').min(1, 'a text that is not empty').max(64, 'at most 64 characters').optional(),
  /** From 1 in each run, without gaps but where `dropped` says so. */
  seq: z.int('a whole number').positive('at least 1'),
  /** Epoch milliseconds. */
  at: amount,
};

/** What a dispatcher was told while it took an event: of chance, numbers; of others, yes or no. Left out when all said no. */
const told = { answers: z.array(z.union([z.number(), z.boolean()])).optional() };

const of = <T extends string, S extends z.ZodRawShape>(type: T, own: S) =>
  z.strictObject({ ...common, type: z.literal(type), ...own });
const ofCall = <T extends string, S extends z.ZodRawShape>(type: T, own: S) =>
  of(type, {
    ...told,
    call: z.int('a whole number').positive('at least 1'),
    /** Present where the journal speaks of this call for the first time. */
    who: callIdentity.optional(),
    ...own,
  });

const vendorCounter = z.strictObject({ remaining: z.number().nullable(), reset_at: z.number().nullable() }).nullable();
const failureOrNull = z.union([failure, z.null()], 'a failure or null');

/** The calls of a state: their numbers, and what only the runtime knows of them, in the order of `state.calls`. */
const numbered = { calls: z.array(z.int()), requests: z.array(fields).optional() };

/** One line of a journal: what the actor of one iModel heard, and when. */
export const journalEntry = z.discriminatedUnion(
  'type',
  [
    /** Where it stands: replay begins here. The first entry, and the one after `dropped`, is one of these. */
    of('snapshot', {
      journal_version: z.int('a whole number').positive('at least 1'),
      model_id: z.string('a text'),
      limits: writtenLimits,
      resilience: writtenResilience,
      state: actorState,
      ...numbered,
    }),
    ofCall('call.submit', {}),
    ofCall('call.sent', {}),
    ofCall('call.answer', {}),
    ofCall('call.withhold', {}),
    ofCall('call.settle', {
      failure: failureOrNull,
      tokens: amount.nullable(),
      is_delivered: z.literal(true, 'true, or left out').optional(),
      /** The vendor was not asked: a hook or a cache brought the end. */
      is_unasked: z.literal(true, 'true, or left out').optional(),
    }),
    ofCall('call.hook', { is_running: flag }),
    ofCall('call.finish', { failure: failureOrNull }),
    ofCall('call.end', { failure }),
    of('limits.learned', { ...told, requests: vendorCounter, tokens: vendorCounter }),
    of('limits.set', { ...told, limits: writtenLimits.partial() }),
    of('limits.inherit', { ...told, window: windowState }),
    of('limits.reset', told),
    of('gate.open', told),
    of('gate.shut', told),
    of('calls.refuse', told),
    of('calls.stop', told),
    of('calls.restore', { ...told, state: actorState.omit({ life: true }), ...numbered }),
    of('calls.interrupt', told),
    of('clock.tick', told),
    of('model.start', {}),
    of('model.pause', {}),
    of('model.resume', {}),
    of('model.drain', {}),
    of('model.close', {}),
    /** Something an upstream said that no chunk carries, such as an event of a later version. Changes nothing. */
    of('note', {
      call: z.int('a whole number').positive('at least 1').optional(),
      kind: z.string('a text'),
      name: z.string('a text'),
      /** At most 2,000 characters. */
      text: z.string('a text'),
    }),
    /** So many entries are missing here: they came faster than they could be kept. */
    of('dropped', { count }),
  ],
  'a kind of entry',
);

/** See {@link journalEntry}. */
export type JournalEntry = z.infer<typeof journalEntry>;
