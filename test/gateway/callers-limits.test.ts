import { describe, expect, it } from 'vitest';
import { echo, messages, openKeyed, refusal, refusalsOf, slow } from './keyed-gateway.ts';
import { until } from './open-gateway.ts';

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
