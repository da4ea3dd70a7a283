import { describe, expect, it } from 'vitest';
import { cancelReply } from '../../../schemas/wire.ts';
import { subjects } from '../../../src/bus/subjects.ts';
import { until } from '../../integration/private-server.ts';
import { buses } from '../../integration/served-model.ts';
import { failureOf, hello, slow } from './example-calls.ts';
import { quick, serveEachTest } from './serve-each-test.ts';

describe.each(Object.entries(buses))('calls over %s', (_name, open) => {
  const serve = serveEachTest(open);

  describe('cancel', () => {
    it('ends a running call, and says so to who asked and who called', async () => {
      const { remote, caller, id, endpoint } = await serve();
      const running = failureOf(remote.invoke(slow, { callId: 'c1' }));
      await until(() => endpoint.running.size === 1);
      const reply = await caller.request(subjects.cancel(id), { call_id: 'c1', reason: 'enough' }, quick);
      expect(cancelReply.strict().parse(reply.value())).toEqual({ call_id: 'c1', cancelled: true });
      expect(await running).toMatchObject({ code: 'cancelled', failure: { reason: 'enough' } });
      expect(endpoint.running.size).toBe(0);
    });

    it('is idempotent, and false for a call that is unknown or has ended by itself', async () => {
      const { remote, endpoint } = await serve();
      const running = failureOf(remote.invoke(slow, { callId: 'c1' }));
      await until(() => endpoint.running.size === 1);
      expect([await remote.cancel('c1'), await remote.cancel('c1')]).toEqual([true, true]);
      expect(await running).toMatchObject({ code: 'cancelled' });
      await remote.invoke(hello, { callId: 'c2' });
      expect([await remote.cancel('c2'), await remote.cancel('nobodys')]).toEqual([false, false]);
    });

    it('follows the signal of a remote caller', async () => {
      const { remote, endpoint } = await serve();
      const stop = new AbortController();
      const running = failureOf(remote.invoke(slow, { signal: stop.signal }));
      await until(() => endpoint.running.size === 1);
      stop.abort(new Error('no longer wanted'));
      expect(await running).toMatchObject({ code: 'cancelled' });
      expect(endpoint.running.size).toBe(0);
      await expect(remote.invoke(hello, { signal: stop.signal })).rejects.toMatchObject({ code: 'cancelled' });
      expect(endpoint.started).toHaveLength(1);
    });

    it('never starts a call that is cancelled while it waits', async () => {
      const { remote, endpoint } = await serve({}, { concurrencyLimit: 1 });
      const running = failureOf(remote.invoke(slow, { callId: 'runs' }));
      const waiting = failureOf(remote.invoke(hello, { callId: 'waits' }));
      await until(() => endpoint.running.size === 1);
      expect(await remote.cancel('waits')).toBe(true);
      expect(await waiting).toMatchObject({ code: 'cancelled' });
      await remote.cancel('runs');
      expect(await running).toMatchObject({ code: 'cancelled' });
      expect(endpoint.started).toEqual(['runs']);
    });
  });
});
