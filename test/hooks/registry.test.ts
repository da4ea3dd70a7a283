import { describe, expect, it } from 'vitest';
import { hookEventDict } from '../../schemas/hook.ts';
import { HookEvent } from '../../src/hooks/hook-event.ts';
import { takeOverrides } from '../../src/hooks/overrides.ts';
import { HookRegistry } from '../../src/hooks/registry.ts';
import { ApiCalling, iModel } from '../../src/index.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

const scripted = (options: Record<string, unknown> = {}) =>
  new iModel({ provider: 'scripted', text: 'hi', ...options });

describe('HookRegistry', () => {
  it('returns what it registers, so that it can decorate', () => {
    const registry = new HookRegistry();
    const hook = (): void => {};
    expect([registry.preEventCreateHook(hook), registry.preInvoke(hook), registry.postInvoke(hook)]).toEqual([
      hook,
      hook,
      hook,
    ]);
    expect(registry.registered.hooks).toEqual({ pre_event_create: hook, pre_invocation: hook, post_invocation: hook });
  });

  it('warns when a hook is replaced', async () => {
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
    const registry = new HookRegistry({ pre_invoke: () => 1 });
    registry.register('pre_invocation', () => 2);
    expect((await warned).message).toBe('The hook of pre_invocation was replaced');
  });

  it('refuses two hooks for one point', () => {
    expect(() => new HookRegistry({ pre_invoke: () => {}, pre_invocation: () => {} })).toThrow(
      /one hook for pre_invocation/,
    );
  });

  it('is empty again when all is taken away', () => {
    const registry = new HookRegistry({ post_invoke: () => {}, streamHandlers: { text: () => null } });
    expect(registry.isEmpty).toBe(false);
    registry.unregister('post_invocation');
    registry.unhandle('text');
    expect(registry.isEmpty).toBe(true);
  });
});

describe('calls', () => {
  it('of a model without hooks carry none', async () => {
    const model = scripted();
    expect((await model.invoke({})).hooks).toBeNull();
  });

  it('may be of a class of the caller', async () => {
    class Own extends ApiCalling {}
    const classes: unknown[] = [];
    const model = scripted({
      hookRegistry: { pre_event_create: (callClass: unknown) => void classes.push(callClass) },
    });
    const call = await model.invoke({ createEventType: Own });
    expect(call).toBeInstanceOf(Own);
    expect(call.asFreshEvent()).toBeInstanceOf(Own);
    expect(classes).toEqual([Own]);
    await expect(model.createEvent({ create_event_type: String })).rejects.toMatchObject({ code: 'invalid_request' });
  });

  it('made fresh keep their hooks', async () => {
    let runs = 0;
    const hooks = {
      post_invocation: () => {
        runs += 1;
      },
    };
    const model = scripted({ hookRegistry: hooks });
    const call = await model.createEvent({});
    model.hookRegistry.unregister('post_invocation');
    await model.invoke(call);
    await model.invoke(call.asFreshEvent());
    await model.invoke({});
    expect(runs).toBe(2);
  });
});

describe('HookEvent', () => {
  it('is written with the keys of the reference', async () => {
    const clock = new VirtualClock(5_000);
    const call = scripted({ clock }).createApiCalling({});
    const event = new HookEvent({ point: 'post_invocation', hook: () => ({ a: 1 }), subject: call, clock });
    await event.invoke();
    const dict = event.toDict();
    expect(hookEventDict.strict().parse(dict)).toEqual(dict);
    expect(dict).toMatchObject({
      created_at: 5,
      hook_type: 'post_invocation',
      execution: { status: 'completed', duration: 0, response: { a: 1 }, error: null, retryable: null },
      metadata: { event_id: call.id },
      associated_event_info: { event_id: call.id, event_created_at: 5 },
    });
  });

  it('knows its call only when there is one, and runs again when told', async () => {
    let runs = 0;
    const hook = (): never => {
      runs += 1;
      throw new Error(`run ${runs}`);
    };
    const event = new HookEvent({ point: 'pre_event_create', hook, subject: ApiCalling, clock: new VirtualClock() });
    await event.invoke();
    await event.invoke();
    expect(event.toDict()).toMatchObject({
      execution: { status: 'cancelled', error: 'run 2' },
      associated_event_info: { lion_class: 'imodel.ApiCalling' },
    });
    expect([event.shouldExit, event.toDict().metadata.event_id]).toEqual([false, undefined]);
  });
});

describe('takeOverrides', () => {
  it('returns a request that says nothing as it is', () => {
    const request = { messages: [] };
    expect(takeOverrides(request).request).toBe(request);
  });

  it.each([
    ['create_event_exit_hook', 'yes'],
    ['preInvokeEventHookTimeout', 0],
    ['post_invoke_event_hook_params', [1]],
  ])('refuses %s = %j', (field, value) => {
    expect(() => takeOverrides({ [field]: value })).toThrow(new RegExp(field));
  });
});
