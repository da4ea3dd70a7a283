import { perplexityChatRequest } from '../../schemas/requests/perplexity.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { openaiChat } from '../endpoints/openai-chat.ts';
import { defineProvider } from './define-provider.ts';

/**
 * Perplexity, which speaks OpenAI's chat protocol and adds where its answers come from.
 *
 * @see {@link https://docs.perplexity.ai/api-reference/chat-completions-post} (read 2026-11)
 */
export const perplexity = defineProvider({
  name: 'perplexity',
  baseUrl: 'https://api.perplexity.ai',
  apiKeyEnv: 'PERPLEXITY_API_KEY',
  endpoints: [
    openaiChat({
      model: 'sonar',
      schema: perplexityChatRequest,
      streamUsage: false,
      thinkTag: 'think',
      keep: ['citations', 'search_results', 'images', 'related_questions'],
      adjust: developerToSystem,
    }),
  ],
});

/** It knows no `developer` role. */
function developerToSystem(payload: Fields): Fields {
  const messages = payload.messages as readonly Fields[];
  if (!messages.some(({ role }) => role === 'developer')) return payload;
  return {
    ...payload,
    messages: messages.map((message) => (message.role === 'developer' ? { ...message, role: 'system' } : message)),
  };
}
