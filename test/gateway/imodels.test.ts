import { describe, expect, it } from 'vitest';
import { modelState } from '../../schemas/state.ts';
import { openGateway, until } from './open-gateway.ts';

const messages = [{ role: 'user', content: 'hello' }];

describe('/v1/imodels', () => {
  it('tells what the iModels do', async () => {
    const { url, post } = await openGateway({
      a: { model: 'scripted/echo', limitRequests: 10 },
      b: { model: 'scripted/echo' },
    });
    await post('/v1/chat/completions', { model: 'a', messages });
    const { data } = (await (await fetch(`${url}/v1/imodels`)).json()) as { data: unknown[] };
    expect(data.map((state) => modelState.parse(state).id)).toEqual(['a', 'b']);
    const state = modelState.parse(await (await fetch(`${url}/v1/imodels/a`)).json());
    expect(state).toMatchObject({ counters: { completed: 1 }, budget: { requests: { limit: 10, remaining: 9 } } });
    expect((await fetch(`${url}/v1/imodels/c`)).status).toBe(404);
  });

  it('pauses, resumes and changes limits', async () => {
    const { post, runtime } = await openGateway({ a: { model: 'scripted/echo' } });
    const control = async (body: object) => (await post('/v1/imodels/a/control', body)).json();
    expect(await control({ action: 'pause' })).toMatchObject({ mode: 'paused' });
    const waiting = post('/v1/chat/completions', { model: 'a', messages });
    await until(() => runtime.models.get('a')?.state.queue.waiting === 1);
    expect(await control({ action: 'limits', limit_requests: 5 })).toMatchObject({
      budget: { requests: { limit: 5 } },
    });
    await control({ action: 'resume' });
    expect((await waiting).status).toBe(200);
    for (const body of [{ action: 'explode' }, { action: 'pause', now: true }, []]) {
      expect((await post('/v1/imodels/a/control', body)).status).toBe(400);
    }
    expect((await post('/v1/imodels/b/control', { action: 'pause' })).status).toBe(404);
  });

  it('forgets what was used of limits, drains and closes', async () => {
    const { post, runtime } = await openGateway({
      a: { model: 'scripted/echo', limitRequests: 1 },
      b: { model: 'scripted/echo', text: 'done', delayMs: 40 },
    });
    const control = async (id: string, body: object) => (await post(`/v1/imodels/${id}/control`, body)).json();
    await post('/v1/chat/completions', { model: 'a', messages });
    expect(await control('a', { action: 'reset' })).toMatchObject({ budget: { requests: { used: 0 } } });
    expect(await control('a', { action: 'close' })).toMatchObject({ mode: 'closed' });
    expect((await post('/v1/chat/completions', { model: 'a', messages })).status).toBe(503);
    const running = post('/v1/chat/completions', { model: 'b', messages }, { 'imodel-call': 'last' });
    await until(() => runtime.models.get('b')?.state.running === 1);
    await control('b', { action: 'drain' });
    expect((await post('/v1/chat/completions', { model: 'b', messages })).status).toBe(503);
    expect([(await running).status, (await running).headers.get('imodel-call')]).toEqual([200, 'last']);
  });

  it('takes a call back by its id, also one that another caller has made', async () => {
    const { url, post, runtime } = await openGateway({ a: { model: 'scripted/echo', delayMs: 60_000 } });
    const model = runtime.models.get('a');
    const running = post('/v1/chat/completions', { model: 'a', messages }, { 'imodel-call': 'mine' });
    await until(() => model?.state.running === 1);
    const again = await post('/v1/chat/completions', { model: 'a', messages }, { 'imodel-call': 'mine' });
    expect(again.status).toBe(409);
    const cancel = async (id: string) => (await fetch(`${url}/v1/imodels/a/calls/${id}`, { method: 'DELETE' })).json();
    expect(await cancel('mine')).toEqual({ call_id: 'mine', cancelled: true });
    const response = await running;
    expect([response.status, response.headers.get('imodel-call')]).toEqual([499, 'mine']);
    expect(await cancel('mine')).toEqual({ call_id: 'mine', cancelled: false });
    const local = model?.createApiCalling({ messages });
    if (model === undefined || local === undefined) throw new Error('The iModel is gone');
    const invoked = model.invoke(local);
    invoked.catch(() => {});
    const cancelled = await post(`/v1/imodels/a/calls/${local.id}/cancel`, {});
    expect(await cancelled.json()).toEqual({ call_id: local.id, cancelled: true });
    await expect(invoked).rejects.toMatchObject({ code: 'cancelled' });
  });
});
