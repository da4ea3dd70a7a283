import { z } from 'zod';
import { openaiChatRequest } from './openai-chat.ts';

/** A failure of the script: a code, or a code with what the vendor would say beside it. */
const scriptedFailure = z.union([
  z.string(),
  z.looseObject({
    code: z.string(),
    message: z.string().optional(),
    retryable: z.boolean().optional(),
    retryAfterMs: z.number().min(0).optional(),
    /** Fails after this many chunks of a stream. @defaultValue 0 */
    afterChunks: z.int().min(0).optional(),
  }),
]);

/** See {@link scriptedFailure}. */
export type ScriptedFailure = z.infer<typeof scriptedFailure>;

const milliseconds = z.number().min(0);

/**
 * A request to the scripted endpoint: a chat request, of which everything is optional, and the script. The script is usually given once,
 * when the model is made; a request may change any part of it.
 */
export const scriptedRequest = openaiChatRequest.partial().extend({
  prompt: z.string().optional(),
  /** A script has one answer, */
  n: z.literal(1, '1: a script has one answer').nullish(),
  /** and knows of no others that were likely. */
  logprobs: z.literal(false, 'false: a script knows of no probabilities').nullish(),
  /** The answer: a text, or a function of the payload that gives one. @defaultValue the last user message, word for word */
  text: z.union([z.string(), z.custom<(payload: Readonly<Record<string, unknown>>) => string>(isFunction)]).optional(),
  /** Reasoning that comes before the text. */
  thinking: z.string().optional(),
  /** Tools the model asks for after its text. */
  toolUses: z
    .array(
      z.strictObject({
        id: z.string().optional(),
        name: z.string(),
        input: z.record(z.string(), z.unknown()).optional(),
      }),
    )
    .optional(),
  /** In how many text chunks a stream brings the answer; a text with fewer characters is repeated. @defaultValue one a word */
  chunks: z.int().min(1).optional(),
  /** Milliseconds before the answer begins. @defaultValue 0 */
  delayMs: milliseconds.optional(),
  /** As `delayMs`, spelled as in configuration files. */
  delay_ms: milliseconds.optional(),
  /** Milliseconds between two chunks. @defaultValue 0 */
  chunkDelayMs: milliseconds.optional(),
  /** As `chunkDelayMs`, spelled as in configuration files. */
  chunk_delay_ms: milliseconds.optional(),
  /**
   * How the first calls fail, one entry a call, null for one that succeeds; or a function of the call's number (from 1) that says so for
   * every call.
   */
  failures: z
    .union([
      z.array(scriptedFailure.nullable()),
      z.custom<(call: number) => ScriptedFailure | null | undefined>(isFunction),
    ])
    .optional(),
  /** The usage to report; null reports none. @defaultValue a token for every four characters */
  usage: z
    .strictObject({ inputTokens: z.number().min(0), outputTokens: z.number().min(0) })
    .nullable()
    .optional(),
  /** What `limitTokens` counts for this request before its usage is known. @defaultValue the ordinary estimate */
  estimatedTokens: z.number().min(0).optional(),
});

/** See {@link scriptedRequest}. */
export type ScriptedRequest = z.infer<typeof scriptedRequest>;

function isFunction(value: unknown): boolean {
  return typeof value === 'function';
}
