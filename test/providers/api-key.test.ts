import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EndpointOptions } from '../../src/providers/endpoint-options.ts';
import { matchEndpoint } from '../../src/providers/match.ts';
import { startUpstream, type Upstream } from '../../src/testing/upstream.ts';
import { run } from '../endpoints/run.ts';

let upstream: Upstream;

beforeEach(async () => {
  upstream = await startUpstream((_request, reply) => reply.json({ choices: [{ message: { content: 'x' } }] }));
});

afterEach(() => upstream.close());

async function call(provider: string, options: EndpointOptions) {
  const endpoint = matchEndpoint(provider, 'chat', {
    baseUrl: `${upstream.url}/v1`,
    kwargs: { model: 'm' },
    ...options,
  });
  try {
    return await run(endpoint, { messages: [{ role: 'user', content: 'hi' }] });
  } finally {
    await endpoint.close();
  }
}

const sentKey = (): string | undefined => upstream.requests.at(-1)?.headers.authorization;

describe('the key of a call', () => {
  it('is the explicit one', async () => {
    await call('openai', { apiKey: 'sk-mine', env: { OPENAI_API_KEY: 'sk-env' } });
    expect(sentKey()).toBe('Bearer sk-mine');
  });

  it('is the variable’s value when the explicit one names a variable', async () => {
    await call('openai', { apiKey: 'MY_OWN', env: { MY_OWN: 'sk-named' } });
    expect(sentKey()).toBe('Bearer sk-named');
  });

  it('is the provider’s variable otherwise', async () => {
    await call('openai', { env: { OPENAI_API_KEY: 'sk-env' } });
    expect(sentKey()).toBe('Bearer sk-env');
  });

  it('may be set after construction', async () => {
    const env: Record<string, string> = {};
    const endpoint = matchEndpoint('openai', 'chat', { baseUrl: `${upstream.url}/v1`, env, kwargs: { model: 'm' } });
    const request = { messages: [] };
    expect((await run(endpoint, request)).error?.code).toBe('missing_api_key');
    env.OPENAI_API_KEY = 'sk-late';
    await run(endpoint, request);
    expect(sentKey()).toBe('Bearer sk-late');
    expect(upstream.requests).toHaveLength(1);
    await endpoint.close();
  });

  it.each([
    ['openai', { env: {} }, 'OPENAI_API_KEY'],
    ['openai', { env: { OPENAI_API_KEY: '' } }, 'OPENAI_API_KEY'],
    ['openai', { apiKey: 'SOME_API_KEY', env: {} }, 'SOME_API_KEY'],
  ])('is missed by the name of its variable, and nothing is sent (%s %j)', async (provider, options, variable) => {
    const { error } = await call(provider, options);
    expect(error?.failure).toMatchObject({ code: 'missing_api_key', variable, retryable: false });
    expect(error?.message).toContain(variable);
    expect(upstream.accepted).toBe(0);
  });

  it('of an unknown host comes from its own variable, and is not needed on this machine', async () => {
    await call('my-host', { env: { MY_HOST_API_KEY: 'k-1' } });
    expect(sentKey()).toBe('Bearer k-1');
    await call('my-host', { env: {} });
    expect(sentKey()).toBe(undefined);
  });

  it('of an unknown host elsewhere is missed with both ways out', async () => {
    const { error } = await call('my-host', { env: {}, baseUrl: 'https://llm.example.com/v1' });
    expect(error?.message).toMatch(/MY_HOST_API_KEY.*`apiKey`.*authType: 'none'/);
  });

  it('is not sent to an Ollama on this machine', async () => {
    await call('ollama', { env: { OLLAMA_API_KEY: 'k' }, apiKey: 'k2' });
    expect(sentKey()).toBe(undefined);
  });
});
