import { describe, expect, it } from 'vitest';
import { iModel, type ModelDict, replay } from '../../../src/index.ts';
import { startUpstream } from '../../../src/testing/upstream.ts';

const secret = 'SECRET-9f8e7d6c5b';
const messages = [{ role: 'user', content: 'hello' }];
const own = { provider: 'mine', model: 'm', baseUrl: 'http://127.0.0.1:9/v1' };

function throughJson(data: unknown): ModelDict {
  return JSON.parse(JSON.stringify(data)) as ModelDict;
}

describe('a credential', () => {
  it.each<[string, Record<string, unknown>]>([
    ['a header of its own', { ...own, headers: { 'X-Custom-Auth': secret } }],
    ['a subscription key', { ...own, headers: { 'Ocp-Apim-Subscription-Key': secret } }],
    ['a signature', { ...own, headers: { 'X-Signature': secret } }],
    ['extra_body', { ...own, extra_body: { api_key: secret } }],
    ['the depth of extra_body', { ...own, extra_body: { auth: { token: secret }, list: [{ clientSecret: secret }] } }],
    [
      'the environment of a tool server',
      { provider: 'claude_code', repo: '/', mcp_servers: { a: { command: 'x', env: { SOME_TOKEN: secret } } } },
    ],
    [
      'the URL of a tool server',
      { provider: 'claude_code', repo: '/', mcp_servers: { a: { type: 'http', url: `https://host/?key=${secret}` } } },
    ],
    ['a login in a URL', { ...own, extra_body: { callback: `https://me:${secret}@host/` } }],
    [
      'headers of a request',
      { provider: 'firecrawl', endpoint: 'scrape', headers: { Authorization: `Bearer ${secret}` } },
    ],
    [
      'a text that repeats the key',
      { ...own, apiKey: secret, user: `u ${secret}`, providerMetadata: { [secret]: secret } },
    ],
    [
      'a text that repeats the key of the provider’s variable',
      { ...own, env: { MINE_API_KEY: secret }, user: secret, headers: { 'x-team': secret } },
    ],
    [
      'a text that repeats a credential of extra_body',
      { ...own, extra_body: { password: secret }, user: `u ${secret}` },
    ],
  ])('is in no dict and no state, and stays away when read and written again: in %s', async (_name, options) => {
    const model = new iModel(options);
    const dict = throughJson(model.toDict());
    expect(JSON.stringify(dict)).not.toContain(secret);
    expect(JSON.stringify(model.toDict({ state: true }))).not.toContain(secret);
    expect(JSON.stringify(dict)).toContain('(redacted)');
    const restored = iModel.fromDict(dict);
    expect(throughJson(restored.toDict())).toEqual(dict);
    // What is not known is not sent as if it were.
    expect(JSON.stringify(restored.endpoint.config.kwargs)).not.toMatch(/"\(redacted\)"/);
    await Promise.all([model.close(), restored.close()]);
  });

  it('is not what only looks like one', async () => {
    const kwargs = { max_tokens: 5, prompt_cache_key: 'a-cache', stop: ['token'], logit_bias: { key: 1 } };
    const tools = [{ type: 'function', function: { parameters: { properties: { password: { type: 'string' } } } } }];
    const model = new iModel({ ...own, ...kwargs, tools });
    expect(model.toDict().endpoint.config.kwargs).toEqual({ model: 'm', ...kwargs, tools });
    await model.close();
  });

  it('of the defaults is in the request of a call that waited, once it is restored where they are given again', async () => {
    await using upstream = await startUpstream((_request, reply) =>
      reply.json({ choices: [{ message: { content: 'hi' } }] }),
    );
    const options = { ...own, baseUrl: upstream.url, apiKey: 'sk-abcdef', extra_body: { auth: { token: secret } } };
    const model = new iModel(options);
    model.pause();
    model.invoke({ messages }, { callId: 'waits' }).catch(() => {});
    const dict = throughJson(model.toDict({ state: true }));
    expect(JSON.stringify(dict)).not.toContain(secret);
    const again = new iModel({ ...options, id: model.id });
    again.restore(dict);
    again.resume();
    again.live.begin();
    expect(await again.call('waits')?.done).toMatchObject({ status: 'completed' });
    expect(JSON.parse(String(upstream.requests[0]?.body))).toMatchObject({ auth: { token: secret } });
    await Promise.all([model.close({ drain: false }), again.close()]);
  });

  it('is in no journal that keeps requests, and a replay says what the dict said', async () => {
    const model = new iModel({
      ...own,
      apiKey: secret,
      extra_body: { token: 'another-one' },
      journal: { requests: true },
    });
    model.pause();
    model.invoke({ messages: [{ role: 'user', content: `my key is ${secret}` }] }).catch(() => {});
    const { state } = model.toDict({ state: true });
    expect(JSON.stringify(model.journal)).not.toMatch(/SECRET|another-one/);
    expect(JSON.stringify(replay(model.journal).state.calls)).toBe(JSON.stringify(state?.calls));
    await model.close({ drain: false });
  });
});
