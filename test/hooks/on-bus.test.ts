import { describe, expect, it } from 'vitest';
import type { HookAskAt } from '../../schemas/hook.ts';
import type { AskedHookOptions } from '../../schemas/imodel.ts';
import { subjects } from '../../src/bus/subjects.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { readAll, rejection, textOf } from '../acceptance/timed-endpoint.ts';
import { until } from '../integration/private-server.ts';
import { buses } from '../integration/served-model.ts';
import { askedModels, hello } from './asked-models.ts';

describe.each(Object.entries(buses))('hooks on %s', (busName, open) => {
  const { serve, answer } = askedModels(open);

  describe('before invocation', () => {
    const asked: AskedHookOptions[] = [{ point: 'pre_invocation' }];

    it('a call that is let pass goes on; the question holds what its caller asked for', async () => {
      const one = await serve(asked);
      const asks = await answer(one, { pre_invocation: () => undefined });
      const call = await one.remote.invoke(hello, { callId: 'mine', caller: 'anna' });
      expect(call.text).toBe('hello');
      expect(asks).toEqual([
        {
          point: 'pre_invocation',
          model_id: one.id,
          model: 'scripted',
          call_id: 'mine',
          caller: 'anna',
          at: expect.any(Number),
          timeout_ms: 30_000,
          streaming: false,
          request: hello,
        },
      ]);
      expect(one.told()).toMatchObject([{ name: 'pre_invocation', status: 'completed' }]);
    });

    it('a veto ends the call with its reason, over the bus and here, invoked and streamed, and nothing is sent', async () => {
      const one = await serve(asked);
      await answer(one, { pre_invocation: () => ({ action: 'veto', reason: 'not on a Monday' }) });
      const vetoed = { code: 'vetoed', hook: 'pre_invocation', message: expect.stringContaining('not on a Monday') };
      expect((await one.remote.invoke(hello)).failure).toMatchObject(vetoed);
      expect((await one.model.invoke(hello)).failure).toMatchObject(vetoed);
      for (const stream of [one.model.stream(hello), one.remote.stream(hello)]) {
        const { chunks, error } = await readAll(stream);
        expect(chunks).toEqual([]);
        expect(error).toMatchObject({ failure: vetoed });
      }
      expect(one.endpoint.started).toEqual([]);
      expect(one.told()[0]).toMatchObject({ status: 'cancelled', exit: true, failure: vetoed });
    });

    it('a request that is replaced is the one that is sent', async () => {
      const one = await serve(asked);
      await answer(one, {
        pre_invocation: ({ request }) => ({ action: 'replace', request: { ...request, text: 'another' } }),
      });
      expect((await one.remote.invoke(hello)).text).toBe('another');
      expect(textOf((await readAll(one.model.stream(hello))).chunks)).toBe('another');
    });

    it('a request that is none counts as a hook that failed', async () => {
      const one = await serve([{ point: 'pre_invocation', onFailure: 'open' }]);
      await answer(one, { pre_invocation: () => ({ action: 'replace', request: { chunks: 0 } }) });
      expect((await one.remote.invoke(hello)).text).toBe('hello');
      expect(one.told().at(-1)).toMatchObject({ status: 'failed', failure: { code: 'malformed' } });
      const strict = await serve(asked);
      await answer(strict, { pre_invocation: () => ({ action: 'replace', request: { chunks: 0 } }) });
      expect((await strict.remote.invoke(hello)).failure).toMatchObject({ code: 'vetoed' });
    });

    it('an answer in the vendor’s place is the answer, and the vendor is not asked', async () => {
      const one = await serve(asked);
      const tool_uses = [{ id: 't1', name: 'look', input: { at: 'sea' } }];
      await answer(one, { pre_invocation: () => ({ action: 'answer', text: 'from the cache', tool_uses }) });
      const call = await one.remote.invoke(hello);
      expect(call).toMatchObject({ status: 'completed', text: 'from the cache', toolUses: tool_uses, usage: null });
      const { chunks, error } = await readAll(one.remote.stream(hello));
      expect([textOf(chunks), chunks.at(-1)?.type, error]).toEqual(['from the cache', 'result', null]);
      expect(one.endpoint.started).toEqual([]);
    });

    it('several are asked in their order, each with what the one before made of the request, until one answers', async () => {
      const names = ['first', 'second', 'third', 'fourth'];
      const one = await serve(names.map((name) => ({ point: 'pre_invocation', name })));
      const seen: unknown[] = [];
      const see = (name: string) => async (reply: (ask: HookAskAt<'pre_invocation'>) => unknown) => {
        const pre_invocation = (ask: HookAskAt<'pre_invocation'>): never => {
          seen.push([name, ask.request.seen ?? null]);
          return reply(ask) as never;
        };
        await answer(one, { pre_invocation }, { name });
      };
      await see('first')(({ request }) => ({ action: 'replace', request: { ...request, text: 'by first' } }));
      await see('second')(() => null);
      await see('third')(({ request }) => ({ action: 'answer', text: `third: ${request.text}` }));
      await see('fourth')(() => ({ action: 'veto' }));
      expect((await one.remote.invoke(hello)).text).toBe('third: by first');
      expect(seen.map((entry) => (entry as string[])[0])).toEqual(['first', 'second', 'third']);
      expect(one.told().map(({ name }) => name)).toEqual([
        'pre_invocation.first',
        'pre_invocation.second',
        'pre_invocation.third',
      ]);
    });

    it('a call that is cancelled while the hook thinks is cancelled at once', async () => {
      const one = await serve(asked);
      const asks = await answer(one, { pre_invocation: () => new Promise(() => {}) });
      const call = one.remote.invoke(hello, { callId: 'taken-back' }).catch((error) => error);
      await until(() => asks.length === 1);
      await one.remote.cancel('taken-back');
      expect(await call).toMatchObject({ code: 'cancelled' });
      expect(one.endpoint.started).toEqual([]);
    });
  });

  describe('before creation', () => {
    const asked: AskedHookOptions[] = [{ point: 'pre_event_create' }];

    it('is asked before the call waits, and may refuse, replace or answer it', async () => {
      const one = await serve(asked);
      await answer(one, {
        pre_event_create: ({ request, streaming }) => {
          if (request.text === 'veto') return { action: 'veto', reason: 'no' };
          if (request.text === 'replace')
            return { action: 'replace', request: { text: `${request.text}d ${streaming}` } };
          return { action: 'answer', text: 'given' };
        },
      });
      one.model.pause();
      const refusals = [
        await rejection(one.model.invoke({ text: 'veto' })),
        (await readAll(one.model.stream({ text: 'veto' }))).error,
        (await readAll(one.remote.stream({ text: 'veto' }))).error,
        await rejection(one.remote.invoke({ text: 'veto' }).then((call) => Promise.reject(call.error ?? call))),
      ];
      for (const error of refusals) expect(error).toMatchObject({ code: 'vetoed' });
      one.model.resume();
      expect((await one.remote.invoke({ text: 'replace' })).text).toBe('replaced false');
      expect(textOf((await readAll(one.remote.stream({ text: 'replace' }))).chunks)).toBe('replaced true');
      expect(textOf((await readAll(one.model.stream({ text: 'replace' }))).chunks)).toBe('replaced true');
      expect((await one.model.invoke({ text: 'x' })).text).toBe('given');
      expect(one.endpoint.started.length).toBe(3);
    });

    it('the time a call has goes on while its hook thinks, and a cancel is heard', async () => {
      const one = await serve(asked);
      const asks = await answer(one, { pre_event_create: () => new Promise(() => {}) });
      const late = { code: 'timed_out', failure: { phase: 'hook', timeoutMs: 50 } };
      expect(await rejection(one.model.invoke(hello, { timeoutMs: 50 }))).toMatchObject(late);
      expect((await readAll(one.model.stream(hello, { timeoutMs: 50 }))).error).toMatchObject(late);
      const own = new TextEncoder().encode(JSON.stringify(hello));
      const headers = { 'Imodel-Deadline-Ms': '50' };
      const reply = await one.caller.request(subjects.invoke(one.id), own, {
        headers,
        contentType: 'application/json',
      });
      expect(reply.value()).toMatchObject({ failure: { code: 'timed_out', phase: 'hook' } });
      asks.length = 0;
      const call = one.remote.invoke(hello, { callId: 'early' }).catch((error) => error);
      await until(() => asks.length === 1);
      await one.remote.cancel('early');
      expect(await call).toMatchObject({ code: 'cancelled' });
      expect(one.model.state).toMatchObject({ queue: { waiting: 0 }, running: 0 });
    });
  });

  describe('after invocation', () => {
    it('sees how the call ends, and a veto fails it with its response kept', async () => {
      const one = await serve([{ point: 'post_invocation' }], {
        usage: { inputTokens: 3, outputTokens: 4 },
      });
      const asks = (await answer(one, {
        post_invocation: ({ call }) => (call.text === 'bad' ? { action: 'veto', reason: 'bad words' } : null),
      })) as HookAskAt<'post_invocation'>[];
      expect((await one.remote.invoke({ text: 'good' })).status).toBe('completed');
      const vetoed = await one.remote.invoke({ text: 'bad' });
      expect(vetoed).toMatchObject({ status: 'failed', text: 'bad', failure: { code: 'vetoed' } });
      expect(vetoed.metadata.hook_errors).toMatchObject([{ hook: 'post_invocation', code: 'vetoed' }]);
      await one.model.invoke({ text: 'x', failures: ['rejected', 'rejected', 'rejected'] });
      expect(asks.map(({ outcome, call }) => [outcome, call.text])).toEqual([
        ['completed', 'good'],
        ['completed', 'bad'],
        ['failed', ''],
      ]);
      expect(asks[0]).toMatchObject({ request: { text: 'good' }, call: { usage: { total_tokens: 7 } } });
      expect(asks[2]?.call.failure).toMatchObject({ code: 'rejected' });
    });

    it('that cannot be had leaves the call, or fails it with its response kept', async () => {
      const lenient = await serve([{ point: 'post_invocation', onFailure: 'open' }]);
      expect(await lenient.model.invoke(hello)).toMatchObject({ status: 'completed', text: 'hello' });
      const strict = await serve([{ point: 'post_invocation' }]);
      expect(await strict.model.invoke(hello)).toMatchObject({ status: 'failed', text: 'hello' });
    });
  });

  it('a hook after invocation that hangs holds its call no longer than 5 s beyond the time of the call', async () => {
    const clock = new VirtualClock(1_000_000);
    const one = await serve([{ point: 'post_invocation' }], {}, { clock });
    const asks = await answer(one, { post_invocation: () => new Promise<never>(() => {}) });
    const invoked = one.model.invoke(hello, { timeoutMs: 1_000 });
    await expect
      .poll(async () => {
        await clock.advance(0);
        return asks.length;
      })
      .toBe(1);
    await clock.advance(5_999);
    expect(one.model.state.running).toBe(1);
    await clock.advance(1);
    expect(await invoked).toMatchObject({ status: 'completed', text: 'hello' });
    expect(one.model.state.running).toBe(0);
  });

  it(`questions are shared by the processes of one hook on ${busName}`, async () => {
    const one = await serve([{ point: 'pre_invocation' }]);
    const [left, right] = [
      await answer(one, { pre_invocation: () => null }),
      await answer(one, { pre_invocation: () => null }),
    ];
    for (let count = 0; count < 20; count += 1) await one.model.invoke(hello);
    expect(left.length + right.length).toBe(20);
  });
});
