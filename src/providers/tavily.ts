import { tavilyExtractRequest, tavilySearchRequest } from '../../schemas/requests/search.ts';
import { jsonCall } from '../endpoints/json-call.ts';
import { defineProvider } from './define-provider.ts';

/**
 * Tavily, a search engine. What a request leaves out is the vendor's to fill in.
 *
 * @see {@link https://docs.tavily.com/documentation/api-reference/introduction} (read 2026-11)
 */
export const tavily = defineProvider({
  name: 'tavily',
  baseUrl: 'https://api.tavily.com',
  apiKeyEnv: 'TAVILY_API_KEY',
  endpoints: [
    jsonCall({ path: 'search', schema: tavilySearchRequest }),
    jsonCall({ path: 'extract', schema: tavilyExtractRequest }),
  ],
});
