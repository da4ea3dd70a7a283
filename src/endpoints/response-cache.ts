import type { Endpoint, EndpointConfig, EndpointJob, EndpointReply, Fields } from './endpoint.ts';

/** How long and how much a {@link ResponseCache} keeps. */
export interface ResponseCacheOptions {
  /** Milliseconds an answer may be used again. @defaultValue 300,000 */
  readonly ttlMs?: number;
  /** Bytes of answers, as JSON, that are kept; the ones unused longest go first. @defaultValue 67,108,864 (64 MiB) */
  readonly maxBytes?: number;
  /** Epoch or monotonic milliseconds. @defaultValue `performance.now` */
  readonly now?: () => number;
}

interface Entry {
  readonly reply: EndpointReply;
  readonly sizeBytes: number;
  readonly expiresAt: number;
}

/**
 * Answers of one-shot calls, to be used again for the same payload to the same URL with the same key. Streams and failures are not kept.
 *
 * A hit is a copy: changing it changes no later hit.
 */
export class ResponseCache {
  readonly #entries = new Map<string, Entry>();
  readonly #ttlMs: number;
  readonly #maxBytes: number;
  readonly #now: () => number;
  #sizeBytes = 0;

  constructor({
    ttlMs = 300_000,
    maxBytes = 64 * 1_024 * 1_024,
    now = () => performance.now(),
  }: ResponseCacheOptions = {}) {
    this.#ttlMs = ttlMs;
    this.#maxBytes = maxBytes;
    this.#now = now;
  }

  /** How many answers are kept. */
  get size(): number {
    return this.#entries.size;
  }

  /** How many bytes they take, as JSON. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** The answer kept for a payload of this endpoint; null when there is none, or it is too old. */
  find(endpoint: Endpoint, payload: Fields): EndpointReply | null {
    const key = endpoint.cacheKey?.(payload) ?? null;
    return key === null ? null : this.#get(key);
  }

  /** Keeps an answer. One that is larger than the whole cache, or cannot be copied, is not kept. */
  keep(endpoint: Endpoint, payload: Fields, reply: EndpointReply): void {
    const key = endpoint.cacheKey?.(payload) ?? null;
    if (key === null) return;
    const sizeBytes = Buffer.byteLength(JSON.stringify(reply) ?? '');
    if (sizeBytes > this.#maxBytes) return;
    this.#drop(key);
    this.#entries.set(key, { reply: structuredClone(reply), sizeBytes, expiresAt: this.#now() + this.#ttlMs });
    this.#sizeBytes += sizeBytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#sizeBytes <= this.#maxBytes) break;
      this.#drop(oldest);
    }
  }

  /** Forgets everything. */
  clear(): void {
    this.#entries.clear();
    this.#sizeBytes = 0;
  }

  #get(key: string): EndpointReply | null {
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    this.#drop(key);
    if (entry.expiresAt <= this.#now()) return null;
    // At the end of the map it is the one used last.
    this.#entries.set(key, entry);
    this.#sizeBytes += entry.sizeBytes;
    return structuredClone(entry.reply);
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#sizeBytes -= entry.sizeBytes;
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
