import { describe, expect, it } from 'vitest';
import { echo, openKeyed, refusal, slow } from './keyed-gateway.ts';
import { until } from './open-gateway.ts';

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
