import { z } from 'zod';
import { type AnswerView, finishReasons, toolUse, type usage } from './chunk.ts';
import { failure } from './failure.ts';

/** Every status a call can have; the last five are final. */
export const callStatuses = [
  'pending',
  'processing',
  'completed',
  'failed',
  'cancelled',
  'aborted',
  'skipped',
] as const;

/** See {@link callStatuses}. */
export type CallStatus = (typeof callStatuses)[number];

/** A call's error as it is written down: a class name and a text, a group of such, or a plain text. */
export type WrittenError =
  | string
  | { readonly error: string; readonly message: string; readonly exceptions?: readonly WrittenError[] | undefined };

const writtenError: z.ZodType<WrittenError> = z.lazy(() =>
  z.union([
    z.string(),
    z.object({ error: z.string(), message: z.string(), exceptions: z.array(writtenError).optional() }),
  ]),
);

/** The outcome of a call, with exactly the five keys of the reference. */
export const execution = z.object({
  status: z.enum(callStatuses),
  /** Seconds from dispatch to end, hooks included, waiting excluded; null while it has not ended. */
  duration: z.number().nullable(),
  /** The vendor's body, untouched; the joined chunks after a stream. */
  response: z.unknown(),
  error: writtenError.nullable(),
  /** Whether a failed call can succeed unchanged; null when it did not fail. */
  retryable: z.boolean().nullable(),
});

/** When a call passed its stations, in epoch milliseconds; `waitMs` is the time between queueing and dispatch. */
export const callTiming = z.object({
  queued_at: z.number().optional(),
  started_at: z.number().optional(),
  first_chunk_at: z.number().optional(),
  ended_at: z.number().optional(),
  wait_ms: z.number().optional(),
});

/** A call as `toDict()` writes it, with exactly the reference's keys. Holds no header, no key and no endpoint. */
export const callDict = z.object({
  id: z.string(),
  /** Epoch seconds. */
  created_at: z.number(),
  /** `lion_class`, `timing` and `attempts`, and whatever the caller put there. */
  metadata: z.looseObject({}),
  execution,
  /** The body that was or would be sent. */
  payload: z.record(z.string(), z.unknown()),
});

/** See {@link callDict}. */
export type CallDict = z.infer<typeof callDict>;

/** A usage report as it is written down. */
export const wireUsage = z.object({
  input_tokens: z.number(),
  output_tokens: z.number(),
  total_tokens: z.number(),
  cached_input_tokens: z.number().optional(),
  cache_write_tokens: z.number().optional(),
  reasoning_tokens: z.number().optional(),
});

/** The common view of an answer as it travels. */
export const wireView = z.object({
  text: z.string(),
  thinking: z.string(),
  tool_uses: z.array(toolUse.omit({ rawArguments: true }).extend({ raw_arguments: z.string().optional() })),
  finish_reason: z.enum(finishReasons).nullable(),
  usage: wireUsage.nullable(),
});

/** A terminal call as it travels: the dictionary without its payload, the common view, and the typed failure. */
export const wireCall = callDict.omit({ payload: true }).extend({
  ...wireView.shape,
  failure: failure.nullable(),
});

/** See {@link wireCall}. */
export type WireCall = z.infer<typeof wireCall>;

/** Writes the common view of an answer with the keys of the wire. */
export function viewToWire(view: AnswerView): z.infer<typeof wireView> {
  return {
    text: view.text,
    thinking: view.thinking,
    tool_uses: view.toolUses.map(({ id, name, input, rawArguments }) => ({
      id,
      name,
      input,
      ...(rawArguments === undefined ? {} : { raw_arguments: rawArguments }),
    })),
    finish_reason: view.finishReason,
    usage: view.usage === null ? null : usageToWire(view.usage),
  };
}

/** Reads the common view back from what was checked by {@link wireView}. */
export function viewFromWire(wire: z.infer<typeof wireView>): AnswerView {
  return {
    text: wire.text,
    thinking: wire.thinking,
    toolUses: wire.tool_uses.map(({ id, name, input, raw_arguments }) => ({
      id,
      name,
      input,
      ...(raw_arguments === undefined ? {} : { rawArguments: raw_arguments }),
    })),
    finishReason: wire.finish_reason,
    usage: wire.usage === null ? null : usageFromWire(wire.usage),
  };
}

function usageToWire(value: z.infer<typeof usage>): z.infer<typeof wireUsage> {
  const wire: z.infer<typeof wireUsage> = {
    input_tokens: value.inputTokens,
    output_tokens: value.outputTokens,
    total_tokens: value.totalTokens,
  };
  if (value.cachedInputTokens !== undefined) wire.cached_input_tokens = value.cachedInputTokens;
  if (value.cacheWriteTokens !== undefined) wire.cache_write_tokens = value.cacheWriteTokens;
  if (value.reasoningTokens !== undefined) wire.reasoning_tokens = value.reasoningTokens;
  return wire;
}

/** Reads a usage report back from what was checked by {@link wireUsage}. */
export function usageFromWire(wire: z.infer<typeof wireUsage>): z.infer<typeof usage> {
  return {
    inputTokens: wire.input_tokens,
    outputTokens: wire.output_tokens,
    totalTokens: wire.total_tokens,
    ...(wire.cached_input_tokens === undefined ? {} : { cachedInputTokens: wire.cached_input_tokens }),
    ...(wire.cache_write_tokens === undefined ? {} : { cacheWriteTokens: wire.cache_write_tokens }),
    ...(wire.reasoning_tokens === undefined ? {} : { reasoningTokens: wire.reasoning_tokens }),
  };
}
