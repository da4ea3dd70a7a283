import { z } from 'zod';
import { openaiChat } from '../endpoints/openai-chat.ts';
import { defineProvider } from './define-provider.ts';

/**
 * DeepSeek, which speaks OpenAI's chat protocol and thinks unless told not to. Turns with tools must send `reasoning_content` back.
 *
 * @see {@link https://api-docs.deepseek.com/api/create-chat-completion} (read 2026-11)
 */
export const deepseek = defineProvider({
  name: 'deepseek',
  baseUrl: 'https://api.deepseek.com/v1',
  apiKeyEnv: 'DEEPSEEK_API_KEY',
  endpoints: [
    openaiChat({
      // The names `deepseek-chat` and `deepseek-reasoner` were retired on 2026-07-24.
      model: 'deepseek-flash',
      fields: {
        thinking: z.looseObject({ type: z.string().default('enabled') }).nullish(),
        user_id: z.string().max(512).nullish(),
      },
      failingReasons: ['insufficient_system_resource'],
    }),
  ],
});
