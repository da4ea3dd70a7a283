import { afterEach, describe, expect, it } from 'vitest';
import type { ModelEventMessage } from '../../schemas/event.ts';
import { type AskPoint, type HookAsk, type HookAskAt, hookAsk } from '../../schemas/hook.ts';
import type { AskedHookOptions } from '../../schemas/imodel.ts';
import type { NatsOptions } from '../../src/bus/nats.ts';
import { subjects } from '../../src/bus/subjects.ts';
import { onHook } from '../../src/hooks/on-hook.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { readAll, rejection, textOf } from '../acceptance/timed-endpoint.ts';
import { until } from '../integration/private-server.ts';
import { buses, type Ends, type Served, serveScripted } from '../integration/served-model.ts';

const hello = { messages: [{ role: 'user', content: 'hello' }] };

type Handlers = { readonly [P in AskPoint]?: Parameters<typeof onHook<P>>[2] };

describe.each(Object.entries(buses))('hooks on %s', (busName, open) => {
  const served: Served[] = [];
  afterEach(async () => {
    for (const one of served.splice(0)) await one[Symbol.asyncDispose]();
  });

  /** A served model that asks these hooks, and the events it tells. */
  const serve = async (hooks: AskedHookOptions[], script: Readonly<Record<string, unknown>> = {}, options = {}) => {
    const one = await serveScripted(open as (options?: NatsOptions) => Promise<Ends>, script, { hooks, ...options });
    served.push(one);
    const events: ModelEventMessage[] = [];
    one.model.observe((event) => events.push(event));
    const told = () => events.filter(({ type }) => type === 'hook').map(({ hook, failure }) => ({ ...hook, failure }));
    return { ...one, told };
  };
  /** Answers at the other end of the bus. */
  const answer = async ({ caller, id }: Served, handlers: Handlers, options: object = {}): Promise<HookAsk[]> => {
    const asks: HookAsk[] = [];
    for (const point of Object.keys(handlers) as AskPoint[]) {
      const handler = handlers[point] as (ask: HookAsk) => never;
      const keep = (ask: HookAsk): never => {
        asks.push(hookAsk.parse(ask));
        return handler(ask);
      };
      onHook(caller, point, keep, { model: id, ...options });
    }
    await caller.flush();
    return asks;
  };

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

  describe('a hook that cannot be had', () => {
    const quick = { point: 'pre_invocation', timeoutMs: 60 } as const;
    const faults: Readonly<Record<string, { handle?: (respond: (value: unknown) => void) => void; code: string }>> = {
      'nobody listens to': { code: 'no_responder' },
      hangs: { handle: () => {}, code: 'timed_out' },
      'answers garbage': { handle: (respond) => respond('nonsense'), code: 'malformed' },
      'answers an unknown action': { handle: (respond) => respond({ action: 'bless' }), code: 'malformed' },
      'answers what means nothing here': {
        handle: (respond) => respond({ action: 'transform', chunks: [] }),
        code: 'malformed',
      },
    };

    it.each(Object.entries(faults))(
      'that %s is passed over or refuses the call, as its options say',
      async (_what, fault) => {
        for (const onFailure of ['open', 'closed'] as const) {
          const one = await serve([{ ...quick, onFailure }]);
          if (fault.handle !== undefined) {
            const { handle } = fault;
            one.caller.subscribe(subjects.hooks(one.id, 'pre_invocation'), (message) =>
              handle((value) => message.respond(value)),
            );
            await one.caller.flush();
          }
          const call = await one.model.invoke(hello);
          if (onFailure === 'open') expect(call.text).toBe('hello');
          else expect(call.failure).toMatchObject({ code: 'vetoed', retryable: false, hook: 'pre_invocation' });
          expect(one.endpoint.started.length).toBe(onFailure === 'open' ? 1 : 0);
          expect(one.told()).toMatchObject([{ status: 'failed', failure: { code: fault.code } }]);
        }
      },
    );

    it('that throws says so at once, and to whoever wrote it', async () => {
      const one = await serve([{ point: 'pre_invocation' }]);
      const errors: unknown[] = [];
      const broken = (): never => {
        throw new Error('a bug in the hook');
      };
      await answer(one, { pre_invocation: broken }, { onError: (error: unknown) => errors.push(error) });
      const { failure } = await one.model.invoke(hello);
      expect(failure).toMatchObject({ code: 'vetoed', message: expect.stringContaining('a bug in the hook') });
      expect(errors).toMatchObject([{ message: 'a bug in the hook' }]);
    });

    it('that answers twice is heard once, and its second answer belongs to no other call', async () => {
      const one = await serve([{ point: 'pre_invocation' }]);
      let count = 0;
      one.caller.subscribe(subjects.hooks(one.id, 'pre_invocation'), (message) => {
        count += 1;
        message.respond({ action: 'answer', text: `answer ${count}` });
        message.respond({ action: 'veto', reason: 'twice' });
      });
      await one.caller.flush();
      const calls = [await one.model.invoke(hello), await one.model.invoke(hello)];
      expect(calls.map(({ text }) => text)).toEqual(['answer 1', 'answer 2']);
    });

    it('because the model is served nowhere refuses the call, unless it may be passed over', async () => {
      const one = await serve([{ point: 'pre_invocation' }]);
      one.served.close();
      await until(async () => (await one.model.invoke(hello)).failure?.code === 'vetoed');
      expect((await one.model.invoke(hello)).failure?.message).toContain(one.id);
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

  describe('on chunks', () => {
    const script = { text: 'my key is 1234 and more', chunks: 6 };
    const shout: Handlers = {
      chunk: ({ chunks }) => ({
        action: 'transform',
        chunks: chunks.map((chunk) => ({ ...chunk, content: chunk.content?.toUpperCase() })),
      }),
    };
    const hold = (options: object = {}): AskedHookOptions[] => [{ point: 'chunk', ...options }];

    it('a hook that holds some chunks at a time changes them, in order, and the outcome shows no others', async () => {
      const one = await serve(hold({ holdChunks: 2 }), script);
      const asks = (await answer(one, shout)) as HookAskAt<'chunk'>[];
      for (const stream of [one.model.stream(hello), one.remote.stream(hello)]) {
        const { chunks, error } = await readAll(stream);
        expect([textOf(chunks), error]).toEqual(['MY KEY IS 1234 AND MORE', null]);
        expect(stream.call).toMatchObject({ text: 'MY KEY IS 1234 AND MORE', response: null, status: 'completed' });
      }
      const [first] = asks;
      const own = asks.filter(({ call_id }) => call_id === first?.call_id);
      expect(own.map(({ first: at }) => at)).toEqual(
        own.map((_, index) => 1 + own.slice(0, index).reduce((sum, { chunks }) => sum + chunks.length, 0)),
      );
      expect(own.map(({ is_last: isLast }) => isLast)).toEqual(own.map((_, index) => index === own.length - 1));
    });

    it('chunks do not wait longer than their time', async () => {
      const one = await serve(hold({ holdChunks: 1_000, holdMs: 20 }), { text: 'x', chunks: 1_000, chunk_delay_ms: 5 });
      await answer(one, { chunk: () => null });
      const stream = one.model.stream(hello);
      for (let count = 0; count < 10; count += 1) await stream.next();
      expect(stream.call.status).toBe('processing');
      await stream.return();
    });

    it('one can take chunks out', async () => {
      const one = await serve(hold({ holdChunks: 1 }), script);
      await answer(one, {
        chunk: ({ chunks }) => ({
          action: 'transform',
          chunks: chunks.filter(({ content }) => !/\d/.test(content ?? '')),
        }),
      });
      const { chunks } = await readAll(one.remote.stream(hello));
      expect(textOf(chunks)).not.toMatch(/\d/);
      expect(chunks.at(-1)?.type).toBe('result');
    });

    it('one that holds all sees the whole answer, and its veto withholds all of it', async () => {
      const one = await serve(hold({ mode: 'hold-all' }), script);
      const asks = (await answer(one, { chunk: () => ({ action: 'veto', reason: 'a key' }) })) as HookAskAt<'chunk'>[];
      for (const stream of [one.model.stream(hello), one.remote.stream(hello)]) {
        const { chunks, error } = await readAll(stream);
        expect(chunks.filter(({ type }) => type !== 'error')).toEqual([]);
        expect(error).toMatchObject({ code: 'vetoed' });
        expect(JSON.stringify([stream.call?.error, (error as { partial?: unknown }).partial])).not.toContain('1234');
        expect(stream.call).toMatchObject({ status: 'failed', text: '', response: null });
      }
      expect(asks.map(({ chunks, is_last: isLast }) => [textOf(chunks as never), isLast])).toEqual([
        [script.text, true],
        [script.text, true],
      ]);
    });

    it('a veto in the middle ends the call upstream, and its reader keeps what was let through', async () => {
      const one = await serve(hold({ holdChunks: 1 }), { text: 'x', chunks: 100_000, chunk_delay_ms: 2 });
      await answer(one, {
        chunk: ({ first, chunks }) => (first + chunks.length > 6 ? { action: 'veto', reason: 'enough' } : null),
      });
      const { chunks, error } = await readAll(one.remote.stream(hello));
      expect(chunks.length).toBeLessThanOrEqual(5);
      expect(error).toMatchObject({ code: 'vetoed' });
      expect(one.endpoint.running.size).toBe(0);
      expect(one.endpoint.chunks).toBeLessThan(1_000);
    });

    it('several see them one after the other, after the handlers of this process', async () => {
      const streamHandlers = {
        text: (_call: unknown, _key: unknown, chunk: { content?: string }) => ({ ...chunk, content: 'a' }),
      };
      const hooks: AskedHookOptions[] = [
        { point: 'chunk', name: 'first', holdChunks: 2 },
        { point: 'chunk', name: 'second', mode: 'hold-all' },
      ];
      const one = await serve(hooks, { text: 'xxx', chunks: 3 }, { hookRegistry: { streamHandlers } });
      for (const name of ['first', 'second']) {
        const chunk: Handlers['chunk'] = ({ chunks }) => ({
          action: 'transform',
          chunks: chunks.map((own) => ({ ...own, content: own.content == null ? null : `${own.content}${name[0]}` })),
        });
        await answer(one, { chunk }, { name });
      }
      expect(textOf((await readAll(one.remote.stream(hello))).chunks)).toBe('afsafsafs');
    });

    it('an observer of chunks sees them all and changes nothing, whatever it answers', async () => {
      const one = await serve(hold({ mode: 'observe' }), script);
      const asks = (await answer(one, { chunk: () => ({ action: 'veto' }) })) as HookAskAt<'chunk'>[];
      const stream = one.model.stream(hello);
      expect(textOf((await readAll(stream)).chunks)).toBe(script.text);
      await until(() => asks.at(-1)?.is_last === true);
      expect(asks.flatMap(({ chunks }) => chunks.map(({ content }) => content ?? '')).join('')).toContain('1234');
      expect(stream.call).toMatchObject({ status: 'completed', text: script.text });
    });

    it('the answer of a call that is not streamed is judged too', async () => {
      const one = await serve(hold({ mode: 'hold-all' }), script);
      await answer(one, shout);
      const call = await one.remote.invoke(hello);
      expect(call).toMatchObject({ text: 'MY KEY IS 1234 AND MORE', response: null, status: 'completed' });
      const strict = await serve(hold(), script);
      await answer(strict, { chunk: () => ({ action: 'veto', reason: 'a key' }) });
      const vetoed = await strict.remote.invoke(hello);
      expect(vetoed).toMatchObject({ status: 'failed', text: '', response: null, failure: { code: 'vetoed' } });
      expect(JSON.stringify(vetoed.error)).not.toContain('1234');
    });

    it('a call whose hook hangs ends at its cancel, and shows nothing that was not judged', async () => {
      const one = await serve(hold({ mode: 'hold-all' }), script);
      const asks = await answer(one, { chunk: () => new Promise(() => {}) });
      const stream = one.model.stream(hello);
      await until(() => asks.length === 1);
      const before = Date.now();
      stream.call.cancel();
      await stream.call.done;
      expect(Date.now() - before).toBeLessThan(2_000);
      expect(stream.call).toMatchObject({ status: 'cancelled', text: '', response: null });
    });

    it('one that cannot be had lets everything through or nothing, as its options say', async () => {
      const lenient = await serve(hold({ onFailure: 'open' }), script);
      expect(textOf((await readAll(lenient.model.stream(hello))).chunks)).toBe(script.text);
      expect((await lenient.model.invoke(hello)).text).toBe(script.text);
      const strict = await serve(hold(), script);
      const { chunks, error } = await readAll(strict.model.stream(hello));
      expect([textOf(chunks), error]).toMatchObject(['', { code: 'vetoed' }]);
    });

    it('a reader that is slow makes the endpoint wait behind the hook too', async () => {
      const one = await serve(hold({ holdChunks: 8 }), { text: 'x', chunks: 20_000 });
      await answer(one, { chunk: () => null });
      const stream = one.model.stream(hello);
      for (let count = 0; count < 5; count += 1) await stream.next();
      await until(() => one.endpoint.chunks > 200);
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(one.endpoint.chunks).toBeLessThan(2_000);
      const { chunks, error } = await readAll(stream);
      expect([chunks.length + 5 >= 20_000, error]).toEqual([true, null]);
    });
  });

  describe('in this process hold for calls over the bus too', () => {
    it('the hook before creation: its veto, and the call it makes, under the id its caller chose', async () => {
      const hookRegistry = {
        pre_event_create: (_class: unknown, { request }: { readonly request?: unknown }) => {
          if ((request as { text?: string }).text === 'veto') throw new Error('not this');
          return one.model.createApiCalling({ text: 'made by the hook', ...((request as object) ?? {}), messages: [] });
        },
      };
      const one = await serve([], {}, { hookRegistry, exitHook: true });
      const refused = await one.remote.invoke({ text: 'veto' }).catch((error) => error);
      expect(refused.failure ?? refused).toMatchObject({
        code: 'vetoed',
        message: expect.stringContaining('not this'),
      });
      const call = await one.remote.invoke(hello, { callId: 'chosen' });
      expect([call.id, call.text]).toEqual(['chosen', 'made by the hook']);
      const { chunks } = await readAll(one.remote.stream(hello));
      expect(textOf(chunks)).toBe('made by the hook');
    });

    it('chunk handlers and the process function', async () => {
      const streamHandlers = {
        text: (_call: unknown, _key: unknown, chunk: { content?: string }) => ({ ...chunk, content: 'y' }),
      };
      const one = await serve([], { text: 'xxx', chunks: 3 }, { hookRegistry: { streamHandlers } });
      expect(textOf((await readAll(one.remote.stream(hello))).chunks)).toBe('yyy');
      const processed = await serve([], { text: 'xxx', chunks: 3 }, { streamingProcessFunc: () => 'z' });
      expect(textOf((await readAll(processed.remote.stream(hello))).chunks)).toMatch(/^z+$/);
      const broken = { text: () => Promise.reject(new Error('bad chunk')) };
      const strict = await serve(
        [],
        { text: 'xxx', chunks: 3 },
        { hookRegistry: { streamHandlers: broken }, exitHook: true },
      );
      expect((await readAll(strict.remote.stream(hello))).error).toMatchObject({ code: 'vetoed' });
    });
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
