import { describe, expect, it, onTestFinished } from 'vitest';
import { chartOf } from '../../actors/chart.ts';
import type { Bus } from '../../src/bus/bus.ts';
import { subjects } from '../../src/bus/subjects.ts';
import type { Frame } from '../../src/dashboard/frame.ts';
import { Overview } from '../../src/dashboard/overview.ts';
import { iModel } from '../../src/imodel.ts';
import type { IModelOptions } from '../../src/imodel-options.ts';
import { uniqueId } from '../integration/connect-test-bus.ts';
import { until } from '../integration/private-server.ts';
import { buses } from '../integration/served-model.ts';

for (const [name, open] of Object.entries(buses)) {
  /** Two ends of a bus with somebody who watches at one of them. */
  const watch = async (prepare: (host: Bus) => Promise<unknown> = async () => {}) => {
    const { host, caller } = await open();
    await prepare(host);
    const overview = new Overview(caller);
    onTestFinished(async () => {
      overview.close();
      await caller.close();
      await host.close();
    });
    /** What is known of one id. */
    const of = (id: string) => {
      const { models, calls, timeline } = overview.whole();
      return {
        models: models.filter(({ state }) => state.id === id),
        calls: calls.filter(({ model }) => model === id),
        timeline: timeline.filter(({ model }) => model === id),
      };
    };
    return { host, overview, of };
  };

  const serve = async (bus: Bus, id: string, options: Partial<IModelOptions> = {}) => {
    const model = new iModel({ id, model: 'scripted/x', ...options });
    const served = model.serve(bus);
    await bus.flush();
    onTestFinished(() => model.close());
    return { model, served };
  };

  describe(`what is seen over ${name}`, () => {
    it('holds iModels that were there, and those that come, on each node that serves them', async () => {
      const id = uniqueId();
      const { host, of } = await watch((bus) => serve(bus, id, { limitRequests: 10 }));
      await until(() => of(id).models.length === 1);
      expect(of(id).models[0]?.state).toMatchObject({ mode: 'idle', budget: { requests: { limit: 10 } } });
      const second = await serve(host, id, { limitRequests: 20 });
      await until(() => of(id).models.length === 2);
      second.served.leave();
      // One bus tells enough about what takes some seconds.
      if (name === 'memory') await until(() => of(id).models.length === 1);
    });

    it('tells a call’s life: its place, its stages, its chunks and its end', async () => {
      const { host, overview, of } = await watch();
      const id = uniqueId();
      const { model } = await serve(host, id, { concurrencyLimit: 1, chunkDelayMs: 30 });
      await until(() => of(id).models.length === 1);
      const stages = new Map<string, Set<string>>();
      const look = (frame: Frame | null): void => {
        for (const { id: callId, stage } of frame?.calls ?? []) {
          stages.set(callId, (stages.get(callId) ?? new Set()).add(stage));
        }
      };
      const streams = ['first', 'second'].map((callId) =>
        model.stream({ text: 'word '.repeat(30) }, { callId, caller: 'ada' }),
      );
      const read = Promise.all(
        streams.map(async (stream) => {
          for await (const _chunk of stream);
        }),
      );
      await until(() => {
        look(overview.take());
        return of(id).calls.some((call) => call.position === 1) && of(id).calls.some((call) => (call.rate ?? 0) > 1);
      });
      await until(() => {
        look(overview.take());
        return of(id).calls.filter(({ stage }) => stage === 'completed').length === 2;
      });
      await read;
      expect([...(stages.get('second') ?? [])]).toEqual(expect.arrayContaining(['queued', 'answering', 'completed']));
      const [first] = of(id).calls.filter((call) => call.id === 'first');
      expect(first).toMatchObject({ caller: 'ada', tokens: expect.any(Number), first_at: expect.any(Number) });
      expect(first?.chunks).toBeGreaterThan(5);
      expect(of(id).timeline.reduce((sum, { starts }) => sum + starts, 0)).toBe(2);
      expect(of(id).timeline.reduce((sum, { errors }) => sum + errors, 0)).toBe(0);
    });

    it('passes over whatever is no event and no state', async () => {
      const { host, overview, of } = await watch();
      const id = uniqueId();
      for (const body of ['text', 7, null, { type: 'created' }, { type: 'no such', model_id: id, at: 1 }]) {
        host.publish(subjects.events(id, 'created'), body);
      }
      host.publish(subjects.events(id, 'created'), { type: 'created', model_id: 'a.b *', at: 1, call_id: 'x' });
      host.publish(subjects.events(id, 'created'), new Uint8Array([0x93, 0xff]), {
        contentType: 'application/msgpack',
      });
      await serve(host, id);
      await until(() => of(id).models.length === 1);
      expect(overview.whole().calls.filter(({ model }) => model === 'a.b *')).toEqual([]);
    });
  });
}

it('holds few calls, however many there are, and says which it holds no more', async () => {
  const { createMemoryBus } = await import('../../src/bus/memory.ts');
  const bus = createMemoryBus();
  const overview = new Overview(bus);
  const known = new Set<string>();
  for (let call = 0; call < 5_000; call += 1) {
    const event = { model_id: 'm', call_id: `c${call}`, at: Date.now() };
    bus.publish(subjects.events('m', 'created'), { ...event, type: 'created' });
    if (call % 2 === 0) bus.publish(subjects.events('m', 'x'), { ...event, type: 'post_invocation', status: 'failed' });
    if (call % 1_000 === 0) await bus.flush();
    const { calls, removed } = overview.take() ?? { calls: [], removed: [] };
    for (const { key } of calls) known.add(key);
    for (const key of removed) known.delete(key);
  }
  await bus.flush();
  const { calls, removed } = overview.take() ?? { calls: [], removed: [] };
  for (const { key } of calls) known.add(key);
  for (const key of removed) known.delete(key);
  const held = overview.whole().calls.map(({ key }) => key);
  expect(held.length).toBe(400);
  expect([...known].sort()).toEqual(held.sort());
  overview.close();
  await bus.close();
});

it('reads the chart from the machine', () => {
  const chart = chartOf();
  expect(chart.map(({ name }) => name)).toEqual(['life', 'rate', 'breaker', 'queue']);
  expect(chart[0]?.states).toEqual(['starting', 'running', 'paused', 'draining', 'closing', 'closed']);
  expect(chart[0]?.initial).toBe('starting');
  expect(chart[1]?.arrows).toContainEqual({ from: 'open', to: 'throttled', event: 'limit.hit' });
  expect(chart[3]?.arrows).toHaveLength(2);
});
