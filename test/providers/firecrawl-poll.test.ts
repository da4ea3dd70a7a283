import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Endpoint } from '../../src/endpoints/endpoint.ts';
import { IModelError } from '../../src/errors.ts';
import { matchEndpoint } from '../../src/providers/match.ts';
import { startUpstream, type Upstream } from '../../src/testing/upstream.ts';
import { run } from '../endpoints/run.ts';

let upstream: Upstream;
let endpoint: Endpoint;
let states: unknown[];

beforeEach(async () => {
  upstream = await startUpstream((request, reply) => {
    if (request.method === 'POST') reply.json({ success: true, id: 'c1', url: 'u' });
    else if (request.method === 'DELETE') reply.json({ status: 'cancelled' });
    else reply.json(states.length > 1 ? states.shift() : states[0]);
  });
  endpoint = matchEndpoint('firecrawl', 'crawl', { baseUrl: upstream.url, apiKey: 'fc-k', env: {} });
});

afterEach(async () => {
  await endpoint.close();
  await upstream.close();
});

const seen = (): string[] => upstream.requests.map(({ method, path }) => `${method} ${path}`);

describe('a crawl', () => {
  it('is only started unless asked to wait', async () => {
    const { reply } = await run(endpoint, { url: 'u' });
    expect(reply?.response).toMatchObject({ id: 'c1' });
    expect(seen()).toEqual(['POST /v1/crawl']);
  });

  it('brings all pages of all parts when it is waited for', async () => {
    states = [
      { status: 'scraping', data: [] },
      { status: 'completed', total: 3, data: [1, 2], next: `${upstream.url}/v1/crawl/c1?skip=2` },
      { status: 'completed', data: [3] },
    ];
    const { reply } = await run(endpoint, { url: 'u', poll: { intervalMs: 1 } });
    expect(reply?.response).toMatchObject({ status: 'completed', data: [1, 2, 3] });
    expect(seen()).toEqual(['POST /v1/crawl', 'GET /v1/crawl/c1', 'GET /v1/crawl/c1', 'GET /v1/crawl/c1?skip=2']);
    expect(upstream.requests[1]?.headers.authorization).toBe('Bearer fc-k');
    expect(upstream.requests[0]?.json()).not.toHaveProperty('poll');
  });

  it('fails when the vendor gives it up', async () => {
    states = [{ status: 'failed', error: 'robots' }];
    const { error } = await run(endpoint, { url: 'u', poll: { intervalMs: 1 } });
    expect(error?.message).toContain('The crawl failed: robots');
  });

  it('is cancelled at the vendor’s when its time is up', async () => {
    states = [{ status: 'scraping', data: [] }];
    const { error } = await run(endpoint, { url: 'u', poll: { intervalMs: 1, timeoutMs: 30 } });
    expect(error?.failure).toMatchObject({ code: 'timed_out', timeoutMs: 30 });
    expect(seen().at(-1)).toBe('DELETE /v1/crawl/c1');
  });

  it('is cancelled at the vendor’s when the call is aborted', async () => {
    states = [{ status: 'scraping', data: [] }];
    const abort = new AbortController();
    const reason = IModelError.of('cancelled', 'no longer wanted', {});
    const done = run(endpoint, { url: 'u', poll: { intervalMs: 1 } }, { signal: abort.signal });
    await upstream.request(1);
    abort.abort(reason);
    expect((await done).error).toBe(reason);
    expect(seen().at(-1)).toBe('DELETE /v1/crawl/c1');
  });
});
