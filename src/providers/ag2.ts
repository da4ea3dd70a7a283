import { createAg2Agent, createAg2GroupChat } from '../endpoints/agents/ag2.ts';
import { createAg2Nlip } from '../endpoints/agents/ag2-nlip.ts';
import { agentOptions } from './agent-options.ts';
import { defineProvider } from './define-provider.ts';

/** AG2, a framework for agents that talk to each other, in a Python of its own. Its agents use the keys of their models. */
export const ag2 = defineProvider({
  name: 'ag2',
  aliases: ['autogen'],
  endpoints: [
    {
      path: 'group_chat',
      aliases: ['groupchat', 'chat'],
      isCli: true,
      create: (options) => createAg2GroupChat(agentOptions(options)),
    },
    {
      path: 'agent',
      aliases: ['beta', 'ask'],
      isCli: true,
      create: (options) => createAg2Agent(agentOptions(options)),
    },
    {
      path: 'nlip',
      aliases: ['nlip_remote', 'remote'],
      isCli: true,
      create: (options) => createAg2Nlip(agentOptions(options)),
    },
  ],
});
