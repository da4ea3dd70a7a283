import { z } from 'zod';

const domains = z.array(z.string()).optional();
const flagOrObject = z.union([z.boolean(), z.looseObject({})]).optional();

/** What Exa shall bring of each page. */
const exaContentOptions = {
  text: flagOrObject,
  highlights: flagOrObject,
  summary: flagOrObject,
  livecrawl: z.string().optional(),
  livecrawlTimeout: z.int().min(0).optional(),
  maxAgeHours: z.number().optional(),
  subpages: z.int().min(0).optional(),
  subpageTarget: z.union([z.string(), z.array(z.string())]).optional(),
  extras: z.looseObject({}).optional(),
  context: flagOrObject,
} as const;

const exaContents = z.looseObject(exaContentOptions).optional();

const exaFilters = {
  numResults: z.int().min(1).max(100).optional(),
  includeDomains: domains,
  excludeDomains: domains,
  startCrawlDate: z.string().optional(),
  endCrawlDate: z.string().optional(),
  startPublishedDate: z.string().optional(),
  endPublishedDate: z.string().optional(),
  includeText: z.array(z.string()).optional(),
  excludeText: z.array(z.string()).optional(),
  contents: exaContents,
} as const;

/**
 * A search with Exa. Names may be written in snake_case too.
 *
 * @see {@link https://docs.exa.ai/reference/search} (read 2026-11)
 */
export const exaSearchRequest = z.strictObject({
  query: z.string(),
  category: z.string().optional(),
  type: z.string().optional(),
  useAutoprompt: z.boolean().optional(),
  userLocation: z.string().optional(),
  moderation: z.boolean().optional(),
  additionalQueries: z.array(z.string()).optional(),
  outputSchema: z.looseObject({}).optional(),
  systemPrompt: z.string().optional(),
  context: flagOrObject,
  flags: z.array(z.string()).optional(),
  stream: z.boolean().optional(),
  ...exaFilters,
});

/**
 * Page contents from Exa.
 *
 * @see {@link https://docs.exa.ai/reference/get-contents} (read 2026-11)
 */
export const exaContentsRequest = z.strictObject({
  urls: z.array(z.string()).optional(),
  /** The older name of `urls`. */
  ids: z.array(z.string()).optional(),
  /** Content options one level down; they are moved up to where the API reads them. */
  contents: exaContents,
  ...exaContentOptions,
});

/**
 * Pages like a page, from Exa.
 *
 * @see {@link https://docs.exa.ai/reference/find-similar-links} (read 2026-11)
 */
export const exaFindSimilarRequest = z.strictObject({
  url: z.string(),
  excludeSourceDomain: z.boolean().optional(),
  ...exaFilters,
});

/**
 * A search with Tavily.
 *
 * @see {@link https://docs.tavily.com/documentation/api-reference/endpoint/search} (read 2026-11)
 */
export const tavilySearchRequest = z.strictObject({
  query: z.string(),
  search_depth: z.string().optional(),
  topic: z.string().optional(),
  max_results: z.int().min(0).max(20).optional(),
  include_domains: domains,
  exclude_domains: domains,
  include_answer: z.union([z.boolean(), z.string()]).optional(),
  include_raw_content: z.union([z.boolean(), z.string()]).optional(),
  include_images: z.boolean().optional(),
  include_image_descriptions: z.boolean().optional(),
  include_favicon: z.boolean().optional(),
  include_usage: z.boolean().optional(),
  days: z.int().min(1).optional(),
  time_range: z.string().optional(),
  start_date: z.string().optional(),
  end_date: z.string().optional(),
  chunks_per_source: z.int().min(1).optional(),
  country: z.string().optional(),
  auto_parameters: z.boolean().optional(),
  exact_match: z.boolean().optional(),
});

/**
 * Page contents from Tavily.
 *
 * @see {@link https://docs.tavily.com/documentation/api-reference/endpoint/extract} (read 2026-11)
 */
export const tavilyExtractRequest = z.strictObject({
  urls: z.union([z.string(), z.array(z.string()).max(20)]),
  extract_depth: z.string().optional(),
  format: z.string().optional(),
  include_images: z.boolean().optional(),
  include_favicon: z.boolean().optional(),
  include_usage: z.boolean().optional(),
  /** Seconds the vendor may take. */
  timeout: z.number().optional(),
  query: z.string().optional(),
  chunks_per_source: z.int().min(1).optional(),
});

const scrapeFields = {
  formats: z.array(z.union([z.string(), z.looseObject({ type: z.string() })])).optional(),
  onlyMainContent: z.boolean().default(true),
  includeTags: z.array(z.string()).optional(),
  excludeTags: z.array(z.string()).optional(),
  /** Milliseconds. */
  waitFor: z.int().min(0).optional(),
  /** Milliseconds. */
  timeout: z.int().min(0).optional(),
  headers: z.record(z.string(), z.string()).optional(),
  mobile: z.boolean().optional(),
  maxAge: z.int().min(0).optional(),
  actions: z.array(z.looseObject({})).optional(),
  location: z.looseObject({}).optional(),
  proxy: z.string().optional(),
  jsonOptions: z.looseObject({}).optional(),
  parsePDF: z.boolean().optional(),
  blockAds: z.boolean().optional(),
  removeBase64Images: z.boolean().optional(),
  skipTlsVerification: z.boolean().optional(),
  storeInCache: z.boolean().optional(),
  changeTrackingOptions: z.looseObject({}).optional(),
  zeroDataRetention: z.boolean().optional(),
} as const;

/**
 * One page from Firecrawl. Names may be written in snake_case too.
 *
 * @see {@link https://docs.firecrawl.dev/api-reference/v1-endpoint/scrape} (read 2026-11)
 */
export const firecrawlScrapeRequest = z.strictObject({ url: z.string(), ...scrapeFields });

/**
 * The links of a site from Firecrawl.
 *
 * @see {@link https://docs.firecrawl.dev/api-reference/v1-endpoint/map} (read 2026-11)
 */
export const firecrawlMapRequest = z.strictObject({
  url: z.string(),
  search: z.string().optional(),
  ignoreSitemap: z.boolean().optional(),
  sitemapOnly: z.boolean().optional(),
  includeSubdomains: z.boolean().optional(),
  limit: z.int().min(1).max(30_000).optional(),
  timeout: z.int().min(0).optional(),
  location: z.looseObject({}).optional(),
});

/**
 * A crawl of a site with Firecrawl, which goes on after the request has been answered.
 *
 * @see {@link https://docs.firecrawl.dev/api-reference/v1-endpoint/crawl-post} (read 2026-11)
 */
export const firecrawlCrawlRequest = z.strictObject({
  url: z.string(),
  excludePaths: z.array(z.string()).optional(),
  includePaths: z.array(z.string()).optional(),
  maxDepth: z.int().min(0).optional(),
  maxDiscoveryDepth: z.int().min(0).optional(),
  ignoreSitemap: z.boolean().optional(),
  ignoreQueryParameters: z.boolean().optional(),
  limit: z.int().min(1).optional(),
  allowBackwardLinks: z.boolean().optional(),
  crawlEntireDomain: z.boolean().optional(),
  allowExternalLinks: z.boolean().optional(),
  allowSubdomains: z.boolean().optional(),
  regexOnFullURL: z.boolean().optional(),
  delay: z.number().min(0).optional(),
  maxConcurrency: z.int().min(1).optional(),
  webhook: z.union([z.string(), z.looseObject({ url: z.string() })]).optional(),
  scrapeOptions: z.strictObject(scrapeFields).optional(),
});
