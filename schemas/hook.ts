import { z } from 'zod';
import { callStatuses } from './call.ts';

/** Where a call can be seen or changed: before it is made, before its request is sent, and after it was answered or given up. */
export const hookPoints = ['pre_event_create', 'pre_invocation', 'post_invocation'] as const;

/** See {@link hookPoints}. */
export type HookPoint = (typeof hookPoints)[number];

/** What came of a call, as a post hook is told: `closed` is a stream whose reader left before its end. */
export const callOutcomes = ['completed', 'failed', 'cancelled', 'aborted', 'closed'] as const;

/** See {@link callOutcomes}. */
export type CallOutcome = (typeof callOutcomes)[number];

/** One run of one hook, as it is written down; the keys are the reference's. */
export const hookEventDict = z.object({
  id: z.string(),
  /** Epoch seconds. */
  created_at: z.number(),
  /** `lion_class`, and the two keys of {@link hookEventDict.shape.associated_event_info} that are known. */
  metadata: z.record(z.string(), z.unknown()),
  execution: z.object({
    status: z.enum(callStatuses),
    /** Seconds. */
    duration: z.number().nullable(),
    response: z.unknown(),
    error: z.string().nullable(),
    retryable: z.boolean().nullable(),
  }),
  hook_type: z.enum(hookPoints),
  /** The call it ran for. The last two are absent while there is none. */
  associated_event_info: z.object({
    lion_class: z.string(),
    event_id: z.string().optional(),
    event_created_at: z.number().optional(),
  }),
});

/** See {@link hookEventDict}. */
export type HookEventDict = z.infer<typeof hookEventDict>;

/** What observers hear of a hook's run, as part of an event. */
export const hookReport = z.object({
  /** A point, or `chunk:` and the key of a chunk handler. */
  name: z.string(),
  status: z.enum(['completed', 'failed', 'cancelled', 'aborted']),
  duration_ms: z.number(),
  /** A hook that is no promise took longer than its time; it cannot be interrupted. */
  overran: z.boolean().optional(),
  /** Its failure ended the call. */
  exit: z.boolean().optional(),
});

/** See {@link hookReport}. */
export type HookReport = z.infer<typeof hookReport>;
