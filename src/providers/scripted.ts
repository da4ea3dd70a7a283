import { ScriptedEndpoint } from '../endpoints/scripted.ts';
import { defineProvider } from './define-provider.ts';

/** Answers by script, without key and network: for demos, benches and tests. */
export const scripted = defineProvider({
  name: 'scripted',
  endpoints: [
    {
      path: 'chat/completions',
      aliases: ['chat'],
      isCli: false,
      create: ({ kwargs, clock }) =>
        new ScriptedEndpoint({
          ...(kwargs === undefined ? {} : { kwargs }),
          ...(clock === undefined ? {} : { clock }),
        }),
    },
  ],
});
