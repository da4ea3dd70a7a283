import { describe, expect, it } from 'vitest';
import { failureReply } from '../../../schemas/wire.ts';
import type { Message } from '../../../src/bus/bus.ts';
import { subjects } from '../../../src/bus/subjects.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';
import { until } from '../../integration/private-server.ts';
import { buses } from '../../integration/served-model.ts';
import { quick, serveEachTest } from './serve-each-test.ts';
import { ask, expectWhole, hello, silent } from './stream-listener.ts';

describe.each(Object.entries(buses))('streams over %s', (_name, open) => {
  const serve = serveEachTest(open);

  describe('credit', () => {
    it('is never exceeded, and returned over the subject of the node', async () => {
      const served = await serve();
      const listener = await ask(served, { ...hello, chunks: 50 }, { 'Imodel-Credit': '4' });
      const tell = (body: unknown): Promise<Message> =>
        served.caller.request(subjects.ctl(served.id, listener.node), body, { timeoutMs: 200 });
      const calm = async (count: number): Promise<void> => {
        await until(() => listener.heard.length === count);
        // Two signs of life later nothing else has come.
        const before = listener.messages.length;
        await until(() => listener.messages.length >= before + 2);
        expect(listener.heard).toHaveLength(count);
      };
      await calm(4);
      expect(served.endpoint.chunks).toBeLessThanOrEqual(6);
      served.caller.publish(subjects.ctl(served.id, listener.node), {
        type: 'credit',
        call_id: listener.callId,
        chunks: 3,
      });
      await calm(7);
      const wrong = await tell({ type: 'credit', call_id: listener.callId, chunks: 0 });
      expect(failureReply.parse(wrong.value()).failure).toMatchObject({ code: 'invalid_request', path: 'chunks' });
      const unknown = await tell({ type: 'extend', call_id: 'nobodys' });
      expect(failureReply.parse(unknown.value()).failure).toMatchObject({ code: 'invalid_request', path: 'call_id' });
      served.caller.publish(subjects.ctl(served.id, listener.node), {
        type: 'cancel',
        call_id: listener.callId,
        reason: 'enough',
      });
      await until(() => listener.ended);
      expectWhole(listener.heard);
      expect(listener.heard.at(-1)).toMatchObject({ call: { failure: { code: 'cancelled', reason: 'enough' } } });
    });

    it.each(['0', '-1', '1.5', '', 'many', '1e2', '65537'])(
      'is refused as %j, and leaves nothing behind',
      async (credit) => {
        const { caller, id, endpoint, remote } = await serve();
        const request = { headers: { 'Imodel-Credit': credit, 'Imodel-Call': 'again' }, ...quick };
        const reply = await caller.request(subjects.stream(id), hello, request);
        const refusal = { code: 'invalid_request', path: 'Imodel-Credit' };
        expect(failureReply.parse(reply.value()).failure).toMatchObject(refusal);
        expect(endpoint.started).toEqual([]);
        expect((await remote.invoke(hello, { callId: 'again' })).status).toBe('completed');
      },
    );

    it('lets a reader that is silent for half a minute go, and one that shows itself stay', async () => {
      const clock = new VirtualClock();
      const served = await serve({}, { clock });
      const [quiet, present] = [1, 2].map(async () => ask(served, silent, { 'Imodel-Credit': '8' }));
      const [gone, here] = [await quiet, await present];
      if (gone === undefined || here === undefined) throw new Error('no streams');
      for (let step = 0; step < 8; step += 1) {
        await clock.advance(5_000);
        served.caller.publish(subjects.ctl(served.id, here.node), { type: 'extend', call_id: here.callId });
        await served.caller.flush();
        await served.host.flush();
      }
      await until(() => gone.ended);
      expect(gone.heard.at(-1)).toMatchObject({ call: { failure: { reason: 'its reader is silent' } } });
      expect(here.ended).toBe(false);
    });
  });
});
