import { z } from 'zod';
import { callStatuses } from './call.ts';
import { failure } from './failure.ts';
import { hookReport } from './hook.ts';

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
  /** An attempt failed and another follows after `delay_ms`. */
  'retrying',
  /** All attempts failed, and another model is asked. */
  'falling_back',
  /** It has ended. */
  'post_invocation',
  /** A hook ran, or a chunk handler threw. */
  'hook',
  /** Our own limit is used up. */
  'throttled',
  'refreshed',
  /** The vendor wants no requests for a while. */
  'cooling',
  'cooled',
  /** The breaker opened: calls fail at once. */
  'tripped',
  /** Single calls find out whether the vendor is back. */
  'trial',
  'recovered',
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

/** Why a call waits: a limit, a vendor that wants a pause, as many calls as may run, a paused iModel, or those who came before it. */
export const waitReasons = ['rate', 'cooling', 'concurrency', 'paused', 'turn'] as const;

/** See {@link waitReasons}. */
export type WaitReason = (typeof waitReasons)[number];

/** One event. Never holds prompts, answers, headers or keys. */
export const modelEvent = z.object({
  type: z.enum(modelEventTypes),
  model_id: z.string(),
  /** Epoch milliseconds. */
  at: z.number(),
  call_id: z.string().optional(),
  caller: z.string().optional(),
  /** The W3C trace context of the call, where its caller sent one. */
  traceparent: z.string().optional(),
  /** On `post_invocation`: how the call ended. */
  status: z.enum(callStatuses).optional(),
  failure: failure.optional(),
  /** On `retrying`: milliseconds until the next attempt. */
  delay_ms: z.number().optional(),
  /** On `retrying`, `falling_back` and `post_invocation`: how often the call was sent; 0 for one that never was. */
  attempts: z.number().int().optional(),
  /** On `pre_invocation` and `post_invocation`: milliseconds waited before dispatch. */
  wait_ms: z.number().optional(),
  /** On `queued`, `pre_invocation` and `post_invocation` of a call that had to wait: what it was that let it wait at first. */
  wait_reason: z.enum(waitReasons).optional(),
  /** On `post_invocation` of a stream that has begun: milliseconds from dispatch to its first chunk. */
  first_token_ms: z.number().optional(),
  /** On `post_invocation`: milliseconds that were ours, neither the vendor's nor a hook's nor spent waiting. */
  overhead_ms: z.number().optional(),
  /** On `post_invocation`: milliseconds from dispatch to end. */
  duration_ms: z.number().optional(),
  /** On `hook`; `failure` says what it threw. */
  hook: hookReport.optional(),
  /** On `post_invocation`, where prices are known: US dollars. */
  cost_usd: z.number().optional(),
  usage: z.object({ input_tokens: z.number(), output_tokens: z.number(), total_tokens: z.number() }).optional(),
});

/** See {@link modelEvent}. */
export type ModelEventMessage = z.infer<typeof modelEvent>;
