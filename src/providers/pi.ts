import { createPi } from '../endpoints/agents/pi.ts';
import { agentOptions } from './agent-options.ts';
import { defineProvider } from './define-provider.ts';

/** Pi, a command-line agent for many vendors. It uses its own login, or its vendor's key. */
export const pi = defineProvider({
  name: 'pi',
  aliases: ['pi-code', 'pi_code'],
  endpoints: [
    { path: 'query_cli', aliases: ['cli', 'code'], isCli: true, create: (options) => createPi(agentOptions(options)) },
  ],
});
