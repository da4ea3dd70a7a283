import { z } from 'zod';
import { firecrawlCrawlRequest, firecrawlMapRequest, firecrawlScrapeRequest } from '../../schemas/requests/search.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { camelCaseFields, jsonCall } from '../endpoints/json-call.ts';
import { readVendorError, record, type VendorError } from '../http/vendor-error.ts';
import { defineProvider } from './define-provider.ts';
import { pollCrawl } from './firecrawl-poll.ts';

const accept = (request: Fields): Fields => camelCaseFields(request, new Set(['scrapeOptions']));

/**
 * Firecrawl, which fetches pages. A crawl goes on after its request has been answered; with `poll: true` the call waits for it.
 *
 * A crawl that was begun is not begun a second time when the answer to its request is lost: the next attempt is refused with 409, "Idempotency
 * key already used".
 *
 * @see {@link https://docs.firecrawl.dev/api-reference/v1-introduction} (read 2026-11)
 * @see {@link https://github.com/firecrawl/firecrawl/blob/main/apps/api/src/routes/v1.ts} for the endpoints that take a key (read 2026-11)
 */
export const firecrawl = defineProvider({
  name: 'firecrawl',
  baseUrl: 'https://api.firecrawl.dev',
  apiKeyEnv: 'FIRECRAWL_API_KEY',
  endpoints: [
    // The vendor itself may take up to five minutes for a page.
    jsonCall({ path: 'v1/scrape', aliases: ['scrape'], schema: firecrawlScrapeRequest, accept, faultIn, timeout: 330 }),
    jsonCall({ path: 'v1/map', aliases: ['map'], schema: firecrawlMapRequest, accept, faultIn }),
    jsonCall({
      path: 'v1/crawl',
      aliases: ['crawl'],
      schema: firecrawlCrawlRequest.extend({
        poll: z
          .union([
            z.boolean(),
            z.strictObject({ intervalMs: z.number().min(1).optional(), timeoutMs: z.number().min(1).optional() }),
          ])
          .optional(),
      }),
      accept,
      faultIn,
      idempotencyHeader: 'x-idempotency-key',
      transportFields: ['poll'],
      around: pollCrawl,
    }),
  ],
});

/** Failures may come with status 200. */
function faultIn(body: unknown): VendorError | null {
  return record(body)?.success === false ? readVendorError(body, JSON.stringify(body)) : null;
}
