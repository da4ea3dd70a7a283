import { describe, expect, it } from 'vitest';
import type { HookAskAt } from '../../schemas/hook.ts';
import type { AskedHookOptions } from '../../schemas/imodel.ts';
import { readAll, textOf } from '../acceptance/timed-endpoint.ts';
import { until } from '../integration/private-server.ts';
import { buses } from '../integration/served-model.ts';
import { askedModels, type Handlers, hello } from './asked-models.ts';

describe.each(Object.entries(buses))('hooks on %s', (_busName, open) => {
  const { serve, answer } = askedModels(open);

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
});
