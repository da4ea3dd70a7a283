import { openaiChat } from '../endpoints/openai-chat.ts';
import { defineProvider, type Provider } from './define-provider.ts';

/**
 * A host that is in no list but speaks OpenAI's protocol: any name, a base URL, and perhaps a key in `<NAME>_API_KEY`.
 *
 * All request fields pass unchecked; usage is not asked for in streams, since some servers refuse the field that asks.
 *
 * @param name - As the caller wrote it, trimmed and in lower case.
 * @param path - What to call below the base URL; `chat` and nothing mean `chat/completions`.
 */
export function genericProvider(name: string, path: string): Provider {
  const canonical = name.replace(/[^a-z0-9]+/g, '_').replace(/^(?=[^a-z])/, 'x');
  const { endpoints, ...rest } = defineProvider({
    name: canonical,
    apiKeyEnv: `${name.toUpperCase().replace(/[^A-Z0-9]+/g, '_')}_API_KEY`,
    keyPolicy: 'unless-loopback',
    endpoints: [
      openaiChat({
        path: path === '' || path === 'chat' ? 'chat/completions' : path,
        anyFields: true,
        streamUsage: false,
      }),
    ],
  });
  return { ...rest, name, endpoints: endpoints.map((kind) => ({ ...kind, timeout: 300 })) };
}
