import { z } from 'zod';
import { failure } from './failure.ts';

const text = z.string('a text');
const fields = z.record(z.string(), z.unknown(), 'an object of fields');
const instant = z.number('epoch milliseconds').nonnegative('at least 0');
const amount = z.number('a number').nonnegative('at least 0');
const count = z.int('a whole number').nonnegative('at least 0');
const flag = z.boolean('true or false');
const never = z.null('epoch milliseconds or null');
const instantOrNever = z.union([instant, never], 'epoch milliseconds or null');
const failureOrNull = z.union([failure, z.null()], 'a failure or null');

/** Units that the latest attempt of a call holds. */
const grantState = z.strictObject({
  tokens: amount,
  /** Absent while the request is not written. */
  sent_at: instant.optional(),
  /** When the units come free; absent while the request is not written. */
  expires_at: instant.optional(),
});

/** What is known of a call that has begun. */
const runState = z.strictObject({
  started_at: instant,
  /** How often it was sent. */
  attempts: count,
  grant: grantState.optional(),
  /** Present between two attempts. */
  retry: z
    .strictObject({
      due_at: instant,
      /** Whether its delay has passed and it waits for units. */
      is_due: flag,
      /** Its place among those that are due, or among those that are not. */
      order: count,
    })
    .optional(),
  /** The breaker's count of changes when it began; see `breaker.epoch`. */
  breaker_epoch: z.int('a whole number'),
  is_probe: flag.optional(),
  is_rescued: flag.optional(),
  is_hooked: flag.optional(),
  /** Why it was told to stop. */
  stopping: failure.optional(),
  /** How it will end once its post hook has run. */
  verdict: z
    .strictObject({
      event: z.enum(['call.complete', 'call.fail', 'call.cancel', 'call.abort']),
      failure: failureOrNull,
    })
    .optional(),
});

/** Where a call stands that has not ended. */
const callStages = ['outside', 'queued', 'sending', 'answering', 'backingOff'] as const;

/** One call that has not ended, as its dispatcher knows it; instants are epoch milliseconds. What is left out has its default. */
export const callRowState = z.strictObject({
  id: text.min(1, 'an id'),
  /** @defaultValue 'queued' */
  stage: z.enum(callStages).optional(),
  queued_at: instant,
  /** @defaultValue '' */
  caller: text.optional(),
  /** @defaultValue 0 */
  priority: z.int('a whole number').min(-10, 'at least -10').max(10, 'at most 10').optional(),
  /** How many shares its caller has. @defaultValue 1 */
  weight: z.number('a number').min(1, 'at least 1').max(100, 'at most 100').optional(),
  /** Estimated tokens. @defaultValue 0 */
  tokens: amount.optional(),
  /** By when it must have ended. @defaultValue never */
  deadline_at: instant.optional(),
  /** By when it must have been dispatched. @defaultValue never */
  queue_deadline_at: instant.optional(),
  /** @defaultValue false */
  streaming: z.literal(true, 'true, or left out').optional(),
  /** Present once it has begun. */
  run: runState.optional(),
});

/** See {@link callRowState}. */
export type CallRowState = z.infer<typeof callRowState>;

/** The round of callers within one priority. Their calls follow from the order of all calls. */
export const laneState = z.strictObject({
  priority: z.int('a whole number'),
  /** What one turn is worth. */
  quantum: amount,
  /** Callers from the one whose turn it is on, each with what it may still take, and its weight where that is not the one of its latest call. */
  round: z.array(
    z.tuple(
      [text, amount, z.number('a number').min(1, 'at least 1').max(100, 'at most 100').optional()],
      'a caller and its share',
    ),
  ),
});

/** See {@link laneState}. */
export type LaneState = z.infer<typeof laneState>;

/** How much of the rate limit is used. */
export const windowState = z.strictObject({
  /** Units that no call holds any more, as `[expires_at, tokens]` for one request, or with their number. */
  used: z.array(z.tuple([instant, amount, count.optional()], 'an expiry, its tokens, and for how many requests')),
  /** What was used while nothing was limited, as `[until, requests, tokens]`. @defaultValue nothing */
  recent: z.array(z.tuple([instant, count, amount], 'an end, its requests and its tokens')).optional(),
  /** How soon the quickest replies begin, in milliseconds. */
  quickest_reply_ms: amount,
  /** The quickest of the present period, and when that ends; null before its first. */
  period: z.strictObject({ quickest_ms: amount, ends_at: instant }).nullable(),
});

/** See {@link windowState}. */
export type WindowState = z.infer<typeof windowState>;

/** What one caller of the gateway has used of its limits. */
export const callerUse = z.strictObject({ requests: windowState, tokens: windowState, cost_micros: windowState });

/** See {@link callerUse}. */
export type CallerUseState = z.infer<typeof callerUse>;

const vendorBudget = z.strictObject({ left: z.number('a number'), reset_at: instant }).nullable();

/** What the vendor wants. */
export const coolingState = z.strictObject({
  /** Nothing starts before; 0 when the vendor never minded. */
  until: instant,
  /** Starts that may be unanswered at a time while it recovers; null for any number. */
  allowed: z.union([z.number().min(1, 'at least 1'), z.null()], 'a number or null'),
  unanswered: count,
  /** How often it has asked for a wait since it last took an attempt. @defaultValue 0 */
  refusals: count.optional(),
  last_start_at: instant,
  requests: vendorBudget,
  tokens: vendorBudget,
});

/** See {@link coolingState}. */
export type CoolingState = z.infer<typeof coolingState>;

/** Where the circuit breaker stands. */
export const breakerState = z.strictObject({
  state: z.enum(['closed', 'tripped', 'trial'], '`closed`, `tripped` or `trial`'),
  failures: count,
  trials: z.int('a whole number'),
  /** When the next trial may be made; null unless tripped. */
  reopens_at: instantOrNever,
  epoch: count,
});

/** See {@link breakerState}. */
export type WrittenBreakerState = z.infer<typeof breakerState>;

const counters = z.strictObject({
  submitted: count,
  started: count,
  retried: count,
  completed: count,
  failed: count,
  cancelled: count,
  aborted: count,
  skipped: count,
});

/** The live state of an iModel's actor: its machine and its dispatcher, without what only the runtime knows of a call. */
export const actorState = z.strictObject({
  /** The machine's `life` region; the other regions follow from the rest. */
  life: z.enum(['starting', 'running', 'paused', 'draining', 'closing', 'closed'], 'a state of the life region'),
  /** Whether the machine lets calls start. */
  is_gate_open: flag,
  /** Why the head of the queue does not start; null when it could. */
  blocked: z.enum(['rate', 'cooling', 'concurrency', 'paused']).nullable(),
  /** When the cool-down that blocks ends; null when none does. */
  cool_at: instantOrNever,
  /** Whether the queue was full and has not drained since. */
  is_full: flag,
  /** All calls that have not ended, oldest first. */
  calls: z.array(callRowState),
  /** Lanes of the queue, highest priority first. */
  queue: z.array(laneState),
  /** Lanes of those that wait for a place in the queue. */
  outside: z.array(laneState),
  /** Lanes of those whose next attempt is due. */
  again: z.array(laneState),
  window: windowState,
  cooling: coolingState,
  /** Null where there is no breaker. */
  breaker: breakerState.nullable(),
  counters,
});

/** See {@link actorState}. */
export type ActorState = z.infer<typeof actorState>;

/** One call that has not ended, with all that is needed to send it: {@link callRowState} and what only the runtime knows. */
export const liveCall = callRowState.extend({
  /** The body that is or would be sent. */
  payload: fields,
  /** Epoch milliseconds, where it was made long before it was queued. @defaultValue `queued_at` */
  created_at: instant.optional(),
  /** What travels beside the body; bytes as `{ base64 }`. */
  transport: fields.optional(),
  /** The caller's own notes. */
  metadata: fields.optional(),
  /** What the caller asked for, where another model may have to be asked. */
  request: fields.optional(),
  /** Whether its caller chose its id, and so may ask for it. */
  named: z.literal(true, 'true, or left out').optional(),
  /** The trace it belongs to, as headers. */
  trace: z.record(z.string(), text).optional(),
  /** The subject on which its caller waits for the outcome. */
  reply_to: text.optional(),
  /** How the outcome is written there. @defaultValue JSON */
  reply_type: z.enum(['application/json', 'application/msgpack', 'text/plain']).optional(),
});

/** See {@link liveCall}. */
export type LiveCall = z.infer<typeof liveCall>;

/** The live state of an iModel, as `toDict({ state: true })` writes it. */
export const liveState = actorState
  .extend({
    /** When it was written, epoch milliseconds. */
    saved_at: instant,
    /** Which log of a runtime's state holds what happened since; absent in what was written for somebody else. */
    generation: count.optional(),
    calls: z.array(liveCall),
  })
  .superRefine(({ calls }, context) => {
    const seen = new Set<string>();
    for (const [index, { id }] of calls.entries()) {
      if (seen.has(id)) {
        context.addIssue({ code: 'custom', path: ['calls', index, 'id'], message: 'an id that no other call has' });
      }
      seen.add(id);
    }
  });

/** See {@link liveState}. */
export type LiveState = z.infer<typeof liveState>;
