import { describe, expect, inject, it, onTestFinished } from 'vitest';
import { connectNats } from '../../src/bus/nats.ts';
import { createRuntime } from '../../src/runtime/runtime.ts';
import { uniqueId } from '../integration/connect-test-bus.ts';
import { echo, openKeyed, refusal, slow } from './keyed-gateway.ts';
import { until } from './open-gateway.ts';

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
