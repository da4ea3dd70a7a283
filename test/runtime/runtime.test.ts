import { describe, expect, inject, it } from 'vitest';
import { createMemoryBus } from '../../src/bus/memory.ts';
import { IModelError } from '../../src/errors.ts';
import { iModel } from '../../src/imodel.ts';
import { connect } from '../../src/runtime/remote/remote-model.ts';
import { createRuntime } from '../../src/runtime/runtime.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { connectTestBus, uniqueId } from '../integration/connect-test-bus.ts';

describe('a runtime', () => {
  it('hosts many iModels on a bus of its own', async () => {
    await using runtime = await createRuntime({
      models: { one: { model: 'scripted/a', text: 'first' }, two: { model: 'scripted/b', text: 'second' } },
    });
    const bus = connect(runtime.bus);
    expect((await bus.model('one').invoke('hi')).text).toBe('first');
    expect((await bus.model('two').invoke('hi')).text).toBe('second');
    expect([...runtime.models.keys()]).toEqual(['one', 'two']);
  });

  it('goes on with the iModel of a dict, whose fallback has used of its limit what it had', async () => {
    const spare = { provider: 'scripted', text: 'spare', limitRequests: 5, interval: 60 };
    const failing = { provider: 'scripted', failures: Array(9).fill({ code: 'unavailable' }), retry: null };
    await using model = new iModel({ ...failing, id: uniqueId(), fallbacks: [spare] });
    expect((await model.invoke({ messages: [{ role: 'user', content: 'hi' }] })).text).toBe('spare');
    const dict = JSON.parse(JSON.stringify(model.toDict({ state: true }))) as object;
    await using runtime = await createRuntime({ models: {} }, { dicts: [dict] });
    const again = runtime.models.get(model.id);
    expect(again?.state.counters).toMatchObject({ submitted: 1 });
    expect(again?.fallbacks.map(({ state }) => state.budget.requests)).toEqual([{ limit: 5, used: 1, remaining: 4 }]);
  });

  it('serves on NATS, where others find it', async () => {
    const id = uniqueId();
    const nats = { servers: inject('natsUrl') };
    const runtime = await createRuntime({ models: { [id]: { model: 'scripted/a', text: 'hello' } }, nats });
    const bus = await connectTestBus();
    expect((await connect(bus).model(id).invoke('hi')).text).toBe('hello');
    await runtime.close({ drain: true });
    await expect(connect(bus).model(id).invoke('hi')).rejects.toMatchObject({ code: 'no_responder' });
    await bus.close();
  });

  it('leaves a bus that was given to it open', async () => {
    const bus = createMemoryBus();
    const runtime = await createRuntime({ models: { a: { model: 'scripted/a' } } }, { bus });
    await runtime.close();
    await expect(connect(bus).model('a').invoke('hi')).rejects.toMatchObject({ code: 'no_responder' });
    await bus.close();
  });

  it('lets running calls finish when it drains, and ends those that wait', async () => {
    const clock = new VirtualClock();
    const models = { a: { model: 'scripted/a', delayMs: 1_000, concurrencyLimit: 1 } };
    const runtime = await createRuntime({ models }, { clock });
    const model = connect(runtime.bus).model('a');
    const running = model.invoke('one');
    const waiting = model.invoke('two');
    await clock.advance(10);
    const closed = runtime.close({ drain: true });
    await expect(waiting).rejects.toMatchObject({ code: 'closed' });
    await clock.advance(990);
    expect((await running).text).toBe('one');
    await closed;
  });

  it('keeps a stream going while it drains, credit and all', async () => {
    const models = { a: { model: 'scripted/a', text: 'x', chunks: 500, chunkDelayMs: 1 } };
    const clock = new VirtualClock();
    const runtime = await createRuntime({ models }, { clock });
    const stream = connect(runtime.bus).model('a').stream('hi', { credit: 4 });
    const first = stream.next();
    await clock.advance(1);
    expect(await first).toMatchObject({ value: { type: 'system' } });
    const closed = runtime.close({ drain: true });
    let count = 0;
    const read = (async () => {
      for await (const chunk of stream) if (chunk.type === 'text') count += 1;
    })();
    while (stream.call === null) await clock.advance(1);
    await read;
    expect(count).toBe(500);
    await closed;
  });

  it('ends running calls after the time that is configured', async () => {
    const clock = new VirtualClock();
    const models = { a: { model: 'scripted/a', delayMs: 60_000 } };
    const runtime = await createRuntime({ models, drainTimeout: 2 }, { clock });
    const call = connect(runtime.bus).model('a').invoke('one');
    const refused = expect(call).rejects.toMatchObject({ code: 'closed' });
    await clock.advance(10);
    const closed = runtime.close({ drain: true });
    await clock.advance(1_999);
    expect(runtime.models.get('a')?.state.running).toBe(1);
    await clock.advance(1);
    await refused;
    await closed;
  });

  it('ends at once when it is closed again without draining', async () => {
    const models = { a: { model: 'scripted/a', delayMs: 60_000 } };
    const runtime = await createRuntime({ models });
    const call = runtime.models.get('a')?.invoke({ prompt: 'one' });
    const refused = expect(call).rejects.toMatchObject({ code: 'closed' });
    const closed = runtime.close({ drain: true });
    await runtime.close();
    await refused;
    await closed;
  });

  it('names the iModel and the option that is wrong, and leaves nothing behind', async () => {
    const models = { good: { model: 'scripted/a' }, bad: { model: 'openai/gpt-4o', limit_request: 5 } };
    const error: unknown = await createRuntime({ models }).catch((thrown: unknown) => thrown);
    expect(IModelError.is(error) && error.failure).toMatchObject({
      code: 'config',
      field: 'models.bad.limit_request',
      message: expect.stringMatching(/^models\.bad: .*did you mean the option `limit_requests`\?$/),
    });
  });

  it.each([
    [{ models: {} }, 'one iModel or more'],
    [{ models: { 'a.b': { model: 'scripted/a' } } }, '1 to 64 of the characters'],
    [{ models: { a: { model: 'scripted/a', id: 'b' } } }, 'expected `id` to be absent'],
    [{ models: { a: { model: 'scripted/a', limitRequests: 0 } } }, 'limitRequests'],
    [{ models: { a: { model: 'scripted/a' } }, drainTimeout: -1 }, '`drainTimeout`: at least 0, got `-1` (number)'],
  ])('%j is refused', async (config, message) => {
    await expect(createRuntime(config)).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining(message),
    });
  });

  it('says that its server cannot be reached', async () => {
    const config = { models: { a: { model: 'scripted/a' } }, nats: { servers: 'nats://127.0.0.1:1' } };
    await expect(createRuntime(config)).rejects.toMatchObject({ code: 'unavailable' });
  });
});
