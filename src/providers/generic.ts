import { openaiChat } from '../endpoints/openai-chat.ts';
import { openaiEmbeddings } from '../endpoints/openai-embeddings.ts';
import { openaiResponses } from '../endpoints/openai-responses.ts';
import type { HttpEndpointKind } from '../endpoints/protocol.ts';
import { defineProvider, type Provider } from './define-provider.ts';

/**
 * A host that is in no list but speaks OpenAI's protocols: any name, a base URL, and perhaps a key in `<NAME>_API_KEY`.
 *
 * All request fields pass unchecked; usage is not asked for in streams, since some servers refuse the field that asks.
 *
 * @param name - As the caller wrote it, trimmed and in lower case.
 * @param path - What to call below the base URL; `chat` and nothing mean `chat/completions`, `response` `responses`, `embed` `embeddings`. At any
 * other path chat is spoken.
 */
export function genericProvider(name: string, path: string): Provider {
  const canonical = name.replace(/[^a-z0-9]+/g, '_').replace(/^(?=[^a-z])/, 'x');
  const { endpoints, ...rest } = defineProvider({
    name: canonical,
    apiKeyEnv: `${name.toUpperCase().replace(/[^A-Z0-9]+/g, '_')}_API_KEY`,
    keyPolicy: 'unless-loopback',
    endpoints: [kindOf(path)],
  });
  return { ...rest, name, endpoints: endpoints.map((kind) => ({ ...kind, timeout: 300 })) };
}

function kindOf(path: string): HttpEndpointKind {
  const full = { chat: 'chat/completions', '': 'chat/completions', response: 'responses', embed: 'embeddings' }[path];
  const called = full ?? path;
  if (called.endsWith('responses')) return anyFields(openaiResponses(), called);
  if (called.endsWith('embeddings')) {
    const { model: _model, ...kind } = openaiEmbeddings({ model: '' });
    return anyFields(kind, called);
  }
  return openaiChat({ path: called, anyFields: true, streamUsage: false });
}

/** The same protocol at another path, with no word on what a request may hold. */
function anyFields(kind: HttpEndpointKind, path: string): HttpEndpointKind {
  return { ...kind, path, protocol: { ...kind.protocol, schema: null } };
}
