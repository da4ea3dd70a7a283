import { z } from 'zod';
import type { Clock } from '../../../actors/clock.ts';
import type { ModelOptions } from '../../../schemas/imodel.ts';
import type { Endpoint, EndpointReply, Fields } from '../../endpoints/endpoint.ts';
import { withoutField } from '../../endpoints/fields.ts';
import { ResponseCache } from '../../endpoints/response-cache.ts';
import type { ApiCalling } from './api-calling.ts';

/** How a request says for itself whether an earlier answer will do. Endpoints that have a field of this name keep it for their vendor. */
const requestField = 'cache_control';

/** Decides which calls of an iModel may be answered by earlier answers, and keeps those. @internal */
export class Caching {
  readonly #endpoint: Endpoint;
  readonly #options: ModelOptions['cache'];
  readonly #clock: Clock;
  #cache: ResponseCache | null = null;

  constructor(endpoint: Endpoint, options: ModelOptions['cache'], clock: Clock) {
    this.#endpoint = endpoint;
    this.#options = options;
    this.#clock = clock;
  }

  /** Where the answers are; made when the first call wants one. */
  get cache(): ResponseCache {
    const { ttl, maxBytes } = this.#options ?? {};
    this.#cache ??= new ResponseCache(this.#endpoint, {
      now: () => this.#clock.now(),
      ...(ttl === undefined ? {} : { ttlMs: ttl * 1_000 }),
      ...(maxBytes === undefined ? {} : { maxBytes }),
    });
    return this.#cache;
  }

  /** Takes from a request what it says of the cache. */
  take(request: Fields): { readonly request: Fields; readonly isCached: boolean } {
    const byDefault = this.#options !== undefined && this.#options !== null;
    const said = request[requestField];
    if (typeof said !== 'boolean' || this.#isTheVendors()) return { request, isCached: byDefault };
    return { request: withoutField(request, requestField), isCached: said };
  }

  /**
   * The earlier answer that a call can have at once, without its turn; null when there is none. One with hooks waits for its turn nevertheless,
   * for they are to be asked first.
   */
  kept(call: ApiCalling): EndpointReply | null {
    const mayBe = call.isCached && call.sink === null && call.hooks === null && call.outlet === null;
    return mayBe ? this.cache.find(call) : null;
  }

  #isTheVendors(): boolean {
    const { cacheKey, requestOptions } = this.#endpoint;
    return cacheKey === undefined || (requestOptions instanceof z.ZodObject && requestField in requestOptions.shape);
  }
}
