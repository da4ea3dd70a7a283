import { createGeminiCode } from '../endpoints/agents/gemini-code.ts';
import { agentOptions } from './agent-options.ts';
import { defineProvider } from './define-provider.ts';

/** Gemini CLI, Google's command-line agent. It uses its own login, or a key of Gemini. */
export const geminiCode = defineProvider({
  name: 'gemini_code',
  aliases: ['gemini-code', 'gemini_cli', 'gemini-cli'],
  endpoints: [
    {
      path: 'query_cli',
      aliases: ['cli', 'code'],
      isCli: true,
      create: (options) => createGeminiCode(agentOptions(options)),
    },
  ],
});
