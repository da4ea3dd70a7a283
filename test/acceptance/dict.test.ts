import { describe, expect, it } from 'vitest';
import { type FromDictOptions, HookRegistry, IModelError, iModel, type ModelDict } from '../../src/index.ts';
import { startUpstream } from '../../src/testing/upstream.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import reference from '../fixtures/reference/lionagi-0.36.0.json' with { type: 'json' };
import { rejection, timedModel } from './timed-endpoint.ts';

const messages = [{ role: 'user', content: 'hello' }];
const loaded = (data: unknown, given: FromDictOptions = {}) => iModel.fromDict(JSON.parse(JSON.stringify(data)), given);

describe('copy', () => {
  it('94: has a new id, the same configuration and no session, unless it is shared', () => {
    const model = new iModel({
      provider: 'scripted',
      text: 'hi',
      limitRequests: 3,
      providerMetadata: { session_id: 's', team: 'a' },
    });
    const copy = model.copy();
    expect(copy.id).not.toBe(model.id);
    const { id: _id, created_at: _at, provider_metadata: metadata, ...rest } = copy.toDict();
    expect(model.toDict()).toMatchObject(rest);
    expect([metadata, copy.providerSessionId]).toEqual([{ team: 'a' }, null]);
    expect(model.copy({ shareSession: true }).providerSessionId).toBe('s');
    expect(copy.endpoint).not.toBe(model.endpoint);
  });

  it('94: an agent shares its session only when told', () => {
    const model = new iModel({ provider: 'claude_code', repo: '/' });
    model.endpoint.sessionId = 's';
    expect([model.copy().providerSessionId, model.copy({ shareSession: true }).providerSessionId]).toEqual([null, 's']);
  });

  it('94: a subclass stays one, and the key and the hooks come along', async () => {
    class Own extends iModel {}
    await using upstream = await startUpstream((_request, reply) =>
      reply.json({ choices: [{ message: { content: 'hi' } }] }),
    );
    const hooks = new HookRegistry();
    await using model = new Own({
      provider: 'mine',
      model: 'm',
      baseUrl: upstream.url,
      apiKey: 'secret-key-1',
      hookRegistry: hooks,
    });
    await using copy = model.copy();
    expect(copy).toBeInstanceOf(Own);
    expect(copy.hookRegistry).toBe(hooks);
    expect((await copy.invoke({ messages })).text).toBe('hi');
    expect(upstream.requests[0]?.headers.authorization).toBe('Bearer secret-key-1');
  });

  it('95: metadata, breaker and limits of a copy are its own', async () => {
    const clock = new VirtualClock();
    const model = new iModel({
      provider: 'scripted',
      clock,
      limitRequests: 1,
      breaker: { failureThreshold: 1 },
      retry: null,
      providerMetadata: { deep: { list: [1] } },
    });
    const copy = model.copy();
    (copy.providerMetadata.deep as { list: number[] }).list.push(2);
    expect(model.providerMetadata).toEqual({ deep: { list: [1] } });
    await copy.invoke({ messages, failures: ['unavailable'] });
    expect(copy.state.regions).toMatchObject({ breaker: 'tripped' });
    expect(copy.state.budget.requests.remaining).toBe(0);
    expect(model.state.regions).toMatchObject({ breaker: 'closed' });
    expect((await model.invoke({ messages })).status).toBe('completed');
  });

  it('needs another endpoint where the first is its owner’s own', () => {
    const { model } = timedModel({ limitRequests: 2 });
    expect(() => model.copy()).toThrow(
      expect.objectContaining({ code: 'config', failure: expect.objectContaining({ field: 'endpoint' }) }),
    );
    expect(model.copy({ endpoint: timedModel().endpoint }).state.budget.requests.limit).toBe(2);
  });
});

describe('toDict and fromDict', () => {
  const options = {
    model: 'openai/gpt-4o-mini',
    temperature: 0.5,
    id: '7f1c9b0e-6d6c-4b0c-8f0a-2f4f9a6a1b11',
    createdAt: 1_700_000_000,
    providerMetadata: { team: { name: 'a' } },
    queueCapacity: 7,
    interval: 2,
    limitRequests: 3,
    limitTokens: 4_000,
    concurrencyLimit: 2,
    exitHook: true,
  };

  it('96: id, time, metadata, limits, model and options survive', () => {
    const restored = loaded(new iModel(options).toDict());
    expect(restored).toMatchObject({
      id: options.id,
      createdAt: 1_700_000_000,
      modelName: 'gpt-4o-mini',
      exitHook: true,
    });
    expect(restored.providerMetadata).toEqual({ team: { name: 'a' } });
    expect(restored.createApiCalling({ messages }).payload).toMatchObject({ model: 'gpt-4o-mini', temperature: 0.5 });
    expect(restored.toDict().processor_config).toEqual({
      queue_capacity: 7,
      capacity_refresh_time: 60,
      interval: 2,
      limit_requests: 3,
      limit_tokens: 4_000,
      concurrency_limit: 2,
    });
  });

  it('has the keys of the reference', () => {
    const dict = new iModel(options).toDict();
    expect(Object.keys(dict)).toEqual([
      'schema_version',
      'id',
      'created_at',
      'provider_metadata',
      'endpoint',
      'processor_config',
      'exit_hook',
    ]);
    expect(dict.endpoint).toEqual({
      retry_config: null,
      circuit_breaker: null,
      config: {
        name: 'openai_chat/completions',
        provider: 'openai',
        base_url: 'https://api.openai.com/v1',
        endpoint: 'chat/completions',
        method: 'POST',
        params: {},
        content_type: 'application/json',
        auth_type: 'bearer',
        default_headers: {},
        timeout: 600,
        max_retries: 3,
        openai_compatible: false,
        requires_tokens: true,
        kwargs: { model: 'gpt-4o-mini', temperature: 0.5 },
        client_kwargs: {},
        allow_local_network: false,
      },
    });
    const model = new iModel(options);
    expect(model.toDict({ includeRequestOptions: true }).endpoint.config.request_options).toMatchObject({
      type: 'object',
    });
    expect(model.toDict({ includeProcessorConfig: false })).not.toHaveProperty('processor_config');
  });

  const everything: Record<string, unknown>[] = [
    {
      ...options,
      retry: { maxRetries: 5, jitter: false, excludeCodes: ['timed_out'] },
      breaker: { failureThreshold: 2 },
    },
    { ...options, retry: null, breaker: {}, onFull: 'reject', windowMargin: 0.5, fallbackOn: ['filtered'] },
    {
      model: 'anthropic/claude-opus-4-7',
      headers: { 'x-api-key': 'abcdefgh', 'x-team': 'a' },
      idleTimeout: 3,
      timeout: 9,
    },
    { provider: 'ollama', model: 'llama3', baseUrl: 'http://127.0.0.1:11434' },
    { provider: 'mine', model: 'm', baseUrl: 'http://localhost:9/v1', passthrough: true, contextWindow: 10 },
    {
      model: 'openai/o3',
      fitToModel: false,
      extra_body: { new_field: { kept: 1 } },
      cache: { ttl: 5, maxBytes: 1_000 },
      prices: { o3: { inputUsdPerMillion: 2, outputUsdPerMillion: 8, cachedInputUsdPerMillion: 0.5 } },
    },
    { provider: 'claude_code', model: 'sonnet', repo: '/tmp' },
    { provider: 'firecrawl', endpoint: 'scrape' },
    { provider: 'groq', model: 'whisper-large-v3', endpoint: 'whisper' },
    { provider: 'scripted', text: () => 'a function', chunks: 3 },
  ];

  it.each(everything)('97: what is loaded is written as before: %j', (own) => {
    const dict = new iModel(own).toDict();
    expect(loaded(dict).toDict()).toEqual(dict);
    expect(JSON.parse(JSON.stringify(dict))).toEqual(dict);
  });

  it('97: retries and breaker are kept in the keys of the reference', () => {
    const { retry_config: retry, circuit_breaker: breaker } = new iModel(everything[0] ?? {}).toDict().endpoint;
    expect(retry).toEqual({
      max_retries: 5,
      base_delay: 1,
      max_delay: 60,
      backoff_factor: 2,
      jitter: false,
      jitter_factor: 1,
    });
    expect(breaker).toEqual({ failure_threshold: 2, recovery_time: 30, half_open_max_calls: 1, name: 'default' });
  });

  it('98: an unknown request field is refused or passed as before', () => {
    for (const own of [options, { ...options, passthrough: true }]) {
      const models = [new iModel(own), loaded(new iModel(own).toDict())];
      const [before, after] = models.map((model) => {
        try {
          return model.createApiCalling({ messages, no_such_field: 1 }).payload;
        } catch (error) {
          return IModelError.is(error) ? error.failure : error;
        }
      });
      expect(after).toEqual(before);
    }
  });

  it('99: an explicit key is in no dict, error, event or message', async () => {
    const key = 'sk-very-secret-0123456789';
    await using upstream = await startUpstream((_request, reply) =>
      reply.json({ error: { message: `bad key ${key}` } }, 401),
    );
    const headers = { authorization: `Bearer ${key}`, Cookie: 'a=b', 'x-trace': `k ${key}` };
    await using model = new iModel({
      provider: 'mine',
      model: 'm',
      baseUrl: upstream.url,
      apiKey: key,
      headers,
      user: key,
    });
    const written: unknown[] = [model.toDict({ includeRequestOptions: true })];
    model.observe((event) => written.push(event));
    const call = await model.invoke({ messages });
    const { payload: _payload, ...dict } = call.toDict();
    written.push(dict, call.toWire(), call.failure, String(call.error), model.state);
    expect(JSON.stringify(written)).not.toContain(key);
    const { default_headers: kept } = (written[0] as ModelDict).endpoint.config;
    expect(kept).toEqual({ authorization: '(redacted)', Cookie: '(redacted)', 'x-trace': 'k (redacted)' });
  });

  it('99: a header that was withheld is not sent by the one that is loaded', async () => {
    await using upstream = await startUpstream((_request, reply) =>
      reply.json({ choices: [{ message: { content: 'hi' } }] }),
    );
    const model = new iModel({
      provider: 'mine',
      model: 'm',
      baseUrl: upstream.url,
      headers: { 'x-auth-token': 'abc', 'x-team': 'a' },
    });
    await using restored = loaded(model.toDict(), { env: { MINE_API_KEY: 'from-the-environment' } });
    await restored.invoke({ messages });
    const sent = upstream.requests[0]?.headers;
    expect([sent?.['x-auth-token'], sent?.['x-team'], sent?.authorization]).toEqual([
      undefined,
      'a',
      'Bearer from-the-environment',
    ]);
  });

  it('99: a key is looked up when the loaded model calls, and its absence is a missing key', async () => {
    await using model = loaded(new iModel({ ...options, apiKey: 'sk-explicit' }).toDict(), { env: {} });
    const error = await rejection(model.invoke({ messages }));
    expect(error.failure).toMatchObject({ code: 'missing_api_key', variable: 'OPENAI_API_KEY' });
  });

  it('100: a dict that is edited changes nothing', () => {
    const model = new iModel({ ...options, stop: ['a'] });
    const before = JSON.stringify(model.toDict());
    const dict = model.toDict();
    (dict.provider_metadata as { team: { name: string } }).team.name = 'b';
    (dict.endpoint.config.kwargs as { stop: string[] }).stop.push('b');
    if (dict.processor_config) dict.processor_config.limit_requests = 99;
    expect(JSON.stringify(model.toDict())).toBe(before);
  });

  it('a session is written only when asked for', () => {
    const model = new iModel({ provider: 'claude_code', repo: '/' });
    model.endpoint.sessionId = 's1';
    expect(JSON.stringify(model.toDict())).not.toContain('s1');
    expect(loaded(model.toDict({ includeSession: true })).providerSessionId).toBe('s1');
  });

  it('reads what the reference writes: whole seconds, aliases, no keys of ours', () => {
    const model = loaded({
      id: options.id,
      created_at: 1_700_000_000,
      provider_metadata: {},
      endpoint: {
        retry_config: {
          max_retries: 2,
          base_delay: 1.0,
          max_delay: 60.0,
          backoff_factor: 2.0,
          jitter: true,
          jitter_factor: 0.2,
        },
        circuit_breaker: null,
        config: {
          name: 'openai_chat',
          provider: 'openai',
          base_url: 'https://api.openai.com/v1',
          endpoint: 'chat/completions',
          method: 'POST',
          content_type: 'application/json',
          auth_type: 'bearer',
          timeout: 600,
          temperature: 0.3,
          kwargs: { model: 'gpt-4o' },
        },
      },
      processor_config: {
        queue_capacity: 100,
        capacity_refresh_time: 60,
        interval: null,
        limit_requests: null,
        limit_tokens: null,
        concurrency_limit: null,
      },
    });
    expect(model.toDict().endpoint.retry_config).toMatchObject({ max_retries: 2, jitter_factor: 0.2 });
    expect(model.endpoint.config.kwargs).toEqual({ model: 'gpt-4o', temperature: 0.3 });
  });

  it.each(Object.keys(reference))(
    'reads the dict of the reference’s %s, as its version 0.36 writes it',
    async (name) => {
      const theirs = reference[name as keyof typeof reference] as ModelDict;
      const dict = iModel.fromDict(theirs).toDict();
      expect(dict).toMatchObject({ id: theirs.id, created_at: theirs.created_at, provider_metadata: {} });
      expect(dict.processor_config).toMatchObject(
        Object.fromEntries(Object.entries(theirs.processor_config ?? {}).filter(([, value]) => value !== null)),
      );
      const { retry_config: retry, circuit_breaker: breaker, config } = theirs.endpoint;
      if (retry != null) expect(dict.endpoint.retry_config).toEqual(retry);
      if (breaker != null)
        expect(dict.endpoint.circuit_breaker).toMatchObject({ failure_threshold: 4, recovery_time: 30 });
      const { provider, timeout, kwargs, default_headers, base_url, auth_type } = config;
      // The place of a program that runs here is written as a placeholder there, and not at all by us.
      const place = base_url === 'internal' ? {} : { base_url, auth_type };
      expect(dict.endpoint.config).toMatchObject({ provider, timeout, kwargs, default_headers, ...place });
    },
  );
});

it.each([false, true])('101: leaving the scope closes the model, by an error: %s', async (throws) => {
  let model: iModel | undefined;
  const use = async (): Promise<void> => {
    await using scoped = new iModel({ provider: 'scripted' });
    model = scoped;
    if (throws) throw new Error('out');
  };
  await use().catch(() => {});
  expect(model?.status).toBe('closed');
});
