import { z } from 'zod';
import { chatMessage, chatTool, toolChoice } from './openai-chat.ts';

/** A tool in Anthropic's own form, or one of its server tools, which have a `type` and no `input_schema`. */
const anthropicTool = z.looseObject({ name: z.string().optional(), input_schema: z.looseObject({}).optional() });

/**
 * A request of Anthropic's messages protocol. Messages, tools, `tool_choice`, `stop` and `max_completion_tokens` may be written in OpenAI's
 * form; they are translated.
 *
 * @see {@link https://docs.claude.com/en/api/messages} (read 2026-11)
 */
export const anthropicMessagesRequest = z.strictObject({
  model: z.string().min(1).max(256),
  messages: z.array(chatMessage),
  /** Longest answer in tokens; the model's own maximum when absent. */
  max_tokens: z.int().min(0).nullish(),
  /** OpenAI's name of `max_tokens`. */
  max_completion_tokens: z.int().min(0).nullish(),
  system: z.union([z.string(), z.array(z.union([z.string(), z.looseObject({})]))]).nullish(),
  temperature: z.number().min(0).max(1).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  top_k: z.int().min(0).nullish(),
  stop_sequences: z.array(z.string()).nullish(),
  /** OpenAI's name of `stop_sequences`. */
  stop: z.union([z.string(), z.array(z.string())]).nullish(),
  stream: z.boolean().nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
  tools: z.array(z.union([anthropicTool, chatTool])).nullish(),
  tool_choice: toolChoice.nullish(),
  /** OpenAI's switch; false becomes `disable_parallel_tool_use`. */
  parallel_tool_calls: z.boolean().nullish(),
  thinking: z.looseObject({ type: z.string() }).nullish(),
  output_config: z.looseObject({}).nullish(),
  /** The vendor's prompt caching; true stands for `{ type: 'ephemeral' }`. */
  cache_control: z.union([z.boolean(), z.looseObject({})]).nullish(),
  service_tier: z.string().nullish(),
  container: z.union([z.string(), z.looseObject({})]).nullish(),
  context_management: z.looseObject({}).nullish(),
  mcp_servers: z.array(z.looseObject({})).nullish(),
  inference_geo: z.string().nullish(),
});
