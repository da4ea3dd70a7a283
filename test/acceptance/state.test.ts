import { describe, expect, it } from 'vitest';
import type { FailureOf } from '../../schemas/failure.ts';
import type { LiveState } from '../../schemas/live-state.ts';
import { createMemoryBus, IModelError, iModel, type ModelDict } from '../../src/index.ts';
import { startUpstream } from '../../src/testing/upstream.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { buses, serveScripted } from '../integration/served-model.ts';

const messages = [{ role: 'user', content: 'hello' }];

/** An iModel with a call that runs and two that wait, and what it was. */
async function busyModel() {
  const clock = new VirtualClock(1_000_000);
  const model = new iModel({
    provider: 'scripted',
    delay_ms: 1_000,
    concurrencyLimit: 1,
    limitRequests: 10,
    interval: 60,
    clock,
  });
  for (const callId of ['runs', 'waits-1', 'waits-2']) model.invoke({ messages }, { callId }).catch(() => {});
  await clock.advance(100);
  return { clock, model };
}

function throughJson(data: unknown): ModelDict {
  return JSON.parse(JSON.stringify(data)) as ModelDict;
}

describe('119: the same call message delivered twice', () => {
  it.each(Object.entries(buses))('is one provider request and one result, over %s', async (_name, open) => {
    await using served = await serveScripted(open, { delay_ms: 30 });
    const send = () => served.caller.request(`imodel.${served.id}.invoke`, { messages }, { headers, timeoutMs: 5_000 });
    const headers = { 'Imodel-Call': 'the-same-call' };
    const both = await Promise.all([send(), send()]);
    // A third one comes when the call has ended.
    const replies = [...both, await send()].map((message) => message.value() as { id: string; text: string });
    expect(replies.map(({ id, text }) => [id, text])).toEqual(Array(3).fill(['the-same-call', 'hello']));
    expect(new Set(replies.map((reply) => JSON.stringify(reply))).size).toBe(1);
    expect(served.model.state.counters.started).toBe(1);
  });
});

describe('120: a restart with two waiting calls and one that runs', () => {
  it('runs those that waited, and the other has failed, is retryable, and is not sent again', async () => {
    const { clock, model } = await busyModel();
    const dict = throughJson(model.toDict({ state: true }));
    await using restored = iModel.fromDict(dict, { clock: new VirtualClock(clock.now() + 5_000) });
    const begun: unknown[] = [];
    restored.observe(({ type, call_id: id }) => type === 'pre_invocation' && begun.push(id));
    expect(restored.restoredCalls.map(({ id }) => id)).toEqual(['runs', 'waits-1', 'waits-2']);
    expect(restored.call('runs')).toMatchObject({
      status: 'failed',
      failure: { code: 'interrupted', retryable: true },
    });
    expect(restored.call('waits-1')).toMatchObject({ status: 'processing', payload: { messages } });
    await (restored.live.clock as VirtualClock).advance(10_000);
    for (const id of ['waits-1', 'waits-2']) {
      expect(restored.call(id)).toMatchObject({ status: 'completed', text: 'hello' });
    }
    expect(begun).toEqual(['waits-2']);
    // The one that ran still counts, and so do those that ran here.
    expect(restored.state.budget.requests.used).toBe(3);
    expect(restored.state.counters).toMatchObject({ submitted: 3, started: 3, completed: 2, failed: 1 });
    await model.close();
  });

  it('keeps the outcome for a caller on the bus who asks again with the same id', async () => {
    const { clock, model } = await busyModel();
    const bus = createMemoryBus();
    const restored = iModel.fromDict(throughJson(model.toDict({ state: true })), { clock });
    const served = restored.serve(bus);
    const ask = (id: string) =>
      bus.request(`imodel.${restored.id}.invoke`, { messages }, { headers: { 'Imodel-Call': id }, timeoutMs: 5_000 });
    expect((await ask('runs')).value()).toMatchObject({ id: 'runs', failure: { code: 'interrupted' } });
    const waiting = ask('waits-2');
    await clock.advance(5_000);
    expect((await waiting).value()).toMatchObject({ id: 'waits-2', execution: { status: 'completed' } });
    expect(restored.state.counters.started).toBe(3);
    served.close();
    await Promise.all([model.close(), restored.close()]);
  });
});

describe('a dict with live state', () => {
  it('is read back to the same dict', async () => {
    const { clock, model } = await busyModel();
    model.pause();
    const dict = throughJson(model.toDict({ state: true }));
    // Nothing runs, so nothing changes on the way.
    const quiet = { ...dict, state: { ...dict.state, calls: dict.state?.calls.slice(1) } };
    await using restored = iModel.fromDict(throughJson(quiet), { clock });
    const again = restored.toDict({ state: true });
    expect(again.state?.calls).toEqual(quiet.state.calls);
    expect(again.state?.window).toEqual(dict.state?.window);
    expect(restored.status).toBe('paused');
    expect({ ...again, state: null }).toEqual({ ...dict, state: null });
    await model.close();
  });

  it('ends calls whose time has passed meanwhile as timed out', async () => {
    const clock = new VirtualClock(1_000_000);
    const model = new iModel({ provider: 'scripted', clock });
    model.pause();
    model.invoke({ messages }, { callId: 'late', timeoutMs: 500 }).catch(() => {});
    model.invoke({ messages }, { callId: 'in-time', timeoutMs: 50_000 }).catch(() => {});
    const dict = throughJson(model.toDict({ state: true }));
    await using restored = iModel.fromDict(dict, { clock: new VirtualClock(clock.now() + 10_000) });
    expect(restored.call('late')).toMatchObject({ status: 'aborted', failure: { code: 'timed_out', timeoutMs: 500 } });
    expect(restored.call('in-time')?.status).toBe('pending');
    await model.close();
  });

  it('leaves a used-up limit used up until its window has passed', async () => {
    const clock = new VirtualClock(1_000_000);
    const model = new iModel({ provider: 'scripted', limitRequests: 2, interval: 60, windowMargin: 0, clock });
    await Promise.all([model.invoke({ messages }), model.invoke({ messages })]);
    await clock.advance(20_000);
    const later = new VirtualClock(clock.now());
    await using restored = iModel.fromDict(throughJson(model.toDict({ state: true })), { clock: later });
    const call = restored.invoke({ messages });
    await later.advance(39_999);
    expect(restored.status).toBe('throttled');
    await later.advance(1);
    expect((await call).status).toBe('completed');
    await model.close();
  });

  it('is smaller than 1.3 times the payloads of 10,000 waiting calls', async () => {
    const model = new iModel({ provider: 'scripted', queueCapacity: 10_000 });
    model.pause();
    const content = 'Summarise the following paragraph in one sentence. '.repeat(10);
    for (let n = 0; n < 10_000; n += 1) model.invoke({ messages: [{ role: 'user', content }] }).catch(() => {});
    const dict = model.toDict({ state: true });
    const payloads = dict.state?.calls.map(({ payload }) => payload);
    expect(payloads).toHaveLength(10_000);
    expect(JSON.stringify(dict).length).toBeLessThan(1.3 * JSON.stringify(payloads).length);
    await model.close();
  });

  it('holds no key, wherever the key has crept in', async () => {
    const apiKey = 'sk-"quoted"-0123456789';
    const model = new iModel({ model: 'openai/gpt-4o-mini', apiKey });
    model.pause();
    model
      .invoke({ messages: [{ role: 'user', content: `my key is ${apiKey}` }] }, { callId: 'a', caller: apiKey })
      .catch(() => {});
    const text = JSON.stringify(model.toDict({ state: true }));
    expect(text).not.toContain('0123456789');
    expect(text).toContain('my key is (redacted)');
    await model.close();
  });
});

describe('what a dict holds besides', () => {
  it('has the fallbacks, with what they have used of their limits', async () => {
    const clock = new VirtualClock(1_000_000);
    const failing = { provider: 'scripted', failures: Array(9).fill({ code: 'unavailable' }), retry: null };
    const spare = { provider: 'scripted', text: 'spare', limitRequests: 1, interval: 60 };
    const model = new iModel({ ...failing, fallbacks: [spare], clock });
    expect((await model.invoke({ messages })).text).toBe('spare');
    const dict = throughJson(model.toDict({ state: true }));
    expect(dict.fallbacks).toHaveLength(1);
    await using restored = iModel.fromDict(dict, { clock: new VirtualClock(clock.now()) });
    expect(restored.fallbacks.map(({ state }) => state.budget.requests)).toEqual([{ limit: 1, used: 1, remaining: 0 }]);
    expect(throughJson(restored.toDict()).fallbacks).toEqual(throughJson(model.toDict()).fallbacks);
    const copy = restored.copy();
    await restored.close();
    expect(copy.fallbacks.map(({ status }) => status)).toEqual(['idle']);
    await Promise.all([model.close(), copy.close()]);
  });

  it('names the fallback in which a mistake is', () => {
    const model = new iModel({ provider: 'scripted', fallbacks: ['scripted/spare'] });
    const dict = throughJson(model.toDict());
    const spare = dict.fallbacks?.[0] as { endpoint: { config: { timeout: unknown } } };
    spare.endpoint.config.timeout = 'long';
    expect(mistake(() => iModel.fromDict(dict))).toMatchObject({ field: 'fallbacks.0.endpoint.config.timeout' });
  });

  it('has no credential of the base URL’s query, and wants it given again', async () => {
    await using upstream = await startUpstream((_request, reply) =>
      reply.json({ choices: [{ message: { content: 'hi' } }] }),
    );
    const baseUrl = `${upstream.url}/v1?api-version=2024-10-21&key=k-123&sv=${'s'.repeat(30)}`;
    const model = new iModel({ provider: 'openai', model: 'm', baseUrl, apiKey: 'sk-something' });
    const dict = throughJson(model.toDict());
    expect(dict.endpoint.config.base_url).toBe(
      `${upstream.url}/v1?api-version=2024-10-21&key=(redacted)&sv=(redacted)`,
    );
    expect(mistake(() => iModel.fromDict(dict))).toMatchObject({ field: 'endpoint.config.base_url' });
    const restored = iModel.fromDict(dict, { baseUrl, apiKey: 'sk-something' });
    expect(throughJson(restored.toDict())).toEqual(dict);
    await Promise.all([model.close(), restored.close()]);
  });
});

function mistake(make: () => unknown): FailureOf<'config'> {
  try {
    make();
  } catch (error) {
    if (IModelError.is(error) && error.failure.code === 'config') return error.failure;
    throw error;
  }
  throw new Error('It was taken');
}

describe('a dict that was damaged', () => {
  const cases: [name: string, damage: (state: LiveState) => unknown, field: string][] = [
    [
      'no time of queueing',
      (state) => Reflect.deleteProperty(state.calls[1] ?? {}, 'queued_at'),
      'state.calls.1.queued_at',
    ],
    ['a text for tokens', (state) => Object.assign(state.calls[0] ?? {}, { tokens: 'many' }), 'state.calls.0.tokens'],
    ['a priority of 99', (state) => Object.assign(state.calls[0] ?? {}, { priority: 99 }), 'state.calls.0.priority'],
    ['an unknown stage', (state) => Object.assign(state.calls[0] ?? {}, { stage: 'lost' }), 'state.calls.0.stage'],
    ['no payload', (state) => Object.assign(state.calls[2] ?? {}, { payload: null }), 'state.calls.2.payload'],
    ['an id twice', (state) => Object.assign(state.calls[2] ?? {}, { id: 'waits-1' }), 'state.calls.2.id'],
    [
      'an unknown field of a call',
      (state) => Object.assign(state.calls[0] ?? {}, { cheese: 1 }),
      'state.calls.0.cheese',
    ],
    ['a breaker that is ajar', (state) => Object.assign(state, { breaker: { state: 'ajar' } }), 'state.breaker.state'],
    ['a window of texts', (state) => Object.assign(state.window, { used: ['x'] }), 'state.window.used.0'],
    [
      'an expiry before time began',
      (state) => Object.assign(state.window, { used: [[-1, 1]] }),
      'state.window.used.0.0',
    ],
    ['no counters', (state) => Reflect.deleteProperty(state, 'counters'), 'state.counters'],
    ['a life of its own', (state) => Object.assign(state, { life: 'undead' }), 'state.life'],
    ['a list for the state', (state) => Object.assign(state, { calls: {} }), 'state.calls'],
  ];

  it.each(cases)('is refused with the path: %s', async (_name, damage, field) => {
    const { model } = await busyModel();
    const before = JSON.stringify(model.toDict({ state: true }));
    const dict = throughJson(model.toDict({ state: true }));
    damage(dict.state as LiveState);
    const failure = mistake(() => iModel.fromDict(dict));
    expect(failure).toMatchObject({ code: 'config', field });
    expect(failure.message).toContain(field);
    // The one that runs has not noticed.
    expect(JSON.stringify(model.toDict({ state: true }))).toBe(before);
    await model.close();
  });

  it('is refused when a later version wrote it', () => {
    const dict = { ...new iModel({ provider: 'scripted' }).toDict({ state: true }), schema_version: 2 };
    const failure = mistake(() => iModel.fromDict(dict));
    expect(failure).toMatchObject({ field: 'schema_version' });
    expect(failure.message).toMatch(/`schema_version` 2; this program reads up to 1/);
  });
});
