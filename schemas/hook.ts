import { z } from 'zod';
import { callStatuses, wireCall, wireView } from './call.ts';
import { wireChunk } from './chunk.ts';

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
  /** A point; one with a dot and a name after it for a hook on the bus that has one; `chunk:` and the key for a chunk handler. */
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

/** Where hooks on the bus are asked: at the points of a call, and for the chunks of its stream. */
export const askPoints = [...hookPoints, 'chunk'] as const;

/** See {@link askPoints}. */
export type AskPoint = (typeof askPoints)[number];

const fields = z.record(z.string(), z.unknown());

const asked = {
  model_id: z.string(),
  /** The model's name as its vendor knows it; empty when none is set. */
  model: z.string(),
  call_id: z.string(),
  /** Who calls, where the call says so. */
  caller: z.string().optional(),
  /** The W3C trace context of the call, where its caller sent one. */
  traceparent: z.string().optional(),
  /** Epoch milliseconds. */
  at: z.number(),
  /** Milliseconds after which the answer is not waited for any more. */
  timeout_ms: z.number(),
};

const askedOfRequest = {
  ...asked,
  streaming: z.boolean(),
  /** What the caller asked for, over the defaults of nobody: OpenAI-style `messages`, and fields as the vendor spells them. */
  request: fields,
};

/** What an iModel asks on `imodel.<id>.hooks.<point>`, or on `imodel.<id>.hooks.<point>.<name>`. Holds prompts and answers. */
export const hookAsk = z.discriminatedUnion('point', [
  /** Before the call is queued. */
  z.object({ point: z.literal('pre_event_create'), ...askedOfRequest }),
  /** When its turn has come, before its request is sent. */
  z.object({ point: z.literal('pre_invocation'), ...askedOfRequest }),
  /** When it was answered or given up. The execution in `call` is still `processing`: `outcome` says what it will be. */
  z.object({ point: z.literal('post_invocation'), ...askedOfRequest, outcome: z.enum(callOutcomes), call: wireCall }),
  /** Before chunks reach the reader. The answer of a call that is not streamed comes as chunks too, all of them at once. */
  z.object({
    point: z.literal('chunk'),
    ...asked,
    streaming: z.boolean(),
    /** The number of the first of these chunks within the call, from 1. */
    first: z.number().int().positive(),
    chunks: z.array(wireChunk),
    /** No chunks follow. There may be none in the last question. */
    is_last: z.boolean(),
  }),
]);

/** See {@link hookAsk}. */
export type HookAsk = z.infer<typeof hookAsk>;

/** What a hook on the bus may answer; {@link hookActions} says where. */
export const hookAnswer = z.discriminatedUnion('action', [
  z.object({ action: z.literal('pass') }),
  /** The call fails with `vetoed`. A veto is one however its reason is written. */
  z.object({ action: z.literal('veto'), reason: z.string().optional().catch(undefined) }),
  /** The call goes on with this request in place of its own; it is checked as one from a caller is. */
  z.object({ action: z.literal('replace'), request: fields }),
  /** The call ends with this answer, and no vendor is asked. */
  z.object({ action: z.literal('answer'), ...wireView.partial().shape, response: z.unknown().optional() }),
  /** The reader gets these chunks in place of those in the question; none when there are none. */
  z.object({ action: z.literal('transform'), chunks: z.array(wireChunk) }),
]);

/** See {@link hookAnswer}. */
export type HookAnswer = z.infer<typeof hookAnswer>;

/** What may be answered at each point. */
export const hookActions = {
  pre_event_create: ['pass', 'veto', 'replace', 'answer'],
  pre_invocation: ['pass', 'veto', 'replace', 'answer'],
  post_invocation: ['pass', 'veto'],
  chunk: ['pass', 'veto', 'transform'],
} as const satisfies Record<AskPoint, readonly HookAnswer['action'][]>;

/** What is asked at one point. */
export type HookAskAt<P extends AskPoint> = Extract<HookAsk, { point: P }>;

/** What may be answered at one point. */
export type HookAnswerAt<P extends AskPoint> = Extract<
  z.input<typeof hookAnswer>,
  { action: (typeof hookActions)[P][number] }
>;
