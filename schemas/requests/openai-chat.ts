import { z } from 'zod';

/** One part of a message's content. Kinds are the vendors' business and only ever grow, so any object passes. */
const contentPart = z.union([z.string(), z.looseObject({})]);

/** A tool call of an earlier assistant turn. */
const toolCall = z.looseObject({
  id: z.string().optional(),
  type: z.string().optional(),
  function: z.looseObject({ name: z.string(), arguments: z.string() }).optional(),
});

/** One turn of a conversation, in the common tongue of all chat endpoints. Further keys travel as they are. */
export const chatMessage = z.looseObject({
  /** `system`, `developer`, `user`, `assistant`, `tool` or `function`. */
  role: z.string(),
  /** Null or absent for an assistant turn that only calls tools. */
  content: z.union([z.string(), z.array(contentPart), z.looseObject({})]).nullish(),
  name: z.string().optional(),
  tool_calls: z.array(toolCall).nullish(),
  tool_call_id: z.string().optional(),
});

/** See {@link chatMessage}. */
export type ChatMessage = z.infer<typeof chatMessage>;

/** A tool the model may call. */
export const chatTool = z.looseObject({
  type: z.string().optional(),
  function: z
    .looseObject({ name: z.string(), description: z.string().nullish(), parameters: z.looseObject({}).nullish() })
    .optional(),
});

/** Which tools the model may or must use: a word or an object that names one. */
export const toolChoice = z.union([z.string(), z.looseObject({})]);

/**
 * A request of OpenAI's chat protocol, which Gemini, Groq, DeepSeek, OpenRouter, NVIDIA and Ollama speak too. Shapes are checked,
 * vocabularies (models, efforts, tiers) are not, since they age.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/chat/create} (read 2026-11)
 */
export const openaiChatRequest = z.strictObject({
  model: z.string().min(1),
  messages: z.array(chatMessage),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  /** Longest answer in tokens, reasoning included. */
  max_completion_tokens: z.int().nullish(),
  /** The older name of the same limit. */
  max_tokens: z.int().nullish(),
  n: z.int().min(1).nullish(),
  stop: z.union([z.string(), z.array(z.string())]).nullish(),
  logit_bias: z.record(z.string(), z.number()).nullish(),
  seed: z.int().nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).nullish(),
  tools: z.array(chatTool).nullish(),
  tool_choice: toolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  functions: z.array(z.looseObject({ name: z.string() })).nullish(),
  function_call: z.union([z.string(), z.looseObject({ name: z.string() })]).nullish(),
  response_format: z.looseObject({ type: z.string() }).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({}).nullish(),
  service_tier: z.string().nullish(),
  user: z.string().nullish(),
  store: z.boolean().nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
  reasoning_effort: z.string().nullish(),
  modalities: z.array(z.string()).nullish(),
  audio: z.looseObject({}).nullish(),
  prediction: z.looseObject({}).nullish(),
  verbosity: z.string().nullish(),
  web_search_options: z.looseObject({}).nullish(),
  prompt_cache_key: z.string().nullish(),
  prompt_cache_retention: z.string().nullish(),
  prompt_cache_options: z.looseObject({}).nullish(),
  safety_identifier: z.string().nullish(),
  moderation: z.looseObject({}).nullish(),
});

/** See {@link openaiChatRequest}. */
export type OpenaiChatRequest = z.infer<typeof openaiChatRequest>;
