import { afterEach, beforeEach } from 'vitest';
import type { Endpoint, Fields } from '../../src/endpoints/endpoint.ts';
import type { EndpointOptions } from '../../src/providers/endpoint-options.ts';
import { matchEndpoint } from '../../src/providers/match.ts';
import { startUpstream, type Upstream } from '../../src/testing/upstream.ts';

/** The vendor's stand-in of the test that runs: a file that imports this gets a new one for each of its tests. */
export let upstream: Upstream;
const endpoints: Endpoint[] = [];

beforeEach(async () => {
  upstream = await startUpstream();
});

afterEach(async () => {
  await Promise.all(endpoints.splice(0).map((endpoint) => endpoint.close()));
  await upstream.close();
});

/** An endpoint of OpenAI's chat that speaks with the {@link upstream}. */
export function chat(kwargs: Fields = {}, options: EndpointOptions = {}): Endpoint {
  const made = matchEndpoint('openai', 'chat', {
    baseUrl: `${upstream.url}/v1`,
    apiKey: 'sk-test-0123456789',
    env: {},
    kwargs: { model: 'gpt-4o-mini', ...kwargs },
    ...options,
  });
  endpoints.push(made);
  return made;
}

/** What is asked where it does not matter what. */
export const messages = [{ role: 'user', content: 'hi' }];

/** An event of a stream. */
export const piece = (delta: Fields, finish: string | null = null, more: Fields = {}) => ({
  id: 'c1',
  object: 'chat.completion.chunk',
  created: 7,
  model: 'm',
  choices: [{ index: 0, delta, finish_reason: finish }],
  ...more,
});
