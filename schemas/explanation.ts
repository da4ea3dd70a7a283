import { z } from 'zod';
import { callStatuses } from './call.ts';
import { failure } from './failure.ts';

/**
 * What a call was doing for a while. It waits for
 *
 * - `queue`: a place in the queue, which is full
 * - `concurrency`: a slot; all are taken by running calls
 * - `requests`, `tokens`: the request or token limit, which is used up
 * - `cooling`: the end of the time for which the vendor wants no requests
 * - `paused`: its iModel, which starts nothing
 * - `hook`: hooks that run before its first attempt, or after its last
 * - `backoff`: its next attempt
 * - `stopped`: another process, since the one that had it is gone
 * - `unknown`: entries of the journal are missing
 *
 * or it works: `attempt` at its own endpoint, `fallback` at another model, `stopping` while its transport is torn down.
 */
export const callPhaseNames = [
  'queue',
  'concurrency',
  'requests',
  'tokens',
  'cooling',
  'paused',
  'hook',
  'backoff',
  'stopped',
  'unknown',
  'attempt',
  'fallback',
  'stopping',
] as const;

/** See {@link callPhaseNames}. */
export type CallPhaseName = (typeof callPhaseNames)[number];

/** Who or what ended a call. */
const callEndings = [
  'endpoint',
  'fallback',
  'caller',
  'deadline',
  'hook',
  'queue',
  'limits',
  'breaker',
  'close',
  'restart',
] as const;

/** See {@link callEndings}. */
export type CallEnding = (typeof callEndings)[number];

const count = z.int().nonnegative();
const name = z.enum(callPhaseNames);

/** One stretch of the life of a call. Instants are epoch milliseconds. */
const callPhase = z.object({
  name,
  /** The entry with which it began. */
  seq: count,
  from: z.number(),
  /** Null while it lasts, as far as the journal goes. */
  until: z.number().nullable(),
  /** Milliseconds, up to the last entry where it lasts. */
  ms: z.number(),
  /** How much of a limit was used when it began, and how much that is: places, slots, requests or tokens. */
  used: z.number().exactOptional(),
  limit: z.number().exactOptional(),
  /** When it was expected to end: the next unit of a limit, the end of a cool-down, the next attempt. */
  due_at: z.number().exactOptional(),
  /** From 1. */
  attempt: count.exactOptional(),
  /** How an attempt failed. */
  failure: failure.exactOptional(),
});

/** See {@link callPhase}. */
export type CallPhase = Readonly<z.infer<typeof callPhase>>;

/** Why a call took as long as it did, and what ended it. Instants are epoch milliseconds. */
export const callExplanation = z.object({
  call_id: z.string(),
  model_id: z.string(),
  /** Who called. */
  caller: z.string(),
  priority: z.number(),
  /** Estimated tokens; 0 where they are not counted. */
  tokens: z.number(),
  /** Where it stands at the end of the journal. */
  status: z.enum(callStatuses),
  /** When it came, or where the journal begins. */
  submitted_at: z.number(),
  /** How many calls were waiting when it came. */
  ahead: count,
  /** When its first attempt began; null when none did. */
  started_at: z.number().nullable(),
  ended_at: z.number().nullable(),
  attempts: count,
  /** Milliseconds of waiting by what it waited for, in the order of their beginning. */
  waited: z.partialRecord(name, z.number()),
  phases: z.array(callPhase),
  /** Null while it has not ended. */
  ended: z.object({ by: z.enum(callEndings), seq: count, failure: failure.nullable() }).nullable(),
  /** How many calls before it had the same id. */
  earlier: count,
});

/** See {@link callExplanation}. */
export type CallExplanation = Readonly<z.infer<typeof callExplanation>>;

/** Body of `explain`. */
export const explainRequest = z.object({ call_id: z.string().min(1).max(64) });

/** Reply to `explain`, from the node that knows the call. The latest 200 phases. */
export const nodeExplanation = callExplanation.extend({ node: z.string() });
