import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createMemoryBus } from '../../src/bus/memory.ts';
import { connect } from '../../src/runtime/remote/remote-model.ts';
import { createRuntime, type RuntimeConfig } from '../../src/runtime/runtime.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { uniqueId } from '../integration/connect-test-bus.ts';
import { buses } from '../integration/served-model.ts';

const messages = [{ role: 'user', content: 'hi' }];
const echo = { model: 'scripted/echo' };

/** A runtime on a clock that stands still. */
async function host(models: RuntimeConfig['models'], more: Partial<RuntimeConfig> = {}) {
  const clock = new VirtualClock(1_000_000);
  const bus = createMemoryBus();
  const runtime = await createRuntime({ models, ...more }, { bus, clock });
  const ask = (id: string, callId: string) => connect(bus).model(id).invoke('hi', { callId });
  return { clock, bus, runtime, ask };
}

describe('a runtime that takes on another configuration', () => {
  it('hosts what was added, and says what was different', async () => {
    const { runtime, ask } = await host({ a: echo, b: echo, c: echo });
    const changes = await runtime.reload({
      models: { d: echo, a: echo, b: { ...echo, text: 'other' }, e: echo },
      nats: { servers: 'nats://elsewhere' },
    });
    expect(changes).toEqual({ added: ['d', 'e'], changed: ['b'], limited: [], removed: ['c'], lasting: ['nats'] });
    expect([...runtime.models.keys()]).toEqual(['d', 'a', 'b', 'e']);
    expect((await ask('d', 'x')).text).toBe('hi');
    expect((await ask('b', 'x')).text).toBe('other');
    await expect(ask('c', 'x')).rejects.toMatchObject({ code: 'no_responder' });
    await runtime.close();
  });

  it('tells watchers of the iModels there are and of those that come', async () => {
    const { runtime } = await host({ a: echo });
    const seen: string[] = [];
    const leave = runtime.watchModels(({ id, modelName }) => seen.push(`${id} ${modelName}`));
    await runtime.reload({ models: { a: { model: 'scripted/two' }, b: echo } });
    leave();
    await runtime.reload({ models: { a: { model: 'scripted/two' }, c: echo } });
    expect(seen).toEqual(['a echo', 'a two', 'b echo']);
    await runtime.close();
  });

  it('changes a limit of the actor that runs, for calls that wait too', async () => {
    const slow = { model: 'scripted/echo', delayMs: 1_000 };
    const { runtime, clock } = await host({ a: { ...slow, concurrencyLimit: 1, limitRequests: 10 } });
    const model = runtime.models.get('a');
    const calls = [1, 2, 3].map(() => model?.invoke({ messages }));
    expect(model?.state).toMatchObject({ running: 1, queue: { waiting: 2 } });
    const changes = await runtime.reload({ models: { a: { ...slow, concurrencyLimit: 2, queueCapacity: 7 } } });
    expect(changes).toMatchObject({ limited: ['a'], changed: [] });
    expect(runtime.models.get('a')).toBe(model);
    expect(model?.state).toMatchObject({ running: 2, queue: { waiting: 1, capacity: 7 } });
    expect(model?.state.budget.requests.limit).toBeNull();
    expect(model?.toDict().processor_config).toMatchObject({ concurrency_limit: 2, limit_requests: null });
    await clock.advance(2_000);
    expect((await Promise.all(calls)).map((call) => call?.status)).toEqual(Array(3).fill('completed'));
    await runtime.close();
  });

  it('lets the actor before work off its calls while the next one takes the new ones', async () => {
    const slow = (text: string) => ({ model: 'scripted/echo', text, delayMs: 1_000, concurrencyLimit: 1 });
    const { runtime, clock, ask } = await host({ a: slow('before') });
    const old = runtime.models.get('a');
    const before = [ask('a', 'one'), ask('a', 'two')];
    await clock.advance(100);
    // Another model: another upstream.
    await runtime.reload({ models: { a: { ...slow('after'), model: 'scripted/other' } } });
    const after = ask('a', 'three');
    await clock.advance(1_000);
    expect((await after).text).toBe('after');
    expect((await before[0])?.text).toBe('before');
    await clock.advance(1_000);
    expect((await before[1])?.text).toBe('before');
    expect(old?.status).toBe('idle');
    await clock.advance(5_000);
    expect(old?.status).toBe('closed');
    expect(runtime.models.get('a')?.status).toBe('idle');
    await runtime.close();
  });

  it('keeps the limits of an upstream that both ask, and the order', async () => {
    const limited = (text: string) => ({
      model: 'scripted/echo',
      text,
      limitRequests: 3,
      interval: 10,
      windowMargin: 0,
    });
    const { runtime, clock } = await host({ a: limited('before') });
    const begun: [text: string, at: number][] = [];
    const order = async (): Promise<void> => {
      const call = await runtime.models.get('a')?.invoke({ messages });
      begun.push([call?.text ?? '', clock.now() - 1_000_000]);
    };
    const calls = [1, 2, 3, 4].map(order);
    await clock.advance(1_000);
    await runtime.reload({ models: { a: limited('after') } });
    calls.push(...[1, 2, 3].map(order));
    await clock.advance(8_999);
    expect(begun).toEqual(Array(3).fill(['before', 0]));
    await clock.advance(1);
    expect(begun.slice(3)).toEqual([
      ['before', 10_000],
      ['after', 10_000],
      ['after', 10_000],
    ]);
    await clock.advance(10_000);
    await Promise.all(calls);
    expect(begun.at(-1)).toEqual(['after', 20_000]);
    await runtime.close();
  });

  it('leaves one that is paused paused, and ends the calls that waited in the one before', async () => {
    const { runtime, ask, clock } = await host({ a: echo, b: echo });
    for (const model of runtime.models.values()) model.pause();
    const waiting = [ask('a', 'one'), ask('b', 'one')];
    const ended = Promise.allSettled(waiting);
    await clock.advance(10);
    await runtime.reload({ models: { a: { ...echo, text: 'after' } } });
    expect((await ended).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await expect(waiting[0]).rejects.toMatchObject({ code: 'closed' });
    expect(runtime.models.get('a')?.status).toBe('paused');
    const call = ask('a', 'two');
    runtime.models.get('a')?.resume();
    expect((await call).text).toBe('after');
    await runtime.close();
  });

  it('changes nothing where something is wrong', async () => {
    const { runtime, ask } = await host({ a: echo, b: echo });
    const before = [...runtime.models.values()];
    const broken: [RuntimeConfig['models'], string][] = [
      [{ a: { ...echo, text: 'new' }, c: { model: 'nobody/x' } }, 'models.c'],
      [{ a: { ...echo, limitRequests: 0 } }, 'models.a.limitRequests'],
      [{}, 'models'],
      [{ 'not an id': echo }, 'models.not an id'],
    ];
    for (const [models, field] of broken) {
      await expect(runtime.reload({ models })).rejects.toMatchObject({
        code: 'config',
        failure: { field: expect.stringContaining(field) },
      });
    }
    expect([...runtime.models.values()]).toEqual(before);
    expect((await ask('a', 'x')).text).toBe('hi');
    await runtime.close();
    await expect(runtime.reload({ models: { a: echo } })).rejects.toMatchObject({ code: 'closed' });
  });

  it('takes one after the other, and ends what is left when it closes', async () => {
    const slow = { model: 'scripted/echo', delayMs: 1_000 };
    const { runtime, clock, ask } = await host({ a: { ...slow, text: '0' } });
    const call = ask('a', 'one');
    await clock.advance(10);
    const reloads = [1, 2, 3].map((n) => runtime.reload({ models: { a: { ...slow, text: String(n) } } }));
    expect((await Promise.all(reloads)).map(({ changed }) => changed)).toEqual([['a'], ['a'], ['a']]);
    const last = ask('a', 'two');
    await clock.advance(10);
    const closed = runtime.close({ drain: true, timeoutMs: 5_000 });
    await clock.advance(2_000);
    await closed;
    expect([(await call).text, (await last).text]).toEqual(['0', '3']);
  });

  it('goes on with the states of those that stay, and with what was kept of those that come back', async () => {
    const state = await mkdtemp(join(tmpdir(), 'imodel-reload-'));
    const slow = { model: 'scripted/echo', delayMs: 1_000, concurrencyLimit: 1 };
    const { runtime, clock } = await host({ a: slow, b: slow }, { state });
    runtime.models
      .get('a')
      ?.invoke({ messages }, { callId: 'worked-off' })
      .catch(() => {});
    await runtime.reload({ models: { b: { ...slow, text: 'new' } } });
    await clock.advance(1_000);
    const kept = async (id: string) => JSON.parse(await readFile(join(state, `${id}.json`), 'utf8')) as object;
    await expect.poll(() => kept('a')).toMatchObject({ state: { calls: [], counters: { completed: 1 } } });
    runtime.models.get('b')?.pause();
    runtime.models
      .get('b')
      ?.invoke({ messages }, { callId: 'waits' })
      .catch(() => {});
    await runtime.save();
    expect(await kept('b')).toMatchObject({
      endpoint: { config: { kwargs: { text: 'new' } } },
      state: { life: 'paused' },
    });
    await clock.advance(5_000);
    await runtime.reload({ models: { a: slow, b: { ...slow, text: 'new' } } });
    expect(runtime.models.get('a')?.state.counters.completed).toBe(1);
    expect(runtime.models.get('b')?.state.queue.waiting).toBe(1);
    await runtime.close();
    await rm(state, { recursive: true });
  });
});

describe.each(Object.entries(buses))('under load over %s', (_name, open) => {
  it('no call fails while a model is changed twenty times', async () => {
    const { host: hosting, caller: calling } = await open();
    const id = uniqueId();
    const entry = (n: number) => ({ model: `scripted/m${n % 3}`, text: `${n}`, delayMs: 5 });
    const runtime = await createRuntime({ models: { [id]: entry(0) } }, { bus: hosting });
    const model = connect(calling).model(id);
    let isOver = false;
    let calls = 0;
    const caller = async (): Promise<void> => {
      while (!isOver) {
        const { status } = await model.invoke('hi');
        expect(status).toBe('completed');
        calls += 1;
      }
    };
    const callers = Promise.all(Array.from({ length: 8 }, caller));
    for (let n = 1; n <= 20; n += 1) {
      await runtime.reload({ models: { [id]: entry(n) } });
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    isOver = true;
    await callers;
    expect(calls).toBeGreaterThan(100);
    expect((await model.invoke('hi')).text).toBe('20');
    await runtime.close();
    await Promise.all([hosting.close(), calling.close()]);
  });
});
