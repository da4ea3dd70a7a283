import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { failureOf } from '../../schemas/failure.ts';
import { HookEventTypes, HookRegistry, type HookRegistryOptions } from '../../src/index.ts';
import { logged } from './logged-model.ts';
import { readAll, rejection, textOf, timedModel } from './timed-endpoint.ts';

const refused = failureOf('rejected', 'no', {});

/** A hook that never ends. */
const never = (): Promise<never> => new Promise(() => {});

describe('hooks', () => {
  it('72: run in the order pre_create, pre_invoke, core, post_invoke', async () => {
    const order: string[] = [];
    const { model, endpoint } = logged({
      pre_event_create: () => void order.push('pre_create'),
      pre_invocation: async () => void order.push(`pre_invoke before ${endpoint.starts.length} requests`),
      post_invocation: () => void order.push(`post_invoke after ${endpoint.starts.length} request`),
    });
    const call = await model.invoke({ chunks: ['x'] });
    expect(order).toEqual(['pre_create', 'pre_invoke before 0 requests', 'post_invoke after 1 request']);
    expect(call.status).toBe('completed');
  });

  it('73: receive their parameters and exit', async () => {
    const seen: unknown[] = [];
    const keep = (_subject: unknown, { signal, request: _request, ...context }: Record<string, unknown>) => {
      seen.push([context, signal instanceof AbortSignal]);
    };
    const { model, endpoint } = logged({ pre_event_create: keep, pre_invocation: keep, post_invocation: keep });
    await model.invoke({
      name: 'a',
      create_event_hook_params: { a: 1 },
      preInvokeEventHookParams: { b: 2 },
      post_invoke_event_hook_params: { c: 3 },
      post_invoke_event_exit_hook: true,
    });
    expect(seen).toEqual([
      [{ a: 1, exit: false }, true],
      [{ b: 2, exit: false }, true],
      [{ c: 3, exit: true }, true],
    ]);
    expect(endpoint.names).toEqual(['a']);
  });

  it.each([false, true])(
    '74: a pre hook that throws with exit=%s fails the call, and nothing else runs',
    async (exit) => {
      let posts = 0;
      const { model, endpoint } = logged(
        {
          pre_invocation: () => {
            throw new Error('not today');
          },
          post_invocation: () => {
            posts += 1;
          },
        },
        { exitHook: exit },
      );
      const call = await model.invoke({});
      expect([call.status, endpoint.starts.length, posts]).toEqual(['failed', 0, 0]);
      expect(call.failure).toMatchObject({ code: 'vetoed', hook: 'pre_invocation', retryable: false });
    },
  );

  it('74: a veto is not retried, and says nothing of the endpoint', async () => {
    let runs = 0;
    const { model, endpoint } = logged(
      {
        pre_invocation: async () => {
          runs += 1;
          throw new Error('no');
        },
      },
      { retry: { maxRetries: 5 }, breaker: { failureThreshold: 1 } },
    );
    await model.invoke({});
    expect([runs, endpoint.starts.length, model.state.endpoint_status]).toEqual([1, 0, 'connecting']);
    expect(model.state.regions).toMatchObject({ breaker: 'closed' });
  });

  it('75: the original error is the cause, and a hook event was published', async () => {
    const thrown = new Error('not today');
    const { model, hookEvents } = logged({ pre_invocation: () => Promise.reject(thrown) });
    const call = await model.invoke({});
    expect(call.error).toMatchObject({ code: 'vetoed', cause: thrown });
    expect(hookEvents()).toMatchObject([
      { call_id: call.id, hook: { name: 'pre_invocation', status: 'cancelled' }, failure: { message: 'not today' } },
    ]);
  });

  it('76: a throw before creation is ignored without exit and refuses the call with it', async () => {
    const { model, endpoint } = logged({
      pre_event_create: () => {
        throw new Error('no');
      },
    });
    expect((await model.invoke({})).status).toBe('completed');
    const error = await rejection(model.invoke({ create_event_exit_hook: true }));
    expect(error.failure).toMatchObject({ code: 'vetoed', hook: 'pre_event_create' });
    expect(endpoint.starts).toHaveLength(1);
  });

  it('76: a late hook before creation is given up after 10 s', async () => {
    const { model, clock, endpoint, hookEvents } = logged({ pre_event_create: never });
    const calls = Promise.allSettled([model.invoke({}), model.invoke({ createEventExitHook: true })]);
    await clock.advance(9_999);
    expect(endpoint.starts).toHaveLength(0);
    await clock.advance(1);
    const [first, second] = await calls;
    expect(first).toMatchObject({ status: 'fulfilled', value: { status: 'completed' } });
    expect(second).toMatchObject({ reason: { code: 'timed_out', failure: { phase: 'hook', timeoutMs: 10_000 } } });
    expect(hookEvents()).toMatchObject([{ hook: { status: 'failed' } }, { hook: { status: 'failed' } }]);
  });

  it('76: a stream that is refused before creation throws and sends nothing', async () => {
    const { model, endpoint } = logged({ pre_event_create: () => Promise.reject(new Error('no')) }, { exitHook: true });
    const stream = model.stream({ chunks: ['x'] });
    const { error } = await readAll(stream);
    expect(error).toMatchObject({ code: 'vetoed' });
    expect([stream.call.status, endpoint.starts.length]).toEqual(['skipped', 0]);
  });

  it('the call that a hook returns before creation takes the place of the other', async () => {
    const { model, endpoint } = logged({
      pre_event_create: (_class, { request }) => model.createApiCalling({ ...(request as object), name: 'mine' }),
    });
    const call = await model.invoke({ name: 'theirs' });
    expect([call.payload.name, endpoint.names]).toEqual(['mine', ['mine']]);
    const stream = model.stream({ name: 'theirs', chunks: ['a', 'b'] });
    expect(textOf((await readAll(stream)).chunks)).toBe('ab');
    expect([stream.call.payload.name, endpoint.names]).toEqual(['mine', ['mine', 'mine']]);
    expect(stream.call.status).toBe('completed');
  });

  it('a reader that leaves while the hook before creation runs has cost nothing', async () => {
    const { model, endpoint, clock } = logged({ pre_event_create: never });
    const stream = model.stream({ chunks: ['x'] });
    await stream.return();
    expect([endpoint.starts.length, stream.call.status, clock.timers]).toEqual([0, 'skipped', 0]);
  });

  it('77: a post hook reads response, outcome, duration and attempts, or the error', async () => {
    const seen: unknown[] = [];
    const { model, at, until, outcomes } = logged({
      post_invocation: ({ status, outcome, response, error, failure, duration, attempts }) => {
        seen.push([status, outcome, response, error === null ? null : failure?.code, duration, attempts]);
      },
    });
    at(0, { chunks: ['hi'], takesMs: 2_000 });
    at(0, { failure: refused });
    await until(2);
    await Promise.all(outcomes);
    expect(seen).toEqual([
      ['processing', 'failed', null, 'rejected', 0, 1],
      ['processing', 'completed', { text: 'hi' }, null, 2, 1],
    ]);
    expect(model.state.running).toBe(0);
  });

  it('78: a post hook that throws leaves the response; with exit the call fails and keeps it', async () => {
    const { model } = logged({
      post_invocation: () => {
        throw new Error('post');
      },
    });
    const kept = await model.invoke({ chunks: ['hi'] });
    expect([kept.status, kept.response, kept.error]).toEqual(['completed', { text: 'hi' }, null]);
    expect(kept.toDict().metadata.hook_errors).toMatchObject([{ hook: 'post_invocation', code: 'vetoed' }]);
    const failed = await model.invoke({ chunks: ['hi'], post_invoke_event_exit_hook: true });
    expect([failed.status, failed.outcome, failed.response]).toEqual(['failed', 'failed', { text: 'hi' }]);
    expect(failed.error).toMatchObject({ code: 'vetoed', cause: { message: 'post' } });
    expect(model.state.counters).toMatchObject({ completed: 1, failed: 1 });
  });

  it('78: a post hook that freezes what its failure would be noted in leaves the response too', async () => {
    const { model } = logged({
      post_invocation: ({ metadata }) => {
        Object.freeze(metadata);
        throw new Error('post');
      },
    });
    const call = await model.invoke({ chunks: ['hi'] });
    expect([call.status, call.response]).toEqual(['completed', { text: 'hi' }]);
  });

  it('79: a post hook over its time leaves the response, and its time-out is recorded', async () => {
    const aborted: unknown[] = [];
    const { model, clock } = logged({
      post_invocation: (_call, { signal }) => {
        signal.addEventListener('abort', () => aborted.push(signal.reason));
        return never();
      },
    });
    const invoked = model.invoke({ chunks: ['hi'], post_invoke_event_hook_timeout: 2 });
    await clock.advance(1_999);
    expect(aborted).toEqual([]);
    await clock.advance(1);
    const call = await invoked;
    expect([call.status, call.response, call.duration]).toEqual(['completed', { text: 'hi' }, 2]);
    expect(call.metadata.hook_errors).toEqual([
      { hook: 'post_invocation', code: 'timed_out', message: 'The hook post_invocation took longer than its 2 s' },
    ]);
    expect(aborted).toMatchObject([{ code: 'timed_out' }]);
  });

  it('79: a post hook that hangs holds its call no longer than 5 s beyond the call’s own time', async () => {
    const { model, clock } = logged({ post_invocation: never });
    const invoked = model.invoke({ chunks: ['hi'] }, { timeoutMs: 1_000 });
    await clock.advance(5_999);
    expect(model.state.running).toBe(1);
    await clock.advance(1);
    const call = await invoked;
    expect([call.status, call.response]).toEqual(['completed', { text: 'hi' }]);
    expect(call.metadata.hook_errors).toMatchObject([{ hook: 'post_invocation', code: 'timed_out' }]);
    expect([model.state.running, clock.timers]).toEqual([0, 0]);
  });

  it('80: when core and post hook fail, the core error is reported', async () => {
    const { model } = logged({ post_invocation: () => Promise.reject(new Error('post')) }, { exitHook: true });
    const call = await model.invoke({ failure: refused });
    expect(call.error).toMatchObject({ code: 'rejected' });
    expect(call.metadata.hook_errors).toHaveLength(1);
  });

  it('what a post hook was told stands, also when the call is cancelled while it runs', async () => {
    const { model, clock } = logged({ post_invocation: never });
    const call = model.createApiCalling({ chunks: ['hi'] });
    const invoked = model.invoke(call);
    await clock.advance(0);
    call.cancel();
    await clock.advance(4_999);
    expect(call.ended).toBe(false);
    await clock.advance(1);
    expect((await invoked).status).toBe('completed');
    expect(clock.timers).toBe(0);
  });

  it('a call that is cancelled while its pre hook runs is cancelled at once, and sends nothing', async () => {
    let signalled: AbortSignal | undefined;
    const { model, endpoint, clock } = logged({
      pre_invocation: (_call, { signal }) => {
        signalled = signal;
        return never();
      },
    });
    const controller = new AbortController();
    const invoked = rejection(model.invoke({}, { signal: controller.signal }));
    await clock.advance(0);
    controller.abort();
    expect((await invoked).code).toBe('cancelled');
    expect([endpoint.starts.length, signalled?.aborted, clock.timers]).toEqual([0, true, 0]);
  });

  it('a deadline that passes in a pre hook says so', async () => {
    const { model, clock } = logged({ pre_invocation: never });
    const invoked = rejection(model.invoke({}, { timeoutMs: 100 }));
    await clock.advance(100);
    expect((await invoked).failure).toMatchObject({ code: 'timed_out', phase: 'hook', timeoutMs: 100 });
  });

  it('a pre hook over its 30 s refuses the call, with a typed error', async () => {
    const { model, endpoint, clock } = logged({ pre_invocation: never });
    const invoked = model.invoke({});
    await clock.advance(30_000);
    const call = await invoked;
    expect(call.failure).toMatchObject({ code: 'timed_out', phase: 'hook', timeoutMs: 30_000 });
    expect(call.failure?.message).toContain('pre_invocation took longer than its 30 s');
    expect([call.status, endpoint.starts.length]).toEqual(['failed', 0]);
  });

  it('a pre hook that throws a cancellation cancels its call', async () => {
    const { model, endpoint } = logged({
      pre_invocation: () => {
        throw new DOMException('enough', 'AbortError');
      },
    });
    expect((await rejection(model.invoke({}))).code).toBe('cancelled');
    expect([endpoint.starts.length, model.state.counters.cancelled]).toEqual([0, 1]);
  });

  it('a hook that is no promise is waited for, and its overrun recorded', async () => {
    const { model, clock, hookEvents } = logged({ pre_invocation: () => clock.advanceSync(31_000) });
    const call = await model.invoke({});
    expect(call.status).toBe('completed');
    expect(call.metadata.hook_overruns).toEqual([{ hook: 'pre_invocation', duration: 31 }]);
    expect(hookEvents()).toMatchObject([{ hook: { status: 'completed', overran: true, duration_ms: 31_000 } }]);
  });

  it.each([
    ['a pair', ['x', true]],
    ['an error', new Error('data')],
  ])('82: %s that is returned is data', async (_name, value) => {
    const { model } = logged({
      pre_event_create: () => value,
      pre_invocation: () => value,
      post_invocation: async () => value,
    });
    const call = await model.invoke({}, { raiseOnError: true });
    expect([call.status, call.error, call.metadata.hook_errors]).toEqual(['completed', null, undefined]);
  });

  it('83: a call says exit=false to a model that says true, and null is no word', async () => {
    const { model } = logged({ post_invocation: () => Promise.reject(new Error('x')) }, { exitHook: true });
    expect((await model.invoke({ post_invoke_event_exit_hook: false })).status).toBe('completed');
    expect((await model.invoke({ post_invoke_event_exit_hook: null })).status).toBe('failed');
  });

  it('84: an unknown name and something that is no function are refused', () => {
    const fn = (): void => {};
    for (const given of [
      { before: fn },
      { hooks: { during: fn } },
      { constructor: fn },
      { pre_invoke: 'x' },
      { post_invocation: null },
      { hooks: 3 },
    ]) {
      expect(() => timedModel({ hookRegistry: given as HookRegistryOptions })).toThrow(
        expect.objectContaining({ code: 'config' }),
      );
    }
    expect(() => new HookRegistry({ streamHandlers: new Map([[3 as unknown as string, fn]]) })).toThrow(
      /a text or a class/,
    );
    expect(() => new HookRegistry({ streamHandlers: { text: 3 as never } })).toThrow(/streamHandlers\.text/);
  });

  it('84: the spelling of the reference for the registry itself is named, and never sent', () => {
    expect(() => timedModel({ hook_registry: {} })).toThrow(/`hookRegistry` in camelCase, got `hook_registry`/);
  });

  it('85: both shapes register, with the names of the reference and its aliases', async () => {
    const order: string[] = [];
    const log = (name: string) => () => void order.push(name);
    const shapes: HookRegistryOptions[] = [
      { pre_invocation: log('flat'), postInvocation: log('flat') },
      { hooks: { [HookEventTypes.PreInvocation]: log('nested'), post_invoke: log('nested') }, stream_handlers: {} },
    ];
    for (const shape of shapes) await logged(shape).model.invoke({});
    const registry = new HookRegistry();
    registry.preInvoke(log('decorated'));
    registry.postInvoke(log('decorated'));
    await logged(registry).model.invoke({});
    expect(order).toEqual(['flat', 'flat', 'nested', 'nested', 'decorated', 'decorated']);
  });
});

it('89: hooks make no file and no folder', async () => {
  const before = readdirSync('.');
  const { model } = logged({ pre_invocation: () => {}, post_invocation: () => Promise.reject(new Error('x')) });
  await model.invoke({});
  expect(readdirSync('.')).toEqual(before);
});

it('90: a hook that is replaced serves later calls, and running ones keep the old one', async () => {
  const seen: string[] = [];
  const { model, at, until, outcomes } = logged({ post_invocation: () => void seen.push('old') });
  at(0, { takesMs: 1_000 });
  await until(0.5);
  model.hookRegistry.unregister('post_invocation');
  model.hookRegistry.postInvoke(() => void seen.push('new'));
  at(0.5, {});
  await until(1);
  await Promise.all(outcomes);
  expect(seen).toEqual(['new', 'old']);
});
