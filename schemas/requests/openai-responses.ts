import { z } from 'zod';
import { chatMessage, toolChoice } from './openai-chat.ts';

/**
 * A request of OpenAI's Responses protocol. `messages`, chat-style tools, `response_format` and `reasoning_effort` may be given in its
 * chat form; they are translated.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/responses/create} (read 2026-11)
 */
export const openaiResponsesRequest = z.strictObject({
  model: z.string().min(1).optional(),
  input: z.union([z.string(), z.array(z.union([z.string(), z.looseObject({})]))]).nullish(),
  /** The common tongue; becomes `input` and `instructions`. */
  messages: z.array(chatMessage).nullish(),
  instructions: z.string().nullish(),
  previous_response_id: z.string().nullish(),
  conversation: z.union([z.string(), z.looseObject({})]).nullish(),
  prompt: z.union([z.string(), z.looseObject({})]).nullish(),
  store: z.boolean().nullish(),
  stream: z.boolean().nullish(),
  background: z.boolean().nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  stream_options: z.looseObject({}).nullish(),
  include: z.array(z.string()).nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
  user: z.string().nullish(),
  safety_identifier: z.string().nullish(),
  context_management: z.array(z.looseObject({})).nullish(),
  max_output_tokens: z.int().nullish(),
  /** Chat's names of `max_output_tokens`. */
  max_completion_tokens: z.int().nullish(),
  max_tokens: z.int().nullish(),
  max_tool_calls: z.int().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  truncation: z.string().nullish(),
  service_tier: z.string().nullish(),
  prompt_cache_key: z.string().nullish(),
  prompt_cache_retention: z.string().nullish(),
  prompt_cache_options: z.looseObject({}).nullish(),
  moderation: z.looseObject({}).nullish(),
  reasoning: z.looseObject({}).nullish(),
  /** Chat's name of `reasoning.effort`. */
  reasoning_effort: z.string().nullish(),
  text: z.looseObject({}).nullish(),
  /** Chat's name of `text.format`. */
  response_format: z.looseObject({ type: z.string() }).nullish(),
  tools: z.array(z.looseObject({})).nullish(),
  tool_choice: toolChoice.nullish(),
});
