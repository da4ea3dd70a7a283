import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import type { CallerConfig } from '../../schemas/caller.ts';
import { echo, messages, openKeyed, refusal, refusalsOf, slow } from './keyed-gateway.ts';
import { until } from './open-gateway.ts';

describe('a gateway with callers', () => {
  it('takes the key of a caller from the clients of both vendors', async () => {
    const { chat, anthropic, openai, post, keys } = await openKeyed({ m: echo }, { ci: {} });
    expect((await chat('ci')).choices[0]?.message.content).toBe('hello');
    const message = await anthropic('ci').messages.create({ model: 'm', max_tokens: 9, messages });
    expect(message.content).toMatchObject([{ type: 'text', text: 'hello' }]);
    const token = new Anthropic({ baseURL: openai('ci').baseURL.slice(0, -3), apiKey: null, authToken: keys.ci });
    expect((await token.messages.create({ model: 'm', max_tokens: 9, messages })).role).toBe('assistant');
    // Some clients send something of their own beside it.
    const both = { authorization: 'Bearer unused', 'x-api-key': keys.ci };
    expect((await post('/v1/chat/completions', { model: 'm', messages }, both)).status).toBe(200);
  });

  it('refuses whoever has no key, a wrong one, one that is disabled and one that has expired', async () => {
    const { openai, anthropic, url, chat } = await openKeyed(
      { m: echo },
      { off: { disabled: true }, old: { expires: '2024-02-29' }, soon: { expires: '2999-01-01T00:00:00Z' } },
    );
    const wrong = { model: 'm', messages };
    for (const name of [null, 'off', 'old'] as const) {
      const asked = anthropic(name).messages.create({ ...wrong, max_tokens: 9 });
      expect(await refusalsOf(openai(name).chat.completions.create(wrong), asked)).toEqual([
        401,
        'authentication_error',
        'invalid_api_key',
        401,
        'authentication_error',
      ]);
    }
    expect((await chat('soon')).object).toBe('chat.completion');
    const none = await fetch(`${url}/v1/models`);
    expect([none.status, none.headers.get('www-authenticate'), none.headers.get('x-should-retry')]).toEqual([
      401,
      'Bearer',
      'false',
    ]);
    expect(await none.json()).toMatchObject({ error: { code: 'missing_api_key' } });
  });

  it('does not read what strangers send', async () => {
    const { url, runtime } = await openKeyed({ m: echo }, { ci: {} });
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"not": json',
    });
    expect(response.status).toBe(401);
    expect(runtime.models.get('m')?.state.counters.submitted).toBe(0);
    // Nor does it tell them what there is.
    for (const path of ['/v1/nothing', '/v1/imodels/m', '/metrics', '/dashboard/feed', '/v1/callers']) {
      expect([path, (await fetch(url + path)).status]).toEqual([path, 401]);
    }
    expect(await (await fetch(`${url}/readyz`)).json()).toEqual({ status: 'ready' });
    expect((await fetch(`${url}/`)).headers.get('content-type')).toContain('text/html');
  });

  it('shows a caller the iModels that it may use, and no others', async () => {
    const { openai, anthropic, chat } = await openKeyed(
      { 'gpt-a': echo, 'gpt-b': { model: 'scripted/only-b' }, other: echo },
      { ci: { models: ['gpt-*'] }, one: { models: ['other'] }, all: {} },
    );
    const listed = async (name: 'ci' | 'one' | 'all') => (await openai(name).models.list()).data.map(({ id }) => id);
    expect([await listed('ci'), await listed('one'), await listed('all')]).toEqual([
      ['gpt-a', 'gpt-b'],
      ['other'],
      ['gpt-a', 'gpt-b', 'other'],
    ]);
    expect((await chat('ci', 'scripted/only-b')).model).toBe('only-b');
    const wanted = [404, 'invalid_request_error', 'model_not_found', 404, 'not_found_error'];
    for (const model of ['gpt-b', 'scripted/only-b', 'nothing']) {
      const asked = anthropic('one').messages.create({ model, max_tokens: 9, messages });
      expect(await refusalsOf(chat('one', model), asked)).toEqual(wanted);
      expect((await refusal(chat('one', model))).message).not.toMatch(/there are .*gpt/);
    }
    await expect(openai('one').models.retrieve('gpt-b')).rejects.toBeInstanceOf(OpenAI.NotFoundError);
    // Of two that have a vendor's name it is the one that the caller may use.
    expect((await chat('one', 'scripted/echo')).object).toBe('chat.completion');
    expect((await refusal(chat('all', 'scripted/echo'))).message).toContain('2 iModels have it');
  });

  it('lets operators alone see and control the iModels', async () => {
    const { get, post, bearer } = await openKeyed({ m: echo }, { ci: {}, op: { operator: true } });
    for (const path of ['/v1/imodels', '/v1/imodels/m', '/metrics', '/v1/callers']) {
      const statuses = [(await get(path, 'ci')).status, (await get(path, 'op')).status];
      expect([path, ...statuses]).toEqual([path, 403, 200]);
    }
    const pause = (name: 'ci' | 'op') => post('/v1/imodels/m/control', { action: 'pause' }, bearer(name));
    const refused = await pause('ci');
    expect([refused.status, await refused.json()]).toMatchObject([403, { error: { code: 'operator_required' } }]);
    expect((await pause('op')).status).toBe(200);
    expect((await get('/v1/nothing', 'ci')).status).toBe(404);
    const feed = await get('/dashboard/feed', 'op');
    expect([feed.status, feed.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8']);
    await feed.body?.cancel();
    expect((await get('/dashboard/feed', 'ci')).status).toBe(403);
  });

  it('lets a caller take back its own calls, and nobody else’s', async () => {
    const { chat, get, runtime } = await openKeyed({ m: slow }, { a: {}, b: {}, op: { operator: true } });
    const live = runtime.models.get('m')?.live;
    const start = (id: string) => refusal(chat('a', 'm', { 'imodel-call': id }));
    const calls = ['one', 'two'].map(start);
    await until(() => live?.view().running === 2);
    const cancel = async (id: string, name: 'a' | 'b' | 'op') =>
      (await get(`/v1/imodels/m/calls/${id}`, name, 'DELETE')).json();
    expect(await cancel('one', 'b')).toEqual({ call_id: 'one', cancelled: false });
    expect(await cancel('none', 'b')).toEqual({ call_id: 'none', cancelled: false });
    expect(await cancel('one', 'a')).toEqual({ call_id: 'one', cancelled: true });
    expect(await cancel('two', 'op')).toEqual({ call_id: 'two', cancelled: true });
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual([499, 499]);
  });

  it('lets a caller go on with its own stream, and nobody else', async () => {
    const { url, bearer, get } = await openKeyed(
      { m: { model: 'scripted/echo', chunk_delay_ms: 20, chunks: 5 } },
      { a: {}, b: {} },
    );
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'imodel-resume-ms': '5000',
        'imodel-call': 'mine',
        ...bearer('a'),
      },
      body: JSON.stringify({ model: 'm', messages, stream: true }),
    });
    const whole = await response.text();
    const path = '/v1/imodels/m/calls/mine/stream';
    expect(response.headers.get('imodel-resume')).toBe(path);
    const other = await get(path, 'b');
    expect([other.status, await other.json()]).toMatchObject([404, { error: { code: 'stream_not_found' } }]);
    expect(await (await get(path, 'a')).text()).toBe(whole);
    expect((await get(path)).status).toBe(401);
  });

  it('names the caller in events and states, whatever its requests say, and its key nowhere', async () => {
    const { chat, runtime, keys, get, written } = await openKeyed(
      { m: slow },
      { ci: { weight: 4 }, op: { operator: true } },
    );
    const model = runtime.models.get('m');
    const events: unknown[] = [];
    model?.observe((event) => events.push(event));
    const said = { 'imodel-caller': 'boss', 'imodel-weight': '99', 'imodel-priority': '10', 'imodel-call': 'c' };
    const call = refusal(chat('ci', 'm', said));
    await until(() => model?.live.view().running === 1);
    const [row] = [...(model?.live.rows() ?? [])];
    expect([row?.caller, row?.weight, row?.priority]).toEqual(['ci', 4, 0]);
    const shown = await Promise.all(
      ['/v1/imodels', '/metrics', '/v1/callers'].map(async (path) => (await get(path, 'op')).text()),
    );
    await get('/v1/imodels/m/calls/c', 'ci', 'DELETE');
    await call;
    expect(events).toContainEqual(expect.objectContaining({ type: 'post_invocation', caller: 'ci' }));
    const all = JSON.stringify([shown, events, model?.toDict({ state: true })]);
    for (const secret of [
      keys.ci,
      keys.op,
      ...Object.values<CallerConfig>(written).flatMap(({ keyHashes }) => keyHashes),
    ]) {
      expect(all).not.toContain(secret.replace('sha256:', ''));
    }
  });

  it('sends no CORS headers, and answers no preflight', async () => {
    const { url } = await openKeyed({ m: echo }, { ci: {} });
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://elsewhere.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization',
      },
    });
    expect(response.ok).toBe(false);
    expect([...response.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
  });
});
