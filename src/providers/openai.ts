import { openaiChat } from '../endpoints/openai-chat.ts';
import { defineProvider } from './define-provider.ts';
import { adjustForOpenaiModel } from './openai-models.ts';

/**
 * OpenAI.
 *
 * @see {@link https://platform.openai.com/docs/api-reference} (read 2026-11)
 */
export const openai = defineProvider({
  name: 'openai',
  baseUrl: 'https://api.openai.com/v1',
  apiKeyEnv: 'OPENAI_API_KEY',
  endpoints: [openaiChat({ model: 'gpt-4.1-mini', modelEnv: 'OPENAI_DEFAULT_MODEL', adjust: adjustForOpenaiModel })],
});
