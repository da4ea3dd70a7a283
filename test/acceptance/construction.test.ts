import { describe, expect, it, vi } from 'vitest';
import { type IModelError, type IModelOptions, iModel, listEndpoints } from '../../src/index.ts';
import { startUpstream } from '../../src/testing/upstream.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { rejection, TimedEndpoint } from './timed-endpoint.ts';

/** What the constructor throws; fails when it does not. */
function refusal(options: IModelOptions): IModelError {
  try {
    new iModel(options);
  } catch (error) {
    return error as IModelError;
  }
  throw new Error('Expected the constructor to throw');
}

const messages = [{ role: 'user', content: 'hello' }];
const local = 'http://127.0.0.1:9';

describe('construction', () => {
  it.each([
    ['1. given model="openai/gpt-4o"', { model: 'openai/gpt-4o' }, 'openai', 'gpt-4o'],
    ['2. given model="openai/gpt-4/turbo"', { model: 'openai/gpt-4/turbo' }, 'openai', 'gpt-4/turbo'],
    ['3. given model="openai/openai/x"', { model: 'openai/openai/x' }, 'openai', 'openai/x'],
    ['4. given model="ai/openai/gpt" and a base_url', { model: 'ai/openai/gpt', baseUrl: local }, 'ai', 'openai/gpt'],
    ['5. given only model="gpt-4o"', { model: 'gpt-4o', env: {} }, 'openai', 'gpt-4o'],
    [
      '5. given only model="gpt-4o" and another default',
      { model: 'gpt-4o', env: { LIONAGI_CHAT_PROVIDER: 'openrouter' } },
      'openrouter',
      'gpt-4o',
    ],
    [
      '6. given provider="openrouter", model="anthropic/claude-3"',
      { provider: 'openrouter', model: 'anthropic/claude-3' },
      'openrouter',
      'anthropic/claude-3',
    ],
  ] as const)('%s, then provider and model_name are right', (_name, options, provider, modelName) => {
    const model = new iModel(options);
    expect([model.endpoint.config.provider, model.modelName, model.isCli]).toEqual([provider, modelName, false]);
  });

  it.each([
    ['neither model nor provider', {}],
    ['a model without a provider before the slash', { model: '/x' }],
    ['an empty model', { model: '' }],
  ])('7. given %s, then a config error', (_name, options) => {
    expect(refusal(options).failure).toMatchObject({ code: 'config', field: 'provider' });
  });

  it('8. given provider="OpenAI", then the openai chat endpoint with its base URL', () => {
    for (const provider of ['OpenAI', ' OpenAI ']) {
      expect(new iModel({ provider, model: 'gpt-4o' }).endpoint.config).toMatchObject({
        provider: 'openai',
        baseUrl: 'https://api.openai.com/v1',
        endpoint: 'chat/completions',
      });
    }
  });

  it('9. given provider="claude", then config.provider is claude_code and is_cli is true', () => {
    const model = new iModel({ provider: 'claude' });
    expect([model.endpoint.config.provider, model.isCli]).toEqual(['claude_code', true]);
    expect(new iModel({ model: 'claude/sonnet' })).toMatchObject({ isCli: true, modelName: 'sonnet' });
  });

  it('10. given provider="openai", endpoint="nope", then a config error listing endpoints', () => {
    const error = refusal({ provider: 'openai', endpoint: 'nope' });
    expect(error.failure).toMatchObject({ code: 'config', field: 'endpoint' });
    expect(error.message).toContain('nope');
    const names = listEndpoints({ provider: 'openai', env: {} }).map(({ endpoint }) => endpoint);
    expect(names).toContain('chat/completions');
    for (const name of names) expect(error.message).toContain(name);
  });

  it('11. given a CLI provider and no limits, then queue capacity 10, concurrency 3; API: 100 and none', () => {
    for (const provider of ['claude_code', 'codex', 'gemini_code', 'pi']) {
      const cli = new iModel({ provider }).state;
      expect([cli.queue.capacity, cli.concurrency_limit]).toEqual([10, 3]);
    }
    const ag2 = new iModel({ provider: 'ag2' }).state;
    expect([ag2.queue.capacity, ag2.concurrency_limit]).toEqual([3, 1]);
    const api = new iModel({ model: 'openai/gpt-4o' }).state;
    expect([api.queue.capacity, api.concurrency_limit]).toEqual([100, null]);
    expect(api.budget).toMatchObject({ window_ms: 60_000, requests: { limit: null }, tokens: { limit: null } });
    const given = new iModel({ provider: 'claude_code', queueCapacity: 5, concurrencyLimit: 1 }).state;
    expect([given.queue.capacity, given.concurrency_limit]).toEqual([5, 1]);
  });

  it.each(['limitRequests', 'limitTokens', 'queueCapacity', 'concurrencyLimit'] as const)(
    '12. given %s of 0, -1, 1.5, NaN or text, then a config error from the constructor',
    (field) => {
      for (const value of [0, -1, 1.5, Number.NaN, '5']) {
        const error = refusal({ model: 'openai/gpt-4o', [field]: value });
        expect(error.failure).toMatchObject({ code: 'config', field });
        expect(error.message).toContain(String(value));
      }
      expect(() => new iModel({ model: 'openai/gpt-4o', [field]: null })).not.toThrow();
    },
  );

  it.each(['interval', 'capacityRefreshTime'])('12. given %s of 0, -1 or Infinity, then a config error', (field) => {
    for (const value of [0, -1, Number.POSITIVE_INFINITY]) {
      expect(refusal({ model: 'openai/gpt-4o', [field]: value }).failure).toMatchObject({ code: 'config', field });
    }
  });

  it('13. given a UUID string id, then id equals it; given one with a dot, a config error', () => {
    const id = '6f1c2f0e-3a6b-4a55-9d0f-0c1f0a5f9b11';
    expect(new iModel({ model: 'openai/gpt-4o', id }).id).toBe(id);
    expect(new iModel({ model: 'openai/gpt-4o' }).id).toMatch(/^[0-9a-f-]{36}$/);
    // The reference takes nothing but UUIDs; here an id is a token of the bus, so that people can give names.
    expect(new iModel({ model: 'openai/gpt-4o', id: 'nope' }).id).toBe('nope');
    const error = refusal({ model: 'openai/gpt-4o', id: 'no.pe' });
    expect(error.failure).toMatchObject({ code: 'config', field: 'id' });
    expect(error.message).toContain('no.pe');
  });

  it('14. given integer created_at, then accepted; given text, a config error', () => {
    expect(new iModel({ model: 'openai/gpt-4o', createdAt: 1_700_000_000 }).createdAt).toBe(1_700_000_000);
    const clock = new VirtualClock(5_000);
    expect(new iModel({ model: 'openai/gpt-4o', clock }).createdAt).toBe(5);
    for (const createdAt of ['now', Number.NaN]) {
      const options = { model: 'openai/gpt-4o', createdAt } as IModelOptions;
      expect(refusal(options).failure).toMatchObject({ code: 'config', field: 'createdAt' });
    }
  });

  it('15. given an unknown provider, base_url and api_key against the loopback server, when invoked, then one POST to <base>/chat/completions with a bearer header, and completed', async () => {
    await using upstream = await startUpstream((_request, reply) =>
      reply.json({ choices: [{ message: { role: 'assistant', content: 'hi' }, finish_reason: 'stop' }] }),
    );
    await using model = new iModel({
      provider: 'my-host',
      baseUrl: `${upstream.url}/base/v1/`,
      apiKey: 'sk-explicit-key',
      model: 'm',
      temperature: 0.5,
    });
    const call = await model.invoke({ messages, custom: { kept: true } });
    expect(call).toMatchObject({ status: 'completed', text: 'hi', finishReason: 'stop' });
    expect(upstream.requests).toHaveLength(1);
    const [request] = upstream.requests;
    expect(request).toMatchObject({ method: 'POST', path: '/base/v1/chat/completions' });
    expect(request?.headers).toMatchObject({
      authorization: 'Bearer sk-explicit-key',
      'content-type': 'application/json',
    });
    expect(request?.json()).toEqual({ model: 'm', temperature: 0.5, messages, custom: { kept: true } });
  });

  it('16. given no key anywhere, when invoked, then MissingApiKey naming the variable, zero requests', async () => {
    await using upstream = await startUpstream();
    await using model = new iModel({ provider: 'openai', model: 'gpt-4o', baseUrl: upstream.url, env: {} });
    const error = await rejection(model.invoke({ messages }));
    expect(error.failure).toMatchObject({ code: 'missing_api_key', variable: 'OPENAI_API_KEY', retryable: false });
    expect(error.message).toContain('OPENAI_API_KEY');
    expect(error.call).toMatchObject({ status: 'failed' });
    await expect(model.stream({ messages }).next()).rejects.toMatchObject({ code: 'missing_api_key' });
    expect(upstream.accepted).toBe(0);
  });

  it('17. given the variable set after construction, when invoked, then it is used', async () => {
    await using upstream = await startUpstream((_request, reply) => reply.json({ choices: [] }));
    const env: Record<string, string | undefined> = {};
    await using model = new iModel({ provider: 'openai', model: 'gpt-4o', baseUrl: upstream.url, env });
    env.OPENAI_API_KEY = 'sk-later';
    expect(await model.invoke({ messages })).toMatchObject({ status: 'completed' });
    env.OPENAI_API_KEY = 'sk-rotated';
    await model.invoke({ messages });
    expect(upstream.requests.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer sk-later',
      'Bearer sk-rotated',
    ]);
  });

  it('17. given the variable of the process set after construction, when invoked, then it is used', async () => {
    await using upstream = await startUpstream((_request, reply) => reply.json({ choices: [] }));
    await using model = new iModel({ provider: 'host-of-case-17', model: 'm', baseUrl: upstream.url });
    vi.stubEnv('HOST_OF_CASE_17_API_KEY', 'sk-of-the-process');
    try {
      expect(await model.invoke({ messages })).toMatchObject({ status: 'completed' });
    } finally {
      vi.unstubAllEnvs();
    }
    expect(upstream.requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer sk-of-the-process']);
  });

  it('18. given GOOGLE_API_KEY or GEMINI_API_KEY, then gemini authenticates; the first wins', async () => {
    await using upstream = await startUpstream((_request, reply) => reply.json({ choices: [], candidates: [] }));
    const sent = async (env: Record<string, string>): Promise<string> => {
      await using model = new iModel({ provider: 'gemini', model: 'gemini-2.5-flash', baseUrl: upstream.url, env });
      await model.invoke({ messages });
      return JSON.stringify(upstream.requests.at(-1)?.headers);
    };
    expect(await sent({ GEMINI_API_KEY: 'key-of-gemini' })).toContain('key-of-gemini');
    expect(await sent({ GOOGLE_API_KEY: 'key-of-google' })).toContain('key-of-google');
    const both = await sent({ GEMINI_API_KEY: 'key-of-gemini', GOOGLE_API_KEY: 'key-of-google' });
    expect(both).toContain('key-of-google');
    expect(both).not.toContain('key-of-gemini');
  });

  it.each([
    ['temperature', { temperature: 0.5 }],
    ['model', { model: 'm' }],
    ['apiKey', { apiKey: 'sk-of-case-19' }],
    ['baseUrl', { baseUrl: local }],
    ['provider', { provider: 'openai' }],
  ])('19. given an Endpoint instance plus %s, then a config error; the instance is unchanged', (field, options) => {
    const endpoint = new TimedEndpoint(new VirtualClock());
    const before = structuredClone(endpoint.config);
    const error = refusal({ endpoint, ...options });
    expect(error.failure).toMatchObject({ code: 'config', field });
    expect(error.message).not.toContain('sk-of-case-19');
    expect(endpoint.config).toEqual(before);
    expect(new iModel({ endpoint, limitRequests: 1 }).endpoint).toBe(endpoint);
  });

  it('15. given every option, then nothing is connected before the first call', async () => {
    await using upstream = await startUpstream();
    const providerMetadata = { team: { name: 'a' } };
    const model = new iModel({
      provider: 'my-host',
      baseUrl: upstream.url,
      model: 'm',
      limitRequests: 1,
      limitTokens: 10,
      queueCapacity: 2,
      concurrencyLimit: 1,
      providerMetadata,
    });
    expect(model.status).toBe('idle');
    expect(model.providerMetadata).toEqual(providerMetadata);
    expect(model.providerMetadata.team).not.toBe(providerMetadata.team);
    await model.close();
    expect(upstream.accepted).toBe(0);
  });

  it('4. given an unknown provider without a base_url, then a config error naming the known providers', () => {
    const error = refusal({ model: 'opanai/gpt-4o' });
    expect(error.failure).toMatchObject({ code: 'config', field: 'provider' });
    expect(error.message).toMatch(/opanai.*did you mean openai.*anthropic/s);
  });
});
