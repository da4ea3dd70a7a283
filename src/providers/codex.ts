import { createCodex } from '../endpoints/agents/codex.ts';
import { agentOptions } from './agent-options.ts';
import { defineProvider } from './define-provider.ts';

/** Codex, OpenAI's command-line agent. It uses its own login, or a key of OpenAI. */
export const codex = defineProvider({
  name: 'codex',
  aliases: ['openai-codex'],
  endpoints: [
    {
      path: 'query_cli',
      aliases: ['cli', 'code'],
      isCli: true,
      create: (options) => createCodex(agentOptions(options)),
    },
  ],
});
