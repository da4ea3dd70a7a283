import { exaContentsRequest, exaFindSimilarRequest, exaSearchRequest } from '../../schemas/requests/search.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { camelCaseFields, jsonCall } from '../endpoints/json-call.ts';
import { OpenaiChatReading } from '../endpoints/openai-chat-stream.ts';
import type { HttpEndpointKind } from '../endpoints/protocol.ts';
import { IModelError } from '../errors.ts';
import { record } from '../http/vendor-error.ts';
import { defineProvider } from './define-provider.ts';

const nested: ReadonlySet<string> = new Set(['contents', 'text', 'highlights', 'summary', 'extras', 'context']);
const accept = (request: Fields): Fields => camelCaseFields(request, nested);

/** What the API assumes anyway, said aloud so that the payload shows it. */
const searchDefaults = { useAutoprompt: false, numResults: 10 };

/**
 * Exa, a search engine.
 *
 * @see {@link https://docs.exa.ai/reference} (read 2026-11)
 */
export const exa = defineProvider({
  name: 'exa',
  baseUrl: 'https://api.exa.ai',
  apiKeyEnv: 'EXA_API_KEY',
  authType: 'x-api-key',
  endpoints: [
    streamed(
      jsonCall({
        path: 'search',
        schema: exaSearchRequest,
        accept,
        toWire: (request) => ({ ...searchDefaults, ...request }),
      }),
    ),
    jsonCall({
      path: 'contents',
      aliases: ['get_contents'],
      schema: exaContentsRequest,
      accept,
      toWire: contentsToWire,
    }),
    jsonCall({
      path: 'findSimilar',
      aliases: ['similar', 'find_similar'],
      schema: exaFindSimilarRequest,
      accept,
      toWire: (request) => ({ numResults: searchDefaults.numResults, ...request }),
    }),
  ],
});

/** A search that streams what it writes about its results, as a chat does. */
function streamed(kind: HttpEndpointKind): HttpEndpointKind {
  const reading = { keep: ['requestId', 'resolvedSearchType', 'results', 'citations', 'costDollars', 'searchTime'] };
  return {
    ...kind,
    protocol: {
      ...kind.protocol,
      framing: 'sse',
      finishWire: ({ stream: _stream, ...payload }, streaming) => (streaming ? { ...payload, stream: true } : payload),
      openStream: (answer) => new OpenaiChatReading(answer, reading),
    },
  };
}

/** The API reads `urls`, and content options at the top. */
function contentsToWire({ ids, contents, ...rest }: Fields): Fields {
  const urls = rest.urls ?? ids;
  if (urls === undefined) {
    throw IModelError.of('invalid_request', 'Expected `urls` to be a list of addresses, got undefined', {
      path: 'urls',
    });
  }
  return { ...record(contents), ...rest, urls };
}
