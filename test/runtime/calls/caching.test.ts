import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type IModelOptions, iModel } from '../../../src/index.ts';
import { matchEndpoint } from '../../../src/providers/match.ts';
import { startUpstream, type Upstream } from '../../../src/testing/upstream.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';

let upstream: Upstream;
const models: iModel[] = [];

beforeEach(async () => {
  upstream = await startUpstream((_request, reply) =>
    reply.json({
      choices: [{ message: { content: `answer ${upstream.requests.length}` }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
    }),
  );
});

afterEach(async () => {
  await Promise.all(models.splice(0).map((model) => model.close()));
  await upstream.close();
});

function modelWith(options: IModelOptions = {}): iModel {
  const base = { provider: 'openai', model: 'm', baseUrl: `${upstream.url}/v1`, apiKey: 'sk-of-nobody', retry: null };
  const model = new iModel({ ...base, ...options });
  models.push(model);
  return model;
}

const ask = (content: string, more: object = {}) => ({ messages: [{ role: 'user', content }], ...more });

describe('a model with a cache', () => {
  it('asks its vendor once for the same payload, and says of later answers that they cost nothing', async () => {
    const model = modelWith({ cache: {} });
    const first = await model.invoke(ask('a'));
    const second = await model.invoke(ask('a'));
    expect(first).toMatchObject({ text: 'answer 1', usage: { totalTokens: 5 }, attempts: 1 });
    expect(second).toMatchObject({ status: 'completed', text: 'answer 1', finishReason: 'stop', attempts: 0 });
    expect(second.usage).toEqual({ inputTokens: 0, outputTokens: 0, totalTokens: 0 });
    expect(second.response).toEqual(first.response);
    expect(await model.invoke(ask('b'))).toMatchObject({ text: 'answer 2' });
    expect(upstream.requests).toHaveLength(2);
  });

  it('takes no turn and no units for what it has', async () => {
    const model = modelWith({ cache: {}, limitRequests: 1, limitTokens: 100, interval: 3_600, concurrencyLimit: 1 });
    await model.invoke(ask('a'));
    const calls = await Promise.all(
      Array.from({ length: 20 }, () => model.invoke(ask('a'), { queueTimeoutMs: 1_000 })),
    );
    expect(calls.every(({ text }) => text === 'answer 1')).toBe(true);
    expect(model.state.budget.requests).toMatchObject({ used: 1 });
    expect(model.state.budget.tokens).toMatchObject({ used: 5 });
  });

  it('tells observers of the whole call', async () => {
    const model = modelWith({ cache: {} });
    await model.invoke(ask('a'));
    const types: string[] = [];
    model.observe(({ type }) => types.push(type));
    await model.invoke(ask('a'));
    expect(types).toEqual(['created', 'post_invocation']);
  });

  it('forgets after its time', async () => {
    const clock = new VirtualClock();
    const model = modelWith({ cache: { ttl: 10 }, clock });
    await model.invoke(ask('a'));
    await clock.advance(9_999);
    expect(await model.invoke(ask('a'))).toMatchObject({ text: 'answer 1' });
    await clock.advance(1);
    expect(await model.invoke(ask('a'))).toMatchObject({ text: 'answer 2' });
  });

  it('drops what was unused longest when it is full', async () => {
    const model = modelWith({ cache: { maxBytes: 800 } });
    for (const content of ['a', 'b', 'a', 'c', 'a']) await model.invoke(ask(content));
    expect(upstream.requests).toHaveLength(3);
    await model.invoke(ask('b'));
    expect(upstream.requests).toHaveLength(4);
  });

  it('keeps no streams, no failures and nothing of calls with files', async () => {
    const model = modelWith({ cache: {} });
    upstream.handle((_request, reply) => reply.json({ error: { message: 'x' } }, 500));
    expect(await model.invoke(ask('a'))).toMatchObject({ status: 'failed' });
    upstream.handle(async (_request, reply) => {
      await reply.events([{ choices: [{ delta: { content: 'x' }, finish_reason: 'stop' }] }, '[DONE]']);
      reply.end();
    });
    for await (const _chunk of model.stream(ask('a')));
    for await (const _chunk of model.stream(ask('a')));
    expect(upstream.requests).toHaveLength(3);
    const listener = modelWith({ cache: {}, endpoint: 'stt', model: undefined });
    upstream.handle((_request, reply) => reply.json({ text: 'heard' }));
    const file = new Uint8Array([1]);
    await listener.invoke({ file });
    await listener.invoke({ file });
    expect(upstream.requests).toHaveLength(5);
  });

  it('hands out copies', async () => {
    const model = modelWith({ cache: {} });
    await model.invoke(ask('a'));
    const { response } = await model.invoke(ask('a'));
    Object.assign(response as object, { choices: 'changed' });
    expect((await model.invoke(ask('a'))).response).not.toMatchObject({ choices: 'changed' });
  });

  it('keeps what is asked of other hosts and with other keys apart', () => {
    const keyOf = (apiKey: string, path: string, content: string) =>
      matchEndpoint('openai', 'chat', { baseUrl: upstream.url + path, apiKey, env: {} }).cacheKey?.(ask(content), {});
    const keys = [
      keyOf('k-1', '/v1', 'a'),
      keyOf('k-2', '/v1', 'a'),
      keyOf('k-1', '/v2', 'a'),
      keyOf('k-1', '/v1', 'b'),
    ];
    expect(new Set(keys).size).toBe(4);
    expect(keyOf('k-1', '/v1', 'a')).toBe(keys[0]);
    expect(keys.join()).not.toContain('k-1');
  });

  it('asks its hooks before it answers', async () => {
    let allowed = true;
    const model = modelWith({
      cache: {},
      hookRegistry: {
        pre_invocation: () => {
          if (!allowed) throw new Error('not today');
        },
      },
    });
    await model.invoke(ask('a'));
    expect(await model.invoke(ask('a'))).toMatchObject({ text: 'answer 1', usage: { totalTokens: 0 } });
    allowed = false;
    expect(await model.invoke(ask('a'))).toMatchObject({ status: 'failed', failure: { code: 'vetoed' } });
    expect(upstream.requests).toHaveLength(1);
  });

  it('answers nothing while it is paused, and refuses when it is closed', async () => {
    const model = modelWith({ cache: {} });
    await model.invoke(ask('a'));
    model.pause();
    const waiting = model.invoke(ask('a'));
    expect(model.state.queue.waiting).toBe(1);
    model.resume();
    expect(await waiting).toMatchObject({ text: 'answer 1' });
    await model.close();
    await expect(model.invoke(ask('a'))).rejects.toMatchObject({ code: 'closed' });
    expect(upstream.requests).toHaveLength(1);
  });
});

describe('cache_control', () => {
  it('switches the cache on and off for one call, and is not sent', async () => {
    const model = modelWith();
    await model.invoke(ask('a', { cache_control: true }));
    expect(await model.invoke(ask('a', { cache_control: true }))).toMatchObject({ text: 'answer 1' });
    expect(await model.invoke(ask('a'))).toMatchObject({ text: 'answer 2' });
    const caching = modelWith({ cache: {} });
    await caching.invoke(ask('a'));
    expect(await caching.invoke(ask('a', { cache_control: false }))).toMatchObject({ text: 'answer 4' });
    expect(upstream.requests.map((request) => Object.keys(request.json()))).toEqual(
      Array.from({ length: 4 }, () => ['model', 'messages']),
    );
  });

  it('goes to vendors that have a field of that name', async () => {
    const model = modelWith({ provider: 'anthropic', model: 'claude-sonnet-4-5' });
    upstream.handle((_request, reply) =>
      reply.json({ content: [{ type: 'text', text: 'x' }], stop_reason: 'end_turn' }),
    );
    await model.invoke(ask('a', { cache_control: true }));
    await model.invoke(ask('a', { cache_control: true }));
    expect(upstream.requests.map((request) => request.json().cache_control)).toEqual([
      { type: 'ephemeral' },
      { type: 'ephemeral' },
    ]);
  });
});

it('is written into a dict and read from one, without its answers', () => {
  const dict = modelWith({ cache: { ttl: 5, maxBytes: 10 } }).toDict();
  expect(dict.options).toEqual({ cache: { ttl: 5, max_bytes: 10 } });
  const copy = iModel.fromDict(dict);
  models.push(copy);
  expect(copy.toDict().options).toEqual(dict.options);
  expect(() => modelWith({ cache: { ttl: 0 } })).toThrow(/`cache\.ttl`/);
});
