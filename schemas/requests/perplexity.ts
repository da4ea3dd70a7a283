import { z } from 'zod';
import { chatMessage, chatTool, toolChoice } from './openai-chat.ts';

/**
 * A chat request of Perplexity.
 *
 * @see {@link https://docs.perplexity.ai/api-reference/chat-completions-post} (read 2026-11)
 */
export const perplexityChatRequest = z.strictObject({
  model: z.string().min(1),
  messages: z.array(chatMessage),
  search_mode: z.string().nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  max_tokens: z.int().nullish(),
  return_related_questions: z.boolean().nullish(),
  return_images: z.boolean().nullish(),
  search_domain_filter: z.array(z.string()).nullish(),
  search_language_filter: z.array(z.string()).nullish(),
  search_recency_filter: z.string().nullish(),
  search_after_date_filter: z.string().nullish(),
  search_before_date_filter: z.string().nullish(),
  last_updated_after_filter: z.string().nullish(),
  last_updated_before_filter: z.string().nullish(),
  image_domain_filter: z.array(z.string()).nullish(),
  image_format_filter: z.array(z.string()).nullish(),
  web_search_options: z.looseObject({}).nullish(),
  disable_search: z.boolean().nullish(),
  enable_search_classifier: z.boolean().nullish(),
  language_preference: z.string().nullish(),
  media_response: z.looseObject({}).nullish(),
  num_search_results: z.int().nullish(),
  temperature: z.number().min(0).lt(2).nullish(),
  top_k: z.int().min(0).max(2_048).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  stop: z.union([z.string(), z.array(z.string())]).nullish(),
  tools: z.array(chatTool).nullish(),
  tool_choice: toolChoice.nullish(),
  reasoning_effort: z.string().nullish(),
  response_format: z.looseObject({ type: z.string() }).nullish(),
  stream: z.boolean().nullish(),
  stream_mode: z.string().nullish(),
});
