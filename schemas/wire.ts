import { z } from 'zod';
import { wireCall } from './call.ts';
import { wireChunk } from './chunk.ts';
import { failure } from './failure.ts';
import { modelId } from './imodel.ts';

/** A call id as it may stand in a subject. */
export const callId = modelId;

/** Names one process that serves an id, as it may stand in a subject. */
const node = modelId;

/** Body of `invoke` and `stream`: the fields of the call, as the vendor spells them. Plain text means one user message. */
export const callRequest = z.union(
  [
    z.record(z.string(), z.unknown()),
    z
      .string()
      .min(1)
      .transform((content) => ({ messages: [{ role: 'user', content }] })),
  ],
  'an object of fields, or a prompt as text',
);

/** Reply to `stream`: where the chunks come. They may already have begun. */
export const streamReply = z.object({ call_id: callId, subject: z.string(), node });

/** One message of a stream; `seq` counts from 1 without gaps, the terminal message included. */
export const streamMessage = z.discriminatedUnion('kind', [
  wireChunk.extend({ kind: z.literal('chunk'), seq: z.number().int().positive() }),
  /** Exactly one, and last: the call as it ended. */
  z.object({ kind: z.literal('end'), seq: z.number().int().positive(), call: wireCall }),
]);

/** A sign of life on the subject of a stream: no message of it, without a number. `last_seq` tells what should have arrived. */
export const aliveMessage = z.object({ kind: z.literal('alive'), last_seq: z.number().int().nonnegative() });

/**
 * Reply to `resume`, from the node that holds the stream: what was sent after `after_seq`. Follow `subject`, subscribed to beforehand, for
 * what comes after, and drop what was seen.
 */
export const resumeReply = streamReply.extend({ messages: z.array(streamMessage) });

/** See {@link streamMessage}. */
export type StreamMessage = z.infer<typeof streamMessage>;

/** Body of `cancel`. */
export const cancelRequest = z.object({ call_id: callId, reason: z.string().max(1_000).optional() });

/** Body of `ctl.<node>`: what a reader says to the one node that holds its stream. */
export const ctlRequest = z.discriminatedUnion('type', [
  /** So many more chunks may be sent. */
  z.strictObject({ type: z.literal('credit'), call_id: callId, chunks: z.number().int().min(1).max(65_536) }),
  /** The reader is still there. */
  z.strictObject({ type: z.literal('extend'), call_id: callId }),
  z.strictObject({ type: z.literal('cancel'), call_id: callId, reason: z.string().max(1_000).optional() }),
]);

/** See {@link ctlRequest}. */
export type CtlRequest = z.infer<typeof ctlRequest>;

/** Body of `resume`. */
export const resumeRequest = z.object({
  call_id: callId,
  after_seq: z.number().int().nonnegative(),
  /**
   * Who sent `invoke` listens on `imodel.<id>.chunks.<call>` from now on: signs of life and the outcome come there too, and a call to which
   * nobody listens any more is cancelled, as that of a stream is. @defaultValue false
   */
  follow: z.boolean().optional(),
});

/** Reply to `cancel`: at once from the node that holds the call, a moment later from a node that does not. */
export const cancelReply = z.object({ call_id: callId, cancelled: z.boolean() });

const limit = z.number().int().min(1).nullable().optional();

/** Body of `control`. */
export const controlRequest = z.discriminatedUnion('action', [
  /** Start no calls; those that run go on. */
  z.strictObject({ action: z.literal('pause') }),
  z.strictObject({ action: z.literal('resume') }),
  /** Take no more calls, end those that wait, finish those that run. */
  z.strictObject({ action: z.literal('drain') }),
  /** As drain, but end those that run too. */
  z.strictObject({ action: z.literal('close') }),
  /** Change limits; null lifts one, an absent one stays. */
  z.strictObject({
    action: z.literal('limits'),
    limit_requests: limit,
    limit_tokens: limit,
    concurrency_limit: limit,
    queue_capacity: z.number().int().min(1).optional(),
  }),
  /** Forget what was used of the limits. */
  z.strictObject({ action: z.literal('reset') }),
]);

/** See {@link controlRequest}. */
export type ControlRequest = z.infer<typeof controlRequest>;

/** Any reply that reports a failure instead of its result. */
export const failureReply = z.object({ failure });
