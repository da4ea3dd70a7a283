import { describe, expect, it } from 'vitest';
import { connect, createMemoryBus, iModel, matchEndpoint, onHook } from '../../src/index.ts';
import { startUpstream } from '../../src/testing/upstream.ts';
import { refusal } from './refusal.ts';
import { timedModel } from './timed-endpoint.ts';

const openai = { model: 'openai/gpt-4o', apiKey: 'sk-of-nobody', baseUrl: 'http://127.0.0.1:9' };

// The types refuse most of what follows; what is tested is what JavaScript and files can pass.
const build = (options: unknown): iModel => new iModel(options as never);

describe('options of an iModel', () => {
  it.each([
    ['limitRequest', 5],
    ['temprature', 0.5],
    ['max_token', 10],
  ])('refuses the unknown option %s and prints its value', async (field, value) => {
    const { failure } = await refusal(() => build({ ...openai, [field]: value }));
    expect(failure).toMatchObject({ code: 'config', field });
    expect(failure.message).toContain(`\`${field}\``);
    expect(failure.message).toContain(String(value));
  });

  it.each(['limit_requests', 'queue_capacity', 'api_key', 'base_url'])(
    'refuses %s, which is how files spell it',
    async (field) => {
      const { failure } = await refusal(() => build({ ...openai, [field]: 5 }));
      expect(failure).toMatchObject({ code: 'config', field });
      expect(failure.message).toMatch(/camelCase/);
    },
  );

  it.each([
    ['provider', 5],
    ['endpoint', 5],
    ['endpoint', {}],
    ['baseUrl', 5],
    ['baseUrl', 'ftp://host'],
    ['baseUrl', 'no url'],
    ['apiKey', 5],
    ['apiKey', ''],
    ['queueCapacity', '10'],
    ['onFull', 'explode'],
    ['windowMargin', -1],
    ['interval', '1'],
    ['createdAt', 'today'],
    ['id', 5],
    ['exitHook', 'yes'],
    ['providerMetadata', 5],
    ['providerMetadata', { code: () => 1 }],
    ['streamingProcessFunc', 5],
    ['hookRegistry', 5],
    ['fallbacks', 5],
    ['clock', {}],
    ['clock', 5],
    ['env', 5],
    ['bus', {}],
    ['retry.maxRetries', undefined, { retry: { maxRetries: -1 } }],
    ['retry.max', undefined, { retry: { max: 1 } }],
    ['breaker.failureThreshold', undefined, { breaker: { failureThreshold: 0 } }],
    ['timeout', -5],
    ['timeout', 'soon'],
    ['passthrough', 'yes'],
    ['headers', 'x-team: a'],
    ['headers.x-team', undefined, { headers: { 'x-team': 5 } }],
    ['temperature', 'hot'],
  ])('refuses %s of %j', async (field, value, options: Record<string, unknown> = { [field]: value }) => {
    const { failure } = await refusal(() => build({ ...openai, ...options }));
    expect(failure).toMatchObject({ code: 'config', field, retryable: false });
    expect(failure.message).toContain(field);
  });

  it.each([[null], [undefined], ['openai/gpt-4o'], [5], [['openai/gpt-4o']]])(
    'refuses %j as options',
    async (options) => {
      expect((await refusal(() => build(options))).code).toBe('config');
    },
  );

  it.each([5, {}, true])('refuses %j as a model', async (model) => {
    for (const options of [{ model }, { model, provider: 'openai' }]) {
      expect((await refusal(() => build(options))).failure).toMatchObject({ code: 'config' });
    }
  });

  it.each(['a.b', '*', '>', 'a b', '', 'ü', 'x'.repeat(65), 'a\nb'])('refuses the id %j', async (id) => {
    const { failure } = await refusal(() => build({ ...openai, id }));
    expect(failure).toMatchObject({ code: 'config', field: 'id' });
  });

  it('takes null for options that have a default', () => {
    const absent = Object.fromEntries(
      ['provider', 'baseUrl', 'endpoint', 'queueCapacity', 'interval', 'limitRequests', 'limitTokens', 'retry'].map(
        (name) => [name, null],
      ),
    );
    expect(build({ model: 'openai/gpt-4o', ...absent }).state.queue.capacity).toBe(100);
  });
});

describe('requests', () => {
  it.each([[null], ['hello'], [5], [['hello']], [() => ({})]])('refuses %j as a request', async (request) => {
    const { model, endpoint } = timedModel();
    for (const act of [
      () => model.invoke(request as never),
      () => model.stream(request as never),
      () => model.createApiCalling(request as never),
    ]) {
      const { failure } = await refusal(act);
      expect(failure).toMatchObject({ code: 'invalid_request', retryable: false });
    }
    expect(endpoint.starts).toEqual([]);
    expect(model.state.counters.submitted).toBe(0);
  });

  it.each([
    ['messages', 'hi'],
    ['messages.0.role', [{ content: 'no role' }], 'messages'],
    ['temperature', 'hot'],
    ['temprature', 1],
  ])('names the field %s that does not fit', async (path, value, field = path) => {
    const model = build(openai);
    const { failure } = await refusal(() => model.invoke({ messages: [], [field]: value }));
    expect(failure).toMatchObject({ code: 'invalid_request', path });
    expect(failure.message).toContain(`\`${path}\``);
    expect(model.state.counters.submitted).toBe(0);
  });
});

describe('a field that the endpoint does not know', () => {
  const models = {
    'a chat endpoint': [{ ...openai }, { messages: [] }, 'temprature', 'temperature'],
    'an endpoint of embeddings': [{ ...openai, endpoint: 'embeddings' }, { input: 'a' }, 'dimension', 'dimensions'],
    'a search': [{ ...openai, model: undefined, provider: 'tavily' }, { query: 'a' }, 'max_result', 'max_results'],
    'an agent': [{ provider: 'claude_code', cli_path: '/nowhere' }, { prompt: 'a' }, 'sytem_prompt', 'system_prompt'],
  } as const;

  it.each(Object.entries(models))(
    'is refused by %s, by its name and with the one that was meant',
    async (_name, given) => {
      const [options, request, field, meant] = given;
      await using model = build(options);
      for (const act of [
        () => model.invoke({ ...request, [field]: 5 }),
        () => model.stream({ ...request, [field]: 5 }),
        () => model.createApiCalling({ ...request, [field]: 5 }),
      ]) {
        const { failure } = await refusal(act);
        expect(failure).toMatchObject({ code: 'invalid_request', path: field });
        expect(failure.message).toContain(`\`${field}\`, got \`5\``);
        expect(failure.message).toContain(`did you mean \`${meant}\`?`);
      }
      expect(model.state.counters.submitted).toBe(0);
    },
  );

  it.each(['a chat endpoint', 'an endpoint of embeddings', 'a search'] as const)(
    'is sent by %s with passthrough, said of one request or of all',
    async (name) => {
      await using upstream = await startUpstream((_request, reply) => reply.json({ choices: [] }));
      const [options, request, field] = models[name];
      await using strict = build({ ...options, baseUrl: upstream.url });
      await strict.invoke({ ...request, [field]: 5, passthrough: true });
      await using loose = build({ ...options, baseUrl: upstream.url, passthrough: true });
      await loose.invoke({ ...request, [field]: 5 });
      expect((await refusal(() => loose.invoke({ ...request, [field]: 5, passthrough: false }))).code).toBe(
        'invalid_request',
      );
      const bodies = upstream.requests.map((sent) => sent.json());
      expect(bodies).toMatchObject([{ [field]: 5 }, { [field]: 5 }]);
      for (const body of bodies) expect(body).not.toHaveProperty('passthrough');
    },
  );

  it('cannot be passed through to an agent, which says how flags are given to it', async () => {
    const [options, request, field] = models['an agent'];
    await using model = build(options);
    const { failure } = await refusal(() => model.invoke({ ...request, passthrough: true, [field]: 5 }));
    expect(failure).toMatchObject({ code: 'invalid_request', path: 'passthrough' });
    expect(failure.message).toContain('`extra_args`');
  });
});

describe('options of a call', () => {
  it.each([
    ['timeout', 5],
    ['timeoutMs', 0],
    ['timeoutMs', -1],
    ['timeoutMs', '5'],
    ['timeoutMs', Number.NaN],
    ['queueTimeoutMs', 0],
    ['signal', {}],
    ['priority', 11],
    ['priority', 0.5],
    ['caller', 'x'.repeat(257)],
    ['callId', 'a.b'],
    ['callId', '*'],
    ['callId', '>'],
    ['callId', ''],
    ['raiseOnError', 'yes'],
  ])('refuses %s of %j', async (path, value) => {
    const { model, endpoint } = timedModel();
    const options = { [path]: value } as never;
    for (const act of [() => model.invoke({}, options), () => model.stream({}, options)]) {
      const { failure } = await refusal(act);
      expect(failure).toMatchObject({ code: 'invalid_request', path });
      expect(failure.message).toContain(`\`${path}\``);
    }
    if (path === 'callId') {
      expect((await refusal(() => model.createApiCalling({}, options))).failure).toMatchObject({ path });
    }
    expect(endpoint.starts).toEqual([]);
  });

  it.each([[null], ['x'], [5]])('refuses %j as options', async (options) => {
    const { model } = timedModel();
    for (const act of [() => model.invoke({}, options as never), () => model.stream({}, options as never)]) {
      expect((await refusal(act)).code).toBe('invalid_request');
    }
  });
});

describe('options of close', () => {
  it.each([
    ['drain', 'yes'],
    ['timeoutMs', -1],
    ['timeout', 5],
  ])('refuses %s: %j, and goes on', async (field, value) => {
    const { model } = timedModel();
    const { failure } = await refusal(() => model.close({ [field]: value } as never));
    expect(failure).toMatchObject({ code: 'invalid_request', path: field });
    expect(model.status).toBe('idle');
    await model.close();
  });

  it('says once that it closes, also when a drain is cut short', async () => {
    const model = new iModel({ provider: 'scripted', text: 'Hello!', delayMs: 60_000 });
    const call = model.invoke({});
    const types: string[] = [];
    model.observe(({ type }) => types.push(type));
    const drained = model.close({ drain: true });
    await Promise.all([drained, model.close(), expect(call).rejects.toMatchObject({ code: 'closed' })]);
    expect(types.filter((type) => type === 'draining' || type === 'closed')).toEqual(['draining', 'closed']);
  });
});

describe('what is handed to the methods of an iModel', () => {
  const model = () => build(openai);

  it.each([
    ['copy', (value: unknown) => model().copy(value as never)],
    ['toDict', (value: unknown) => model().toDict(value as never)],
    ['fromDict', (value: unknown) => iModel.fromDict(model().toDict(), value as never)],
  ])('refuses options of %s that are no object', async (_name, act) => {
    for (const value of [null, 5, 'text']) expect((await refusal(() => act(value))).code).toBe('config');
  });

  it.each([
    ['shareSession', 'yes', () => model().copy({ shareSession: 'yes' as never })],
    ['endpoint', '5', () => model().copy({ endpoint: 5 as never })],
    ['share', 'true', () => model().copy({ share: true } as never)],
    ['state', 'yes', () => model().toDict({ state: 'yes' as never })],
    ['includeState', 'true', () => model().toDict({ includeState: true } as never)],
    ['observer', 'null', () => model().observe(null as never)],
    ['bus', '5', () => model().serve(5 as never)],
    ['bus', 'null', () => connect(null as never)],
    ['streamingProcessFunc', '5', () => build({ ...openai, streamingProcessFunc: 5 })],
    ['provider', 'null', () => matchEndpoint(null as never)],
    ['endpoint', '5', () => matchEndpoint('openai', 5 as never)],
    ['handler', '5', () => onHook(createMemoryBus(), 'pre_invocation', 5 as never)],
    ['options', 'null', () => matchEndpoint('openai', 'chat', null as never)],
  ])('names %s and prints %s', async (field, value, act) => {
    const { failure } = await refusal(act);
    expect(failure).toMatchObject({ code: 'config', field });
    expect(failure.message).toContain(`\`${field}\``);
    expect(failure.message).toContain(value);
  });

  it('checks the options of createEvent, and its request, as those of invoke', async () => {
    for (const options of [{ signal: 5 }, { timeoutMs: 5n }, { caller: 5 }, { stranger: 1 }, null]) {
      expect((await refusal(() => model().createEvent({ messages: [] }, options as never))).code).toBe(
        'invalid_request',
      );
    }
    expect((await refusal(() => model().createEvent(null as never))).code).toBe('invalid_request');
  });

  it('takes null for an option that holds code as nothing, and can still be written down', () => {
    const made = build({
      ...openai,
      env: null,
      clock: null,
      bus: null,
      hookRegistry: null,
      streamingProcessFunc: null,
    });
    expect(JSON.stringify(made.toDict())).not.toContain(openai.apiKey);
  });

  it('prints no more than the beginning of a long base URL', async () => {
    const { message } = await refusal(() => build({ ...openai, baseUrl: 'x'.repeat(100_000) }));
    expect(message.length).toBeLessThan(300);
  });
});
