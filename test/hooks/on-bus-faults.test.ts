import { describe, expect, it } from 'vitest';
import { subjects } from '../../src/bus/subjects.ts';
import { until } from '../integration/private-server.ts';
import { buses } from '../integration/served-model.ts';
import { askedModels, hello } from './asked-models.ts';

describe.each(Object.entries(buses))('hooks on %s', (_busName, open) => {
  const { serve, answer } = askedModels(open);

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
});
