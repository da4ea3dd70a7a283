import { anthropicMessages } from '../endpoints/anthropic-messages.ts';
import { defineProvider } from './define-provider.ts';

/**
 * Anthropic.
 *
 * @see {@link https://docs.claude.com/en/api/overview} (read 2026-11)
 */
export const anthropic = defineProvider({
  name: 'anthropic',
  baseUrl: 'https://api.anthropic.com/v1',
  apiKeyEnv: 'ANTHROPIC_API_KEY',
  authType: 'x-api-key',
  conflictsPass: true,
  defaultHeaders: { 'anthropic-version': '2023-06-01' },
  endpoints: [anthropicMessages()],
});
