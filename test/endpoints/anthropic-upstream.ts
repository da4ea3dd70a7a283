import { afterEach, beforeEach } from 'vitest';
import type { Endpoint } from '../../src/endpoints/endpoint.ts';
import { matchEndpoint } from '../../src/providers/match.ts';
import { startUpstream, type Upstream } from '../../src/testing/upstream.ts';

/** The vendor's stand-in of the test that runs: a file that imports this gets a new one for each of its tests. */
export let upstream: Upstream;

/** An endpoint of Anthropic's messages that speaks with the {@link upstream}. */
export let endpoint: Endpoint;

beforeEach(async () => {
  upstream = await startUpstream();
  endpoint = matchEndpoint('anthropic', 'chat', {
    baseUrl: `${upstream.url}/v1`,
    apiKey: 'sk-ant-0123456789',
    env: {},
    kwargs: { model: 'claude-sonnet-4-5' },
  });
});

afterEach(async () => {
  await endpoint.close();
  await upstream.close();
});

/** What is asked where it does not matter what. */
export const messages = [{ role: 'user', content: 'hi' }];
