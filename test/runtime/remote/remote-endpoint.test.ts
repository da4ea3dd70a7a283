import { afterEach, describe, expect, it } from 'vitest';
import { createActor } from 'xstate';
import { getSimplePaths } from 'xstate/graph';
import { type EndpointEvent, endpointMachine, endpointStatuses } from '../../../actors/endpoint.ts';
import type { Bus, BusOptions } from '../../../src/bus/bus.ts';
import { createMemoryBus } from '../../../src/bus/memory.ts';
import { subjects } from '../../../src/bus/subjects.ts';
import { IModelError } from '../../../src/errors.ts';
import { iModel } from '../../../src/imodel.ts';
import { createEndpoint } from '../../../src/providers/create.ts';
import { type ServedEndpoint, serveEndpoint } from '../../../src/runtime/serving/serve-endpoint.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';
import { connectTestBus, uniqueId } from '../../integration/connect-test-bus.ts';

const messages = [{ role: 'user', content: 'one two three four' }];

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A bus for the host of the endpoint and one for the iModel; the same one in memory. */
const buses: [string, (options?: BusOptions) => Promise<{ readonly host: Bus; readonly caller: Bus }>][] = [
  [
    'memory',
    async (options) => {
      const bus = createMemoryBus(options);
      closers.push(() => bus.close());
      return { host: bus, caller: bus };
    },
  ],
  [
    'NATS',
    async (options) => {
      const [host, caller] = await Promise.all([connectTestBus(options), connectTestBus()]);
      closers.push(
        () => host.close(),
        () => caller.close(),
      );
      return { host, caller };
    },
  ],
];

describe.each(buses)('an endpoint that is served over %s', (_name, connectBoth) => {
  const setUp = async (
    script: Record<string, unknown> = {},
    options: Record<string, unknown> = {},
    onError: BusOptions['onError'] = () => {},
  ) => {
    const { host, caller } = await connectBoth({ onError });
    const name = uniqueId();
    const endpoint = createEndpoint({ provider: 'scripted', ...script });
    const served: ServedEndpoint = serveEndpoint(endpoint, name, host);
    await host.flush();
    const model = new iModel({ provider: 'scripted', endpoint: 'remote', endpointName: name, bus: caller, ...options });
    closers.push(
      () => served.close(),
      () => model.close(),
    );
    return { host, caller, name, served, model };
  };

  it('answers a call as one in this process does', async () => {
    const { model, served } = await setUp({ text: 'hello' });
    const call = await model.invoke({ messages });
    expect([call.status, call.text]).toEqual(['completed', 'hello']);
    expect(call.usage?.totalTokens).toBeGreaterThan(0);
    expect(served.status).toBe('ready');
    expect(model.state.endpoint_status).toBe('ready');
  });

  it('streams every chunk in order, far beyond the credit window', async () => {
    const { model } = await setUp({ text: 'x'.repeat(3_000), chunks: 1_500 });
    let text = '';
    let chunks = 0;
    const stream = model.stream({ messages });
    for await (const chunk of stream) {
      if (chunk.type !== 'text') continue;
      text += chunk.content;
      chunks += 1;
    }
    expect([chunks, text.length]).toEqual([1_500, 3_000]);
    expect(stream.call.status).toBe('completed');
  });

  it('holds the endpoint back when the reader pauses, and loses nothing', async () => {
    const { model } = await setUp({ text: 'x'.repeat(4_000), chunks: 4_000 });
    const stream = model.stream({ messages });
    const seen: unknown[] = [];
    for await (const chunk of stream) {
      seen.push(chunk);
      if (seen.length === 10) await new Promise((resolve) => setTimeout(resolve, 300));
    }
    expect(seen.filter((chunk) => (chunk as { type: string }).type === 'text')).toHaveLength(4_000);
  });

  it('passes failures on as they are', async () => {
    const { model } = await setUp({ failures: ['overloaded'] });
    const call = await model.invoke({ messages });
    expect(call.status).toBe('failed');
    expect(call.failure).toMatchObject({ code: 'overloaded', retryable: true });
  });

  it('stops the run elsewhere when its call is cancelled, and ends only then', async () => {
    const { model, host, name } = await setUp({ delayMs: 30_000 });
    const ends: unknown[] = [];
    host.subscribe(subjects.endpointOut(name, '*'.replace('*', 'cancel-me')), (message) => {
      const value = message.value() as { kind: string; failure?: { code: string } };
      if (value.kind === 'end') ends.push(value.failure?.code);
    });
    await host.flush();
    const controller = new AbortController();
    const pending = model.invoke({ messages }, { signal: controller.signal, callId: 'cancel-me' });
    setTimeout(() => controller.abort(new Error('changed my mind')), 50);
    const error = await pending.catch((thrown: unknown) => thrown);
    expect(IModelError.is(error) && error.code).toBe('cancelled');
    await expect.poll(() => ends).toEqual(['cancelled']);
  });

  it('keeps what had arrived when its host stops in the middle', async () => {
    const { model, served } = await setUp({ text: 'a b c d e f', chunks: 6, chunkDelayMs: 200 });
    const stream = model.stream({ messages });
    let read = 0;
    const error = await (async () => {
      for await (const chunk of stream) {
        if (chunk.type === 'text') read += 1;
        if (read === 2) void served.close();
      }
      return null;
    })().catch((thrown: unknown) => thrown);
    expect(IModelError.is(error) && error.code).toBe('interrupted');
    expect(stream.call.status).toBe('failed');
    expect(stream.call.text).not.toBe('');
  });

  it('cancels a run whose iModel has been silent for half a minute, and none that says it is there', async () => {
    const { host, caller } = await connectBoth();
    const clock = new VirtualClock();
    const name = uniqueId();
    const served = serveEndpoint(createEndpoint({ provider: 'scripted', delayMs: 3_600_000 }), name, host, clock);
    closers.push(() => served.close());
    const ends = new Map<string, unknown>();
    for (const callId of ['quiet', 'present']) {
      caller.subscribe(subjects.endpointOut(name, callId), (message) => {
        const { kind, failure } = message.value() as { kind: string; failure?: unknown };
        if (kind === 'end') ends.set(callId, failure);
      });
      const ask = { call_id: callId, payload: { messages }, streaming: false, credit: 8 };
      await Promise.all([host.flush(), caller.flush()]);
      await caller.request(subjects.endpointCall(name), ask, { timeoutMs: 5_000 });
    }
    for (let step = 0; step < 8; step += 1) {
      await clock.advance(5_000);
      caller.publish(subjects.endpointCtl(name, served.node), { type: 'extend', call_id: 'present' });
      await caller.flush();
      await host.flush();
    }
    await expect
      .poll(() => [...ends])
      .toMatchObject([['quiet', { code: 'cancelled', reason: 'its iModel is silent' }]]);
  });

  it('reports what cannot be read where nobody waits for an answer, and runs the next call', async () => {
    const reported: unknown[] = [];
    const { name, model, caller, served } = await setUp({ text: 'hello' }, {}, (error) => void reported.push(error));
    caller.publish(subjects.endpointCall(name), { call_id: 'a.b' });
    caller.publish(subjects.endpointCancel(name), 'x');
    caller.publish(subjects.endpointCtl(name, served.node), {});
    expect((await model.invoke({ messages })).text).toBe('hello');
    const refused = expect.objectContaining({ code: 'invalid_request' });
    expect(reported).toEqual([refused, refused, refused]);
  });

  it('fails at once when nobody serves the name', async () => {
    const { caller } = await connectBoth();
    const model = new iModel({ provider: 'scripted', endpoint: 'remote', endpointName: uniqueId(), bus: caller });
    closers.push(() => model.close());
    const call = await model.invoke({ messages });
    expect(call.failure).toMatchObject({ code: 'no_responder' });
    expect(model.state.endpoint_status).toBe('degraded');
  });

  it('refuses a request that its kind of endpoint does not take, before anything is sent', async () => {
    const { model } = await setUp();
    await expect(model.invoke({ messages, bogus: 1 })).rejects.toMatchObject({ code: 'invalid_request' });
  });

  it.each([
    ['no object', 42],
    ['no call id', { payload: {}, streaming: false, credit: 1 }],
    ['a call id with a dot', { call_id: 'a.b', payload: {}, streaming: false, credit: 1 }],
    ['no credit', { call_id: 'a', payload: {}, streaming: false, credit: 0 }],
    ['an unknown field', { call_id: 'a', payload: { messages, bogus: 1 }, streaming: false, credit: 1 }],
  ])('answers a message with %s by a typed failure', async (_what, body) => {
    const { caller, name } = await setUp();
    const reply = await caller.request(subjects.endpointCall(name), body, { timeoutMs: 5_000 });
    expect(reply.value()).toMatchObject({ failure: { code: 'invalid_request' } });
  });

  it('runs a call once that is asked for twice', async () => {
    const { caller, name, model } = await setUp({ text: 'once' });
    const body = { call_id: 'twice', payload: { messages }, streaming: false, credit: 10 };
    const first = (await caller.request(subjects.endpointCall(name), body, { timeoutMs: 5_000 })).value();
    const second = (await caller.request(subjects.endpointCall(name), body, { timeoutMs: 5_000 })).value();
    expect(second).toEqual(first);
    const call = await model.invoke({ messages });
    expect((call.response as { id: string }).id).toBe('scripted-2');
  });
});

it('is reached without a trip to the server where the iModel lives on the same connection', async () => {
  const bus = await connectTestBus();
  const name = uniqueId();
  const served = serveEndpoint(createEndpoint({ provider: 'scripted', text: 'x'.repeat(600), chunks: 600 }), name, bus);
  const model = new iModel({ provider: 'scripted', endpoint: 'remote', endpointName: name, bus });
  closers.push(
    () => bus.close(),
    () => served.close(),
    () => model.close(),
  );
  await bus.flush();
  const { outMsgs, inMsgs } = bus.connection.stats();
  expect((await model.invoke({ messages })).text).toHaveLength(600);
  const seen: unknown[] = [];
  for await (const { type } of model.stream({ messages })) if (type === 'text') seen.push(type);
  expect(seen).toHaveLength(600);
  expect(bus.connection.stats()).toMatchObject({ outMsgs, inMsgs });
});

it('says over NATS that an answer is too large, instead of leaving its iModel without an end', async () => {
  const [host, caller] = await Promise.all([connectTestBus({ maxBodyBytes: 1_500_000 }), connectTestBus()]);
  const name = uniqueId();
  const served = serveEndpoint(createEndpoint({ provider: 'scripted' }), name, host);
  await host.flush();
  const model = new iModel({ provider: 'scripted', endpoint: 'remote', endpointName: name, bus: caller, retry: null });
  closers.push(
    () => host.close(),
    () => caller.close(),
    () => served.close(),
    () => model.close(),
  );
  const { status, failure } = await model.invoke({ messages, text: 'x'.repeat(1_400_000) });
  expect([status, failure]).toMatchObject(['failed', { code: 'payload_too_large', limitBytes: 1_500_000 }]);
});

it('needs a bus to reach an endpoint elsewhere', () => {
  expect(() => new iModel({ provider: 'scripted', endpoint: 'remote' })).toThrow(/Expected `bus`/);
});

describe('the endpoint machine', () => {
  const events = (['upstream.answered', 'upstream.lost', 'endpoint.close'] as const).map((type) => ({ type }));
  const expected: Record<string, Partial<Record<EndpointEvent['type'], string>>> = {
    connecting: { 'upstream.answered': 'ready', 'upstream.lost': 'degraded', 'endpoint.close': 'closed' },
    ready: { 'upstream.lost': 'degraded', 'endpoint.close': 'closed' },
    degraded: { 'upstream.answered': 'ready', 'endpoint.close': 'closed' },
    closed: {},
  };

  it('moves on every path as it should and reaches every state', () => {
    const reached = new Set<string>();
    for (const { steps } of getSimplePaths(endpointMachine, { events })) {
      const actor = createActor(endpointMachine).start();
      for (const { event } of steps) {
        if ((event.type as string) === 'xstate.init') continue;
        const before = actor.getSnapshot().value;
        actor.send(event);
        expect(actor.getSnapshot().value).toBe(expected[before]?.[event.type] ?? before);
      }
      reached.add(actor.getSnapshot().value);
    }
    expect(reached).toEqual(new Set(endpointStatuses));
  });
});
