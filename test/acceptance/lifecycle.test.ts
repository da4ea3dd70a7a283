import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { failureOf } from '../../schemas/failure.ts';
import { type IModelError, iModel } from '../../src/index.ts';
import { startUpstream } from '../../src/testing/upstream.ts';
import { rejection, timedModel } from './timed-endpoint.ts';

describe('the life of a call', () => {
  it('20. given a new call, then pending, response null, duration null in the dump', () => {
    const { model, endpoint } = timedModel();
    const call = model.createApiCalling({ name: 'a' });
    expect(call.toDict().execution).toEqual({
      status: 'pending',
      duration: null,
      response: null,
      error: null,
      retryable: null,
    });
    expect([call.ended, call.failure, call.timing.queuedAt]).toEqual([false, null, null]);
    expect(endpoint.starts).toEqual([]);
  });

  it('21. given success, then completed, response set, duration >= delay', async () => {
    const timed = timedModel({ limitRequests: 1, interval: 1 });
    timed.at(0, { takesMs: 200 });
    timed.at(0, { takesMs: 200, response: { answer: 42 } });
    await timed.until(2);
    const call = await timed.outcomes[1];
    expect(call).toMatchObject({ status: 'completed', response: { answer: 42 }, error: null, failure: null });
    // Waiting does not count: it was dispatched at 1 s.
    expect(call).toMatchObject({ duration: 0.2, timing: { queuedAt: 0, startedAt: 1_000, endedAt: 1_200 } });
  });

  it('22. given the core throws, then invoke resolves with failed, error class and message in the dump, duration set', async () => {
    const timed = timedModel();
    timed.at(0, { takesMs: 100, failure: failureOf('unavailable', 'the host is down', { status: 503 }) });
    timed.at(0, { takesMs: 100, thrown: new RangeError('out of range') });
    await timed.until(1);
    const [refused, broken] = await Promise.all(timed.outcomes);
    expect(refused).toMatchObject({ status: 'failed', failure: { code: 'unavailable', status: 503 }, duration: 0.1 });
    const dump = (refused as { toDict(): { execution: unknown } }).toDict();
    expect(dump.execution).toEqual({
      status: 'failed',
      duration: 0.1,
      response: null,
      error: { error: 'IModelError', message: 'the host is down' },
      retryable: true,
    });
    expect(broken).toMatchObject({ status: 'failed', failure: { code: 'internal', message: 'out of range' } });
    expect((broken as { error: IModelError }).error.cause).toBeInstanceOf(RangeError);
    expect((broken as { toDict(): { execution: unknown } }).toDict().execution).toEqual({
      status: 'failed',
      duration: 0.1,
      response: null,
      error: { error: 'RangeError', message: 'out of range' },
      retryable: false,
    });
  });

  const revoked = Proxy.revocable({}, {});
  revoked.revoke();

  it.each([
    ['a text', 'just a text', 'just a text'],
    ['an object', { secret: 'sk-of-case-22' }, '[object Object]'],
    ['an object without a text', Object.create(null), '[object Object]'],
    ['an object whose text throws', { toString: 5 }, '[object Object]'],
  ])('22. given the core throws %s, then the call fails and says so', async (_name, thrown, message) => {
    const { model } = timedModel();
    const call = await model.invoke({ thrown });
    expect(call).toMatchObject({ status: 'failed', failure: { code: 'internal', message }, duration: 0 });
    expect(call.toDict().execution.error).toEqual({ error: 'IModelError', message });
    expect(model.state.running).toBe(0);
  });

  it('22. given the core throws what cannot be looked at, then the call fails all the same', async () => {
    const { model, endpoint } = timedModel();
    endpoint.run = () => Promise.reject(revoked.proxy);
    const call = await model.invoke({});
    expect(call.failure).toMatchObject({ code: 'internal', message: 'What was thrown cannot be looked at' });
    expect(call.toDict().execution.error).toEqual({
      error: 'TypeError',
      message: 'What was thrown cannot be looked at',
    });
    await expect(model.invoke({ odd: revoked.proxy })).rejects.toMatchObject({
      code: 'invalid_request',
      failure: { path: 'odd' },
    });
    expect(model.state.running).toBe(0);
  });

  it('23. given a finished call run again, then no second request, duration unchanged', async () => {
    const { model, endpoint, clock } = timedModel();
    const call = model.createApiCalling({ takesMs: 100 });
    const first = model.invoke(call);
    await clock.advance(100);
    expect(await first).toBe(call);
    await clock.advance(5_000);
    expect(await model.invoke(call)).toBe(call);
    expect([call.status, call.duration]).toEqual(['completed', 0.1]);
    expect(endpoint.starts).toHaveLength(1);
  });

  it('23. given a failed call run again, then no second request, duration and error unchanged', async () => {
    const { model, endpoint, clock } = timedModel();
    const call = model.createApiCalling({ takesMs: 100, failure: failureOf('unavailable', 'down', {}) });
    const first = model.invoke(call);
    await clock.advance(100);
    await first;
    const dump = call.toDict();
    await clock.advance(5_000);
    expect(await model.invoke(call)).toBe(call);
    expect(call.toDict()).toEqual(dump);
    expect(dump.execution).toMatchObject({ status: 'failed', duration: 0.1 });
    expect(endpoint.starts).toHaveLength(1);
  });

  it('24. given a finished call passed to invoke, then rate units unchanged', async () => {
    const { model } = timedModel({ limitRequests: 5, limitTokens: 100 });
    const call = await model.invoke({ tokens: 10, usedTokens: 12 });
    const before = model.state;
    expect(await model.invoke(call)).toBe(call);
    expect(model.state).toEqual(before);
    expect(before.budget).toMatchObject({ requests: { used: 1 }, tokens: { used: 12 } });
  });

  it('25. given the same call invoked twice concurrently, then one request, both get the same object', async () => {
    const { model, endpoint, clock } = timedModel();
    const call = model.createApiCalling({ takesMs: 100 });
    const both = [model.invoke(call), model.invoke(call)];
    await clock.advance(100);
    for (const ended of await Promise.all(both)) expect(ended).toBe(call);
    expect(call.status).toBe('completed');
    expect(endpoint.starts).toHaveLength(1);
  });

  it('26. given a synchronous subscriber to the terminal transition, then error and duration are already set', async () => {
    const { model, clock } = timedModel();
    const seen: unknown[] = [];
    const look = () => seen.push([call.status, call.duration, call.response, (call.error as Error | null)?.message]);
    const call = model.createApiCalling({ takesMs: 100, failure: failureOf('unavailable', 'down', {}) });
    call.onEnd(look);
    model.observe(({ type }) => {
      if (type === 'post_invocation') look();
    });
    const ended = model.invoke(call);
    await clock.advance(100);
    await ended;
    expect(seen).toEqual([
      ['failed', 0.1, null, 'down'],
      ['failed', 0.1, null, 'down'],
    ]);
  });

  it('26. given a synchronous subscriber to a completion, then response, usage and duration are already set', async () => {
    const { model, clock } = timedModel();
    const seen: unknown[] = [];
    const call = model.createApiCalling({ takesMs: 100, response: 'all of it', usedTokens: 7 });
    call.onEnd(({ status, duration, response, usage, timing }) => {
      seen.push([status, duration, response, usage?.totalTokens, timing.endedAt]);
    });
    const ended = model.invoke(call);
    await clock.advance(100);
    await ended;
    expect(seen).toEqual([['completed', 0.1, 'all of it', 7, 100]]);
  });

  it('27. given a waiter attached after completion, then it resolves at once', async () => {
    const { model } = timedModel();
    const call = await model.invoke({});
    const order: string[] = [];
    call.onEnd(() => order.push('listener'));
    order.push('after');
    expect(order).toEqual(['listener', 'after']);
    expect(await Promise.all([call.done, call.done])).toEqual([call, call]);
  });

  it('28. given a dump of a call, then keys are exactly id, created_at, metadata, execution, payload and no header value appears in it', async () => {
    await using upstream = await startUpstream((_request, reply) => reply.json({ choices: [] }));
    await using model = new iModel({
      provider: 'local',
      baseUrl: upstream.url,
      model: 'm',
      apiKey: 'sk-sentinel-of-case-28',
      headers: { 'x-team': 'header-of-case-28' },
    });
    const call = await model.invoke({ messages: [{ role: 'user', content: 'hi' }] });
    expect(upstream.requests[0]?.headers).toMatchObject({
      authorization: 'Bearer sk-sentinel-of-case-28',
      'x-team': 'header-of-case-28',
    });
    const dump = call.toDict();
    expect(Object.keys(dump)).toEqual(['id', 'created_at', 'metadata', 'execution', 'payload']);
    expect(Object.keys(dump.execution)).toEqual(['status', 'duration', 'response', 'error', 'retryable']);
    expect(dump.payload).toEqual({ model: 'm', messages: [{ role: 'user', content: 'hi' }] });
    expect(dump.metadata.lion_class).toBe('imodel.ApiCalling');
    expect(JSON.stringify(dump)).not.toMatch(/case-28|authorization|x-team/i);
  });

  it('29. given a non-serialisable response, then the dump contains the marker and does not throw', async () => {
    const { model } = timedModel();
    const circular: Record<string, unknown> = { big: 10n, text: 'kept', call: () => 1 };
    circular.self = circular;
    const call = await model.invoke({ response: circular });
    expect(call.response).toBe(circular);
    expect(call.toDict().execution.response).toEqual({
      big: '<unserializable>',
      text: 'kept',
      call: '<unserializable>',
      self: '<unserializable>',
    });
  });

  const throwing = {
    get trap(): never {
      throw new Error('do not look');
    },
  };
  it.each([
    ['a function', () => 1],
    ['a big integer', 10n],
    ['an object whose getter throws', throwing],
    ['a map with a key that has no text', new Map([[Object.create(null), 1]])],
    ['a proxy that was revoked', revoked.proxy],
  ])('29. given a response that is %s, then the dump holds the marker and does not throw', async (...[, response]) => {
    const { model } = timedModel();
    const call = await model.invoke({ response });
    expect(call.status).toBe('completed');
    expect(call.toDict().execution.response).toBe('<unserializable>');
    expect(JSON.parse(JSON.stringify(call.toDict()))).toEqual(call.toDict());
    expect(() => call.toWire()).not.toThrow();
  });

  it('30. given two errors added, then a group of two; after 150 additions, 100', () => {
    const { model } = timedModel();
    const call = model.createApiCalling({});
    call.addError(new TypeError('one'));
    expect(call.toDict().execution.error).toEqual({ error: 'TypeError', message: 'one' });
    call.addError('two');
    expect(call.toDict().execution.error).toEqual({
      error: 'AggregateError',
      message: '2 errors',
      exceptions: [{ error: 'TypeError', message: 'one' }, 'two'],
    });
    for (let n = 0; n < 150; n += 1) call.addError(new Error(String(n)));
    expect((call.error as AggregateError).errors).toHaveLength(100);
    expect(call.toDict().execution.error).toMatchObject({ message: '100 errors', exceptions: { length: 100 } });
    expect(call.status).toBe('pending');
  });

  it('31. given a non-completed call, then assertCompleted throws without the response in the text', async () => {
    const { model } = timedModel();
    const pending = model.createApiCalling({});
    expect(() => pending.assertCompleted()).toThrow(/"status":"pending"/);
    const failed = await model.invoke({ thrown: new Error('broken'), response: 'secret answer' });
    expect(() => failed.assertCompleted()).toThrow(/"status":"failed".*broken/);
    expect(() => failed.assertCompleted()).not.toThrow(/secret answer|response/);
    const completed = await model.invoke({});
    expect(() => completed.assertCompleted()).not.toThrow();
  });

  it('31. given a call that failed with a response, then assertCompleted throws without the response in the text', async () => {
    const { model } = timedModel({
      exitHook: true,
      hookRegistry: { post_invocation: () => Promise.reject(new Error('spoiled')) },
    });
    const call = await model.invoke({ response: 'secret answer' });
    expect([call.status, call.response]).toEqual(['failed', 'secret answer']);
    expect(() => call.assertCompleted()).toThrow(/"status":"failed".*spoiled/);
    expect(() => call.assertCompleted()).not.toThrow(/secret answer|response/);
  });

  it('32. given asFreshEvent, then new id, pending, metadata.original set, same endpoint object, hooks attached', async () => {
    const hooked: string[] = [];
    const { model, endpoint } = timedModel({
      hookRegistry: {
        pre_invocation: (asked) => void hooked.push(`pre ${asked.id}`),
        post_invocation: (answered) => void hooked.push(`post ${answered.id}`),
      },
    });
    const call = await model.invoke({ name: 'again', response: { nested: [1] } });
    call.metadata.note = { by: 'me' };
    const fresh = call.asFreshEvent();
    expect(fresh).toMatchObject({ status: 'pending', response: null, ended: false, payload: call.payload });
    expect(fresh.id).not.toBe(call.id);
    expect(fresh.payload).not.toBe(call.payload);
    expect(fresh.metadata).toEqual({ original: { id: call.id, created_at: call.createdAt } });
    expect(call.asFreshEvent(true).metadata).toMatchObject({ note: { by: 'me' }, original: { id: call.id } });
    expect(await model.invoke(fresh)).toMatchObject({ status: 'completed' });
    expect(endpoint.names).toEqual(['again', 'again']);
    expect(hooked).toEqual([`pre ${call.id}`, `post ${call.id}`, `pre ${fresh.id}`, `post ${fresh.id}`]);
  });

  it('33. given status completed, when anything would end it otherwise, then it stays completed', async () => {
    const { model, clock } = timedModel();
    const controller = new AbortController();
    const call = await model.invoke({ response: 'kept' }, { signal: controller.signal, timeoutMs: 1_000 });
    const dump = call.toDict();
    call.cancel('too late');
    call.fail(new Error('too late'));
    controller.abort();
    await clock.advance(10_000);
    expect(Reflect.set(call, 'status', 'failed')).toBe(false);
    await model.close();
    expect(call.toDict()).toEqual(dump);
    expect(call).toMatchObject({ status: 'completed', failure: null, error: null, response: 'kept' });
  });
});

describe('what comes after the end', () => {
  it('33. given a reply after the grace time, then the call stays as it was when it ended', async () => {
    const { model, clock } = timedModel();
    const controller = new AbortController();
    const outcome = rejection(model.invoke({ takesMs: 1_000, stopMs: 60_000 }, { signal: controller.signal }));
    controller.abort();
    await clock.advance(10_000);
    const error = await outcome;
    expect(error.call).toMatchObject({ status: 'cancelled' });
    const dump = (error.call as { toDict(): unknown }).toDict();
    await clock.advance(60_000);
    expect((error.call as { toDict(): unknown }).toDict()).toEqual(dump);
    expect(clock.timers).toBe(0);
  });

  it('33. given listeners and observers that throw, then every other listener hears, and the model goes on', async () => {
    const { model } = timedModel();
    const heard: string[] = [];
    model.observe(() => {
      throw new Error('an observer');
    });
    model.observe(({ type }) => heard.push(type));
    const call = model.createApiCalling({});
    call.onEnd(() => {
      throw new Error('a listener');
    });
    call.onEnd(() => heard.push('listener'));
    await model.invoke(call);
    expect(() =>
      call.onEnd(() => {
        throw new Error('late');
      }),
    ).not.toThrow();
    expect(heard).toEqual(['created', 'pre_invocation', 'answered', 'listener', 'post_invocation']);
    expect(await model.invoke({})).toMatchObject({ status: 'completed' });
    await model.close();
    await delay(0);
  });
});
