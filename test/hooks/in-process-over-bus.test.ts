import { describe, expect, it } from 'vitest';
import { readAll, textOf } from '../acceptance/timed-endpoint.ts';
import { buses } from '../integration/served-model.ts';
import { askedModels, hello } from './asked-models.ts';

describe.each(Object.entries(buses))('hooks on %s', (_busName, open) => {
  const { serve } = askedModels(open);

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
});
