import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Endpoint } from '../../src/endpoints/endpoint.ts';
import { CachedEndpoint, ResponseCache } from '../../src/endpoints/response-cache.ts';
import { matchEndpoint } from '../../src/providers/match.ts';
import { startUpstream, type Upstream } from '../../src/testing/upstream.ts';
import { run } from './run.ts';

let upstream: Upstream;
const made: Endpoint[] = [];
let now = 0;

beforeEach(async () => {
  now = 0;
  upstream = await startUpstream((request, reply) =>
    reply.json({
      choices: [{ message: { content: `${upstream.requests.length} ${request.path}` }, finish_reason: 'stop' }],
    }),
  );
});

afterEach(async () => {
  await Promise.all(made.splice(0).map((endpoint) => endpoint.close()));
  await upstream.close();
});

function cached(cache: ResponseCache, apiKey = 'k-1', path = '/v1'): CachedEndpoint {
  const endpoint = new CachedEndpoint(
    matchEndpoint('openai', 'chat', { baseUrl: upstream.url + path, apiKey, env: {}, kwargs: { model: 'm' } }),
    cache,
  );
  made.push(endpoint);
  return endpoint;
}

const cacheOf = (options: { maxBytes?: number } = {}) =>
  new ResponseCache({ ttlMs: 1_000, now: () => now, ...options });
const ask = (content: string) => ({ messages: [{ role: 'user', content }] });

describe('CachedEndpoint', () => {
  it('answers the same payload once from the vendor, then from the cache, without calling sent', async () => {
    const endpoint = cached(cacheOf());
    const first = await run(endpoint, ask('a'));
    const second = await run(endpoint, ask('a'));
    expect(second.reply).toEqual(first.reply);
    expect(second.events).toEqual([]);
    expect(upstream.requests).toHaveLength(1);
  });

  it('keeps payloads, keys and URLs apart', async () => {
    const cache = cacheOf();
    await run(cached(cache), ask('a'));
    await run(cached(cache), ask('b'));
    await run(cached(cache, 'k-2'), ask('a'));
    await run(cached(cache, 'k-1', '/v2'), ask('a'));
    expect(upstream.requests).toHaveLength(4);
    expect(cache.size).toBe(4);
  });

  it('forgets after its time', async () => {
    const endpoint = cached(cacheOf());
    await run(endpoint, ask('a'));
    now = 999;
    await run(endpoint, ask('a'));
    expect(upstream.requests).toHaveLength(1);
    now = 1_000;
    await run(endpoint, ask('a'));
    expect(upstream.requests).toHaveLength(2);
  });

  it('keeps no failures and no streams', async () => {
    const cache = cacheOf();
    const endpoint = cached(cache);
    upstream.handle((_request, reply) => reply.json({ error: { message: 'x' } }, 500));
    expect((await run(endpoint, ask('a'))).error?.code).toBe('unavailable');
    upstream.handle((_request, reply) =>
      reply.json({ choices: [{ message: { content: 'x' }, finish_reason: 'stop' }] }),
    );
    await run(endpoint, ask('a'), { stream: true });
    await run(endpoint, ask('a'), { stream: true });
    expect(upstream.requests).toHaveLength(3);
    expect(cache.size).toBe(0);
  });

  it('drops what was unused longest when it is full, and never holds more than it may', async () => {
    const big = cacheOf();
    await run(cached(big), ask('a'));
    const cache = cacheOf({ maxBytes: big.sizeBytes * 2 + 20 });
    const endpoint = cached(cache);
    await run(endpoint, ask('a'));
    await run(endpoint, ask('b'));
    await run(endpoint, ask('a'));
    await run(endpoint, ask('c'));
    expect(cache.size).toBe(2);
    const before = upstream.requests.length;
    await run(endpoint, ask('a'));
    expect(upstream.requests.length).toBe(before);
    await run(endpoint, ask('b'));
    expect(upstream.requests.length).toBe(before + 1);
    cache.clear();
    expect([cache.size, cache.sizeBytes]).toEqual([0, 0]);
  });

  it('hands out copies', async () => {
    const endpoint = cached(cacheOf());
    await run(endpoint, ask('a'));
    const first = await run(endpoint, ask('a'));
    Object.assign(first.reply?.response as object, { choices: 'changed' });
    expect((await run(endpoint, ask('a'))).reply?.response).not.toMatchObject({ choices: 'changed' });
  });
});
