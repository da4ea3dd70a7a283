import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import type { CallerConfig } from '../../schemas/caller.ts';
import type { Bus } from '../../src/bus/bus.ts';
import { connectNats } from '../../src/bus/nats.ts';
import { createKey, hashKey } from '../../src/callers/key.ts';
import type { IModelOptions } from '../../src/imodel-options.ts';
import { createRuntime } from '../../src/runtime/runtime.ts';
import { uniqueId } from '../integration/connect-test-bus.ts';
import { openGateway, until } from './open-gateway.ts';

const messages = [{ role: 'user' as const, content: 'hello' }];
const echo: IModelOptions = { model: 'scripted/echo' };
const slow: IModelOptions = { model: 'scripted/echo', delay_ms: 60_000 };

type Settings = Omit<CallerConfig, 'keyHashes'>;

/** A gateway whose callers have a key each, with both vendors' clients for each of them. */
async function openKeyed<N extends string>(
  models: Readonly<Record<string, IModelOptions>>,
  callers: Readonly<Record<N, Settings>>,
  config: Parameters<typeof openGateway>[1] = {},
  bus?: Bus,
) {
  const entries = Object.entries<Settings>(callers).map(([name, own]) => [name, createKey(), own] as const);
  const written = Object.fromEntries(
    entries.map(([name, key, own]) => [name, { ...own, keyHashes: [hashKey(key)] }]),
  ) as Record<N, CallerConfig>;
  const open = await openGateway(models, { ...config, callers: written }, bus === undefined ? {} : { bus });
  const keys = Object.fromEntries(entries.map(([name, key]) => [name, key])) as Record<N, string>;
  const openai = (name: N | null, key = name === null ? 'sk-nobody' : keys[name]) =>
    new OpenAI({ baseURL: `${open.url}/v1`, apiKey: key, maxRetries: 0 });
  const anthropic = (name: N | null) =>
    new Anthropic({ baseURL: open.url, apiKey: name === null ? 'sk-nobody' : keys[name], maxRetries: 0 });
  const chat = (name: N, model = 'm', headers: Record<string, string> = {}) =>
    openai(name).chat.completions.create({ model, messages }, { headers });
  const bearer = (name: N) => ({ authorization: `Bearer ${keys[name]}` });
  const get = (path: string, name: N | null = null, method = 'GET') =>
    fetch(open.url + path, { method, headers: name === null ? {} : bearer(name) });
  return { ...open, keys, written, openai, anthropic, chat, bearer, get };
}

const refusal = (call: Promise<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> =>
  call.then(
    () => expect.fail('nothing was refused'),
    (error: InstanceType<typeof OpenAI.APIError>) => error,
  );

/** Status, and what each dialect calls it. */
async function refusalsOf(openai: Promise<unknown>, anthropic: Promise<unknown>) {
  const [one, second] = await Promise.all([refusal(openai), refusal(anthropic)]);
  const other = second as unknown as InstanceType<typeof Anthropic.APIError>;
  const { error } = other.error as { error: { type: string } };
  return [one.status, one.type, one.code, other.status, error.type];
}

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

describe('the limits of a caller', () => {
  it('on requests make the next one wait, and say how they stand', async () => {
    const { chat, openai } = await openKeyed({ m: echo }, { ci: { limitRequests: 2, interval: 0.4 }, other: {} });
    const started = performance.now();
    await Promise.all([chat('ci'), chat('ci')]);
    expect(performance.now() - started).toBeLessThan(390);
    const [third, other] = await Promise.all([
      openai('ci').chat.completions.create({ model: 'm', messages }).withResponse(),
      chat('other'),
    ]);
    expect(performance.now() - started).toBeGreaterThanOrEqual(395);
    expect(other.object).toBe('chat.completion');
    const { headers } = third.response;
    expect(Number(headers.get('imodel-wait-ms'))).toBeGreaterThan(50);
    expect(headers.get('x-ratelimit-limit-requests')).toBe('2');
    expect(headers.get('x-ratelimit-remaining-requests')).toMatch(/^[01]$/);
    expect(headers.get('x-ratelimit-reset-requests')).toMatch(/^\d+ms$/);
  });

  it('answer 429 at once where the wait would be longer than allowed, in the words of either vendor', async () => {
    const { chat, anthropic } = await openKeyed(
      { m: echo },
      { ci: { limitRequests: 1, interval: 30 } },
      { queueTimeout: 2 },
    );
    await chat('ci');
    const asked = anthropic('ci').messages.create({ model: 'm', max_tokens: 9, messages });
    expect(await refusalsOf(chat('ci'), asked)).toEqual([
      429,
      'rate_limit_error',
      'rate_limit_exceeded',
      429,
      'rate_limit_error',
    ]);
    const { headers, message } = await refusal(chat('ci'));
    expect(Number(headers?.get('retry-after'))).toBeGreaterThanOrEqual(29);
    expect(message).toContain('The limit of the caller `ci`, 1 requests in 30 s, is used up');
    expect(headers?.get('x-ratelimit-remaining-requests')).toBe('0');
  });

  it('answer 429 once a wait of unknown length has been too long', async () => {
    const { chat, get } = await openKeyed({ m: slow }, { ci: { concurrencyLimit: 1 }, op: { operator: true } });
    const first = refusal(chat('ci', 'm', { 'imodel-call': 'first' }));
    const late = await refusal(chat('ci', 'm', { 'imodel-queue-ms': '150', 'imodel-call': 'late' }));
    expect([late.status, late.code]).toEqual([429, 'rate_limit_exceeded']);
    expect(Number(late.headers?.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(late.headers?.get('imodel-queue-position')).toBe('0');
    // One that waits can be taken back like one that runs.
    const waiting = refusal(chat('ci', 'm', { 'imodel-call': 'waiting' }));
    await expect
      .poll(async () => (await get('/v1/imodels/m/calls/waiting', 'ci', 'DELETE')).json())
      .toMatchObject({ cancelled: true });
    expect((await waiting).status).toBe(499);
    await get('/v1/imodels/m/calls/first', 'ci', 'DELETE');
    expect((await first).status).toBe(499);
    expect(await (await get('/v1/callers', 'op')).json()).toMatchObject({
      data: [{ name: 'ci', running: 0, waiting: 0 }, {}],
    });
  });

  it('let go of a place when the one who waits for it leaves', async () => {
    const { chat, openai, get, runtime } = await openKeyed(
      { m: { model: 'scripted/echo', delay_ms: 300 } },
      { ci: { concurrencyLimit: 1 }, op: { operator: true } },
    );
    const first = chat('ci');
    const counts = async () =>
      ((await (await get('/v1/callers', 'op')).json()) as { data: { waiting: number }[] }).data[0];
    await until(() => runtime.models.get('m')?.live.view().running === 1);
    for (const stream of [true, false]) {
      const leaving = new AbortController();
      const asked = openai('ci').chat.completions.create({ model: 'm', messages, stream }, { signal: leaving.signal });
      const left = refusal(asked);
      await expect.poll(counts).toMatchObject({ waiting: 1 });
      leaving.abort();
      await left;
      await expect.poll(counts).toMatchObject({ waiting: 0 });
    }
    await first;
    expect(runtime.models.get('m')?.state.counters.submitted).toBe(1);
    expect((await chat('ci')).object).toBe('chat.completion');
  });

  it('show the requests they hold back, in states and metrics, and an operator takes them back', async () => {
    const { chat, get, runtime } = await openKeyed(
      { m: { model: 'scripted/echo', delay_ms: 60_000 }, other: echo },
      { ci: { concurrencyLimit: 1 }, op: { operator: true } },
    );
    const before = Date.now();
    const running = chat('ci', 'm', { 'imodel-call': 'runs' });
    await until(() => runtime.models.get('m')?.live.view().running === 1);
    const waiting = ['one', 'two'].map((callId) => refusal(chat('ci', 'm', { 'imodel-call': callId })));
    const heldOf = async (path: string) => ((await (await get(path, 'op')).json()) as { held: unknown[] }).held;
    await expect.poll(() => heldOf('/v1/imodels/m')).toHaveLength(2);
    const [one, two] = (await heldOf('/v1/imodels/m')) as { queued_at: number }[];
    expect(one).toMatchObject({ id: 'one', caller: 'ci', position: 1, reason: 'caller_limit' });
    expect(two).toMatchObject({ id: 'two', position: 2 });
    expect(one?.queued_at).toBeGreaterThanOrEqual(before);
    expect(await heldOf('/v1/imodels/other')).toEqual([]);
    const { data } = (await (await get('/v1/imodels', 'op')).json()) as { data: { id: string; held: unknown[] }[] };
    expect(data.map(({ id, held }) => [id, held.length])).toEqual([
      ['m', 2],
      ['other', 0],
    ]);
    const series = async () =>
      (await (await get('/metrics', 'op')).text()).match(/^imodel_caller_calls_waiting\{.*$/gm) ?? [];
    expect(await series()).toEqual(['imodel_caller_calls_waiting{imodel="m",caller="ci"} 2']);
    for (const callId of ['one', 'two', 'runs']) {
      const answer = await get(`/v1/imodels/m/calls/${callId}`, 'op', 'DELETE');
      expect(await answer.json()).toEqual({ call_id: callId, cancelled: true });
    }
    for (const refused of [...waiting, refusal(running)]) expect((await refused).status).toBe(499);
    expect(await heldOf('/v1/imodels/m')).toEqual([]);
    expect(await series()).toEqual([]);
    expect(runtime.models.get('m')?.state.counters.submitted).toBe(1);
  });

  it('on tokens hold what is expected and count what was used', async () => {
    const { chat, openai } = await openKeyed(
      { m: echo },
      { ci: { limitTokens: 60, interval: 30 } },
      { queueTimeout: 1 },
    );
    const ask = (maxTokens: number) =>
      openai('ci').chat.completions.create({ model: 'm', messages, max_tokens: maxTokens }).withResponse();
    const { response } = await ask(40);
    expect(response.headers.get('x-ratelimit-limit-tokens')).toBe('60');
    // The answer took far less than its 40, so there is room for another.
    await ask(40);
    const big = await refusal(ask(100));
    expect([big.status, big.code]).toEqual([413, 'estimate_too_large']);
    const used = await refusal(ask(59 - 10));
    expect([used.status, used.code]).toEqual([429, 'rate_limit_exceeded']);
    expect((await chat('ci')).object).toBe('chat.completion');
  });

  it('on cost refuse what is spent for longer than a request may wait, and what has no price', async () => {
    const prices = { priced: { inputUsdPerMillion: 1_000, outputUsdPerMillion: 1_000 } };
    const { chat, get } = await openKeyed(
      { m: { model: 'scripted/priced', prices }, free: { model: 'scripted/unknown', prices } },
      { ci: { limitCostUsd: 0.01 }, op: { operator: true } },
      { queueTimeout: 1 },
    );
    const call = await chat('ci');
    const spent = (call.usage?.total_tokens ?? 0) * 0.001;
    expect(spent).toBeGreaterThan(0);
    const { data } = (await (await get('/v1/callers', 'op')).json()) as { data: { cost_usd: { used: number } }[] };
    expect(data[0]?.cost_usd.used).toBeCloseTo(spent, 6);
    let calls = 1;
    const last = await refusal(
      (async () => {
        for (; calls < 20; calls += 1) await chat('ci');
      })(),
    );
    expect(calls).toBeLessThan(10);
    expect([last.status, last.code]).toEqual([429, 'insufficient_quota']);
    expect(Number(last.headers?.get('retry-after'))).toBeGreaterThan(80_000);
    const unpriced = await refusal(chat('ci', 'free'));
    expect([unpriced.status, unpriced.code]).toEqual([403, 'vetoed']);
    expect(unpriced.message).toContain('price');
    expect((await chat('op', 'free')).object).toBe('chat.completion');
  });

  it('hold for streams too, which begin when their turn comes', async () => {
    const { openai, keys } = await openKeyed(
      { m: { model: 'scripted/echo', chunk_delay_ms: 10, chunks: 5 } },
      { ci: { concurrencyLimit: 1 } },
      { keepAlive: 0.03 },
    );
    expect(keys.ci).toMatch(/^imodel_[\w-]{43}$/);
    const read = async () => {
      const stream = await openai('ci').chat.completions.create({ model: 'm', messages, stream: true });
      let text = '';
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
      return text;
    };
    expect(await Promise.all([read(), read(), read()])).toEqual(['hello', 'hello', 'hello']);
  });

  it('are none of another caller’s, whose weight says what it gets of a busy iModel', async () => {
    const { chat, runtime } = await openKeyed(
      { m: { model: 'scripted/echo', delay_ms: 5, concurrencyLimit: 1 } },
      { big: { weight: 3 }, small: {} },
    );
    const model = runtime.models.get('m');
    model?.pause();
    const order: string[] = [];
    model?.observe(({ type, caller = '' }) => type === 'pre_invocation' && order.push(caller));
    const calls = (['small', 'big'] as const).flatMap((name) => Array.from({ length: 24 }, () => chat(name)));
    await until(() => model?.state.queue.waiting === 48);
    model?.resume();
    await Promise.all(calls);
    const share = order.slice(0, 24).filter((name) => name === 'big').length;
    expect([order.length, share]).toEqual([48, expect.closeTo(18, -0.5)]);
  });
});

describe('a change of the configuration', () => {
  it('lets in and refuses other callers, keeps what was used, and never leaves an open door', async () => {
    const { gateway, chat, written, get } = await openKeyed(
      { m: echo },
      { ci: { limitRequests: 2, interval: 600 }, op: { operator: true } },
      { host: '0.0.0.0', queueTimeout: 1 },
    );
    expect(gateway.hasCallers).toBe(true);
    await chat('ci');
    gateway.reload({
      host: '0.0.0.0',
      queueTimeout: 1,
      callers: { ...written, ci: { ...written.ci, limitRequests: 3, interval: 600 } },
    });
    await chat('ci');
    await chat('ci');
    expect((await refusal(chat('ci'))).status).toBe(429);
    for (const callers of [undefined, {}]) {
      expect(() => gateway.reload({ host: '0.0.0.0', callers })).toThrow('no callers are configured');
    }
    const shared = { ...written, other: written.op };
    expect(() => gateway.reload({ host: '0.0.0.0', callers: shared })).toThrow('Expected every key to have one caller');
    expect((await get('/v1/models', 'op')).status).toBe(200);
    gateway.reload({ host: '0.0.0.0', callers: { op: written.op } });
    expect((await refusal(chat('ci'))).status).toBe(401);
  });

  it('ends the wait of whoever is no caller any more', async () => {
    const { gateway, chat, written, runtime, get } = await openKeyed(
      { m: slow },
      { ci: { concurrencyLimit: 1 }, op: { operator: true } },
    );
    const running = refusal(chat('ci', 'm', { 'imodel-call': 'running' }));
    await until(() => runtime.models.get('m')?.state.running === 1);
    const waiting = refusal(chat('ci'));
    const isWaiting = async () =>
      ((await (await get('/v1/callers', 'op')).json()) as { data: { waiting: number }[] }).data[0];
    await expect.poll(isWaiting).toMatchObject({ waiting: 1 });
    gateway.reload({ callers: { op: written.op } });
    expect((await waiting).status).toBe(401);
    await get('/v1/imodels/m/calls/running', 'op', 'DELETE');
    expect((await running).status).toBe(499);
  });
});

describe('iModels of another process', () => {
  it('hear whose call it is and what share it has, and keep one caller from another’s', async () => {
    const nats = { servers: inject('natsUrl') };
    const [id, near] = [uniqueId(), uniqueId()];
    const far = await createRuntime({ models: { [id]: slow } }, { env: {}, bus: await connectNats(nats) });
    onTestFinished(async () => {
      await far.close();
      await far.bus.close();
    });
    const bus = await connectNats(nats);
    onTestFinished(() => bus.close());
    const { chat, get } = await openKeyed(
      { [near]: echo },
      { a: { weight: 7 }, b: {}, c: { models: [near] } },
      {},
      bus,
    );
    const call = refusal(chat('a', id, { 'imodel-call': 'guessed' }));
    const live = far.models.get(id)?.live;
    await until(() => live?.view().running === 1);
    const [row] = [...(live?.rows() ?? [])];
    expect([row?.caller, row?.weight]).toEqual(['a', 7]);
    expect((await refusal(chat('b', id, { 'imodel-call': 'guessed' }))).status).toBe(409);
    expect((await refusal(chat('c', id))).status).toBe(404);
    const cancel = async (name: 'a' | 'b') => (await get(`/v1/imodels/${id}/calls/guessed`, name, 'DELETE')).json();
    expect(await cancel('b')).toMatchObject({ cancelled: false });
    expect(await cancel('a')).toMatchObject({ cancelled: true });
    expect((await call).status).toBe(499);
  });
});
