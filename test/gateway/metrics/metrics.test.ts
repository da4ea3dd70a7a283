import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createMemoryBus } from '../../../src/bus/memory.ts';
import { connectTestBus, uniqueId } from '../../integration/connect-test-bus.ts';
import { startServer } from '../../integration/private-server.ts';
import { openGateway, until } from '../open-gateway.ts';
import { scrape } from '../scrape.ts';

const path = '/v1/chat/completions';
const messages = [{ role: 'user', content: 'hello' }];
const price = { inputUsdPerMillion: 100_000, outputUsdPerMillion: 1_000_000 };

describe('/metrics', () => {
  it('tells Prometheus what the iModels do and did', async () => {
    const model = {
      model: 'scripted/echo',
      failures: [null, 'rejected'],
      usage: { inputTokens: 7, outputTokens: 3 },
      prices: { echo: price },
      limitRequests: 10,
      retry: null,
    };
    const { url, post, runtime } = await openGateway({ demo: model, other: { model: 'scripted/echo' } });
    const response = await fetch(`${url}/metrics`);
    expect(response.headers.get('content-type')).toContain('text/plain');
    const call = () => post(path, { model: 'demo', messages }, { 'imodel-caller': 'ann' });
    expect([(await call()).status, (await call()).status]).toEqual([200, 400]);
    runtime.models.get('other')?.pause();
    const { value, series } = await scrape(url);
    const genAi = 'gen_ai_operation_name="chat",gen_ai_provider_name="scripted",gen_ai_request_model="echo"';
    for (const [name, expected] of [
      ['imodel_calls_total{imodel="demo",status="completed"}', 1],
      ['imodel_calls_total{imodel="demo",status="failed"}', 1],
      ['imodel_calls_submitted_total{imodel="demo"}', 2],
      ['imodel_call_failures_total{imodel="demo",code="rejected"}', 1],
      ['imodel_retries_total{imodel="demo"}', 0],
      ['imodel_calls_waiting{imodel="demo",place="queue"}', 0],
      ['imodel_queue_capacity{imodel="demo"}', 100],
      ['imodel_calls_running{imodel="demo"}', 0],
      ['imodel_budget_limit{imodel="demo",of="requests"}', 10],
      ['imodel_budget_used{imodel="demo",of="requests"}', 2],
      ['imodel_budget_remaining{imodel="demo",of="requests"}', 8],
      ['imodel_mode{imodel="demo",mode="idle"}', 1],
      ['imodel_mode{imodel="other",mode="paused"}', 1],
      ['imodel_call_wait_seconds_count{imodel="demo",reason="none"}', 2],
      ['imodel_call_duration_seconds_count{imodel="demo"}', 2],
      ['imodel_overhead_seconds_count{imodel="demo"}', 2],
      ['imodel_tokens_total{imodel="demo",direction="input"}', 7],
      ['imodel_tokens_total{imodel="demo",direction="output"}', 3],
      ['imodel_cost_usd_total{imodel="demo"}', 3.7],
      ['imodel_caller_calls_total{caller="ann",status="completed"}', 1],
      ['imodel_caller_tokens_total{caller="ann",direction="input"}', 7],
      ['imodel_caller_cost_usd_total{caller="ann"}', 3.7],
      [`gen_ai_client_operation_duration_seconds_count{${genAi}}`, 1],
      [`gen_ai_client_operation_duration_seconds_count{${genAi},error_type="rejected"}`, 1],
      [`gen_ai_client_token_usage_sum{${genAi},gen_ai_token_type="output"}`, 3],
    ] as const) {
      expect(value(name), `${name} among ${series(name.replace(/\{.*/, '')).join(' ')}`).toBeCloseTo(expected, 6);
    }
    expect(series('imodel_budget_limit')).toHaveLength(1);
    runtime.models.get('other')?.resume();
    expect((await scrape(url)).value('imodel_mode{imodel="other",mode="paused"}')).toBeUndefined();
  });

  it('tells what a call waited for, and when the first token of a stream came', async () => {
    const model = { model: 'scripted/slow', delay_ms: 30, concurrencyLimit: 1 };
    const { url, post, runtime } = await openGateway({ demo: model });
    const asked = [1, 2].map(() => post(path, { model: 'demo', messages, stream: true }));
    await Promise.all(asked.map(async (response) => (await response).text()));
    runtime.models.get('demo')?.pause();
    const third = post(path, { model: 'demo', messages });
    await until(() => runtime.models.get('demo')?.state.queue.waiting === 1);
    runtime.models.get('demo')?.resume();
    await third;
    const { value } = await scrape(url);
    for (const reason of ['none', 'concurrency', 'paused']) {
      expect(value(`imodel_call_wait_seconds_count{imodel="demo",reason="${reason}"}`)).toBe(1);
    }
    expect(value('imodel_first_token_seconds_count{imodel="demo"}')).toBe(2);
    expect(value('imodel_first_token_seconds_sum{imodel="demo"}')).toBeGreaterThan(0.05);
    const genAi = 'gen_ai_operation_name="chat",gen_ai_provider_name="scripted",gen_ai_request_model="slow"';
    expect(value(`gen_ai_client_operation_time_to_first_chunk_seconds_count{${genAi}}`)).toBe(2);
    // Neither the vendor's 30 ms nor the waiting for them is ours.
    expect(value('imodel_overhead_seconds_sum{imodel="demo"}')).toBeLessThan(0.03);
    expect(value('imodel_overhead_seconds_sum{imodel="demo"}')).toBeGreaterThan(0);
  });

  it('tells how the breaker stands', async () => {
    const model = {
      model: 'scripted/echo',
      failures: ['unavailable'],
      retry: null,
      breaker: { failureThreshold: 1, recoveryTime: 600 },
    };
    const { url, post } = await openGateway({ demo: model });
    const state = async (name: string) =>
      (await scrape(url)).value(`imodel_breaker_state{imodel="demo",state="${name}"}`);
    expect([await state('closed'), await state('tripped')]).toEqual([1, 0]);
    await post(path, { model: 'demo', messages });
    expect([await state('closed'), await state('tripped')]).toEqual([0, 1]);
  });

  it('gives no stranger a series of their own without end', async () => {
    const { url, runtime } = await openGateway({ demo: { model: 'scripted/echo' } });
    const model = runtime.models.get('demo');
    for (let caller = 0; caller < 150; caller += 1) await model?.invoke({ prompt: 'hello' }, { caller: `c${caller}` });
    const { series, value } = await scrape(url);
    expect(series('imodel_caller_calls_total')).toHaveLength(101);
    expect(value('imodel_caller_calls_total{caller="_other",status="completed"}')).toBe(50);
  });

  it('goes on, and calls do too, where what it asks fails', async () => {
    const { url, post, runtime } = await openGateway({
      bad: { model: 'scripted/echo' },
      good: { model: 'scripted/echo' },
    });
    const bad = runtime.models.get('bad');
    if (bad === undefined) throw new Error('There is no iModel');
    vi.spyOn(bad, 'state', 'get').mockImplementation(() => {
      throw new Error('broken');
    });
    onTestFinished(() => void vi.restoreAllMocks());
    expect((await post(path, { model: 'good', messages })).status).toBe(200);
    expect((await bad.invoke({ prompt: 'hello' })).status).toBe('completed');
    const { value } = await scrape(url);
    expect(value('imodel_calls_total{imodel="good",status="completed"}')).toBe(1);
    expect(value('imodel_calls_total{imodel="bad",status="completed"}')).toBeUndefined();
    expect(value('imodel_call_duration_seconds_count{imodel="bad"}')).toBe(1);
  });

  it('tells that a bus in memory is there', async () => {
    const { url } = await openGateway({ demo: { model: 'scripted/echo' } }, {}, { bus: createMemoryBus() });
    const { value } = await scrape(url);
    expect([value('imodel_bus_connected'), value('imodel_bus_reconnects_total')]).toEqual([1, 0]);
    expect(value('imodel_bus_pending_bytes')).toBe(0);
  });

  it('tells of a NATS server that goes and comes back', async () => {
    const server = await startServer();
    onTestFinished(() => server.stop());
    const bus = await connectTestBus({ servers: server.url });
    onTestFinished(() => bus.close());
    const { url } = await openGateway({ [uniqueId()]: { model: 'scripted/echo' } }, {}, { bus });
    const connected = async () => (await scrape(url)).value('imodel_bus_connected');
    await vi.waitFor(async () => expect(await connected()).toBe(1));
    await server.kill();
    await vi.waitFor(async () => expect(await connected()).toBe(0), 10_000);
    bus.publish('held', 'until it is back');
    expect((await scrape(url)).value('imodel_bus_pending_bytes')).toBeGreaterThan(0);
    await server.start();
    await vi.waitFor(async () => expect(await connected()).toBe(1), 10_000);
    expect((await scrape(url)).value('imodel_bus_reconnects_total')).toBe(1);
  });
});
