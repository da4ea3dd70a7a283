import { z } from 'zod';
import { callStatuses } from './call.ts';
import { failure } from './failure.ts';

/** What an iModel tells observers; also the last token of the subject it is published on. */
export const modelEventTypes = [
  /** A call was submitted. */
  'created',
  /** It waits. Calls that start at once skip this. */
  'queued',
  /** It was dispatched: slot and rate units are taken. */
  'pre_invocation',
  /** The upstream began to answer. */
  'answered',
  /** It has ended. */
  'post_invocation',
  /** Our own limit is used up. */
  'throttled',
  'refreshed',
  'full',
  'drained',
  'started',
  'paused',
  'resumed',
  'draining',
  'closed',
  /** A message could not be read; nobody waits for a reply to it. */
  'malformed',
] as const;

/** See {@link modelEventTypes}. */
export type ModelEventType = (typeof modelEventTypes)[number];

/** One event. Never holds prompts, answers, headers or keys. */
export const modelEvent = z.object({
  type: z.enum(modelEventTypes),
  model_id: z.string(),
  /** Epoch milliseconds. */
  at: z.number(),
  call_id: z.string().optional(),
  caller: z.string().optional(),
  /** On `post_invocation`: how the call ended. */
  status: z.enum(callStatuses).optional(),
  failure: failure.optional(),
  /** On `pre_invocation` and `post_invocation`: milliseconds waited before dispatch. */
  wait_ms: z.number().optional(),
  /** On `post_invocation`: milliseconds from dispatch to end. */
  duration_ms: z.number().optional(),
  usage: z.object({ input_tokens: z.number(), output_tokens: z.number(), total_tokens: z.number() }).optional(),
});

/** See {@link modelEvent}. */
export type ModelEventMessage = z.infer<typeof modelEvent>;
