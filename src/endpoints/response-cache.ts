import type { Endpoint, EndpointConfig, EndpointJob, EndpointReply, Fields } from './endpoint.ts';
import { LimitedCache, type LimitedCacheOptions } from './limited-cache.ts';

/** How long and how much a {@link ResponseCache} keeps. */
export type ResponseCacheOptions = LimitedCacheOptions;

/**
 * Answers of one-shot calls, to be used again for the same payload to the same URL with the same key. Streams and failures are not kept.
 *
 * A hit is a copy: changing it changes no later hit.
 */
export class ResponseCache {
  readonly #replies: LimitedCache<EndpointReply>;

  constructor(options: ResponseCacheOptions = {}) {
    this.#replies = new LimitedCache(options);
  }

  /** How many answers are kept. */
  get size(): number {
    return this.#replies.size;
  }

  /** How many bytes they take, as JSON. */
  get sizeBytes(): number {
    return this.#replies.sizeBytes;
  }

  /** The answer kept for a payload of this endpoint; null when there is none, or it is too old. */
  find(endpoint: Endpoint, payload: Fields): EndpointReply | null {
    const key = endpoint.cacheKey?.(payload) ?? null;
    return key === null ? null : this.#replies.get(key);
  }

  /** Keeps an answer. One that is larger than the whole cache, or cannot be copied, is not kept. */
  keep(endpoint: Endpoint, payload: Fields, reply: EndpointReply): void {
    const key = endpoint.cacheKey?.(payload) ?? null;
    if (key !== null) this.#replies.set(key, reply);
  }

  /** Forgets everything. */
  clear(): void {
    this.#replies.clear();
  }
}

/**
 * An endpoint that answers one-shot calls from a cache where it can. A hit calls neither `sent` nor the vendor. Whoever counts rate units asks
 * {@link ResponseCache.find} first, and so takes none for a hit.
 */
export class CachedEndpoint implements Endpoint {
  readonly #endpoint: Endpoint;
  readonly cache: ResponseCache;

  constructor(endpoint: Endpoint, cache: ResponseCache) {
    this.#endpoint = endpoint;
    this.cache = cache;
  }

  get config(): EndpointConfig {
    return this.#endpoint.config;
  }

  get isCli(): boolean {
    return this.#endpoint.isCli;
  }

  get requestOptions(): Endpoint['requestOptions'] {
    return this.#endpoint.requestOptions;
  }

  get transportFields(): readonly string[] {
    return this.#endpoint.transportFields;
  }

  prepare(request: Fields): Fields {
    return this.#endpoint.prepare(request);
  }

  estimateTokens(payload: Fields): number {
    return this.#endpoint.estimateTokens(payload);
  }

  cacheKey(payload: Fields): string | null {
    return this.#endpoint.cacheKey?.(payload) ?? null;
  }

  async run(job: EndpointJob): Promise<EndpointReply> {
    if (job.sink !== null) return this.#endpoint.run(job);
    const hit = this.cache.find(this.#endpoint, job.payload);
    if (hit !== null) return hit;
    const reply = await this.#endpoint.run(job);
    this.cache.keep(this.#endpoint, job.payload, reply);
    return reply;
  }

  close(): Promise<void> {
    return this.#endpoint.close();
  }
}
