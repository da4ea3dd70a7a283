import { createClaudeCode } from '../endpoints/agents/claude-code.ts';
import { agentOptions } from './agent-options.ts';
import { defineProvider } from './define-provider.ts';

/** Claude Code, Anthropic's command-line agent. It uses its own login, or a key of Anthropic. */
export const claudeCode = defineProvider({
  name: 'claude_code',
  aliases: ['claude-code', 'claude'],
  endpoints: [
    {
      path: 'query_cli',
      aliases: ['cli', 'code'],
      isCli: true,
      create: (options) => createClaudeCode(agentOptions(options)),
    },
  ],
});
