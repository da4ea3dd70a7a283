import { z } from 'zod';
import { base64Of, bytesOf } from './bytes.ts';

/**
 * What a chunk is a piece of. `system` comes first where it comes; further ones, with `metadata.event`, tell what is neither answer
 * nor failure: agents send such, and `choice` is a piece of another answer where several were asked for. `media` is bytes of an image or of
 * sound. `result` comes at most once and last.
 */
export const chunkTypes = [
  'system',
  'thinking',
  'text',
  'media',
  'tool_use',
  'tool_result',
  'result',
  'error',
] as const;

/** See {@link chunkTypes}. */
export type ChunkType = (typeof chunkTypes)[number];

/** Why a model stopped, in one vocabulary for every vendor. The vendor's own word is `rawFinishReason`. */
export const finishReasons = [
  'stop',
  'length',
  'tool_calls',
  'content_filter',
  'refusal',
  'pause',
  'error',
  'other',
] as const;

/** See {@link finishReasons}. */
export type FinishReason = (typeof finishReasons)[number];

/** Tokens a call used, as its vendor reported them. */
export const usage = z.object({
  /** Prompt tokens, with those read from or written to a vendor's cache. */
  inputTokens: z.number().nonnegative(),
  /** Completion tokens, with reasoning where the vendor counts it so. */
  outputTokens: z.number().nonnegative(),
  totalTokens: z.number().nonnegative(),
  cachedInputTokens: z.number().nonnegative().optional(),
  cacheWriteTokens: z.number().nonnegative().optional(),
  reasoningTokens: z.number().nonnegative().optional(),
  /** The vendor's usage object, untouched. */
  raw: z.unknown().optional(),
});

/** See {@link usage}. */
export type Usage = z.infer<typeof usage>;

/** A tool the model asked for. */
export const toolUse = z.object({
  id: z.string(),
  name: z.string(),
  /** The arguments, parsed; empty when they were not valid JSON, with the text in `rawArguments`. */
  input: z.record(z.string(), z.unknown()),
  rawArguments: z.string().optional(),
});

/** See {@link toolUse}. */
export type ToolUse = z.infer<typeof toolUse>;

/**
 * One piece of a streamed answer.
 *
 * Order within a call: one `system` or none; then `thinking`, `text`, `media`, `tool_use` and `tool_result` as the model makes them, with
 * further `system` between; then either one `result`, or one `error` with which the stream fails.
 */
export interface Chunk {
  /** What kind of piece it is. */
  readonly type: ChunkType;
  /** Text of a `text` or `thinking` piece, or the message of an `error`. */
  readonly content?: string | null;
  /**
   * The bytes of a `media` piece. With {@link isDelta} they continue those before (sound); without, they are a whole file (an image), which
   * with `metadata.partialImageIndex` (from 0) is a preview that a later one takes the place of.
   */
  readonly data?: Uint8Array | null;
  /** What {@link data} is, such as `image/png` or `audio/mpeg`. */
  readonly mediaType?: string | null;
  /** The tool of a `tool_use` or `tool_result`. */
  readonly toolName?: string | null;
  /** Tells the pieces of one tool use from those of another, and names it in its result. */
  readonly toolId?: string | null;
  /** The whole argument object; only on the final `tool_use` chunk of a tool. */
  readonly toolInput?: Readonly<Record<string, unknown>> | null;
  /** What an agent's tool returned; only on `tool_result`. */
  readonly toolOutput?: unknown;
  /** True for a `tool_result` of a tool that failed. */
  readonly isError?: boolean;
  /** True for a fragment that continues, false for a piece that is complete in itself. */
  readonly isDelta?: boolean;
  /** What has no field of its own: `{ id, model }` on `system`, `{ finishReason, usage, … }` on `result`. */
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** A chunk as it is written down: keys in snake_case, absent instead of null. */
export const wireChunk = z.object({
  type: z.enum(chunkTypes),
  content: z.string().nullish(),
  /** Bytes, as base64 whatever the encoding of the message. */
  data: z.string().nullish(),
  media_type: z.string().nullish(),
  tool_name: z.string().nullish(),
  tool_id: z.string().nullish(),
  tool_input: z.record(z.string(), z.unknown()).nullish(),
  tool_output: z.unknown().optional(),
  is_error: z.boolean().optional(),
  is_delta: z.boolean().optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
});

/** See {@link wireChunk}. */
export type WireChunk = z.infer<typeof wireChunk>;

/** Writes a chunk with the keys of the wire. Runs once per chunk and observer-independent, so it allocates one object. */
export function chunkToWire(chunk: Chunk): WireChunk {
  const wire: WireChunk = { type: chunk.type };
  if (chunk.content !== undefined && chunk.content !== null) wire.content = chunk.content;
  if (chunk.data !== undefined && chunk.data !== null) wire.data = base64Of(chunk.data);
  if (chunk.mediaType !== undefined && chunk.mediaType !== null) wire.media_type = chunk.mediaType;
  if (chunk.isDelta === true) wire.is_delta = true;
  if (chunk.toolName !== undefined && chunk.toolName !== null) wire.tool_name = chunk.toolName;
  if (chunk.toolId !== undefined && chunk.toolId !== null) wire.tool_id = chunk.toolId;
  if (chunk.toolInput !== undefined && chunk.toolInput !== null) wire.tool_input = { ...chunk.toolInput };
  if (chunk.toolOutput !== undefined) wire.tool_output = chunk.toolOutput;
  if (chunk.isError === true) wire.is_error = true;
  if (chunk.metadata !== undefined) wire.metadata = { ...chunk.metadata };
  return wire;
}

/** Reads a chunk that has been checked by {@link wireChunk}. */
export function chunkFromWire(wire: WireChunk): Chunk {
  return {
    type: wire.type,
    ...(wire.content == null ? {} : { content: wire.content }),
    ...(wire.data == null ? {} : { data: bytesOf(wire.data) }),
    ...(wire.media_type == null ? {} : { mediaType: wire.media_type }),
    ...(wire.is_delta ? { isDelta: true } : {}),
    ...(wire.tool_name == null ? {} : { toolName: wire.tool_name }),
    ...(wire.tool_id == null ? {} : { toolId: wire.tool_id }),
    ...(wire.tool_input == null ? {} : { toolInput: wire.tool_input }),
    ...(wire.tool_output === undefined ? {} : { toolOutput: wire.tool_output }),
    ...(wire.is_error ? { isError: true } : {}),
    ...(wire.metadata === undefined ? {} : { metadata: wire.metadata }),
  };
}

/** What a vendor's answer looks like whoever gave it; the vendor's own body stands beside it, untouched. */
export interface AnswerView {
  /** The answer's text, joined; empty when there is none. */
  readonly text: string;
  /** The reasoning the vendor showed; empty when there is none. */
  readonly thinking: string;
  /** The tools it wants used, in its order; empty when there are none. */
  readonly toolUses: readonly ToolUse[];
  /** Null when the vendor has no such word (embeddings, search). */
  readonly finishReason: FinishReason | null;
  /** Null when the vendor reported none. */
  readonly usage: Usage | null;
}
