import type { Endpoint, EndpointJob, EndpointReply, Fields } from './endpoint.ts';
import { LimitedCache, type LimitedCacheOptions } from './limited-cache.ts';

/** How long and how much a {@link ResponseCache} keeps. */
export type ResponseCacheOptions = LimitedCacheOptions;

/** What of a call its answer depends on. */
export type CacheQuestion = Pick<EndpointJob, 'payload' | 'transport'>;

const nothing = { inputTokens: 0, outputTokens: 0, totalTokens: 0 };

/**
 * Answers of one endpoint's one-shot calls, to be used again for the same payload to the same URL with the same key. Streams and failures are
 * not kept, nor is anything of calls with files.
 *
 * A hit is a copy: changing it changes no later hit. Its response is the vendor's own; its usage is 0, since nothing was used.
 */
export class ResponseCache {
  readonly #endpoint: Endpoint;
  readonly #replies: LimitedCache<EndpointReply>;

  constructor(endpoint: Endpoint, options: ResponseCacheOptions = {}) {
    this.#endpoint = endpoint;
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

  /** The answer kept for a call; null when there is none, or it is too old. Never throws. */
  find(question: CacheQuestion): EndpointReply | null {
    const key = this.#keyOf(question);
    const reply = key === null ? null : this.#replies.get(key);
    if (reply === null) return null;
    const { usage } = reply.view;
    return { ...reply, isUnasked: true, view: { ...reply.view, usage: usage === null ? null : nothing } };
  }

  /** Runs a one-shot call unless its answer is kept; keeps the answer of one that was run. */
  async run(job: EndpointJob): Promise<EndpointReply> {
    const found = this.find(job);
    if (found !== null) return found;
    const reply = await this.#endpoint.run(job);
    const key = this.#keyOf(job);
    if (key !== null) this.#keep(key, reply);
    return reply;
  }

  /** Forgets everything. */
  clear(): void {
    this.#replies.clear();
  }

  #keyOf({ payload, transport }: { readonly payload: Fields; readonly transport: Fields }): string | null {
    try {
      return this.#endpoint.cacheKey?.(payload, transport) ?? null;
    } catch {
      // There is no key for the vendor: the call itself will say so.
      return null;
    }
  }

  #keep(key: string, reply: EndpointReply): void {
    try {
      this.#replies.set(key, reply);
    } catch {
      // It holds what cannot be copied.
    }
  }
}
