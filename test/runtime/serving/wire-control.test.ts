import { describe, expect, it } from 'vitest';
import { failureReply } from '../../../schemas/wire.ts';
import { subjects } from '../../../src/bus/subjects.ts';
import { until } from '../../integration/private-server.ts';
import { buses } from '../../integration/served-model.ts';
import { hello } from './example-calls.ts';
import { quick, serveEachTest } from './serve-each-test.ts';

describe.each(Object.entries(buses))('calls over %s', (_name, open) => {
  const serve = serveEachTest(open);

  describe('state and control', () => {
    it('pauses, resumes, changes limits, resets, drains and closes', async () => {
      const { remote, endpoint } = await serve({}, { limitRequests: 2 });
      expect((await remote.control({ action: 'pause' })).mode).toBe('paused');
      const waiting = remote.invoke(hello);
      await until(async () => (await remote.state()).queue.waiting === 1);
      expect(endpoint.started).toEqual([]);
      await remote.control({ action: 'resume' });
      await waiting;
      await remote.invoke(hello);
      const limited = await remote.control({ action: 'limits', limit_requests: 5, concurrency_limit: 3 });
      expect(limited).toMatchObject({ concurrency_limit: 3, budget: { requests: { limit: 5, used: 2 } } });
      expect((await remote.control({ action: 'reset' })).budget.requests.used).toBe(0);
      const running = remote.invoke({ ...hello, delay_ms: 100 });
      await until(() => endpoint.running.size === 1);
      expect((await remote.control({ action: 'drain' })).mode).toBe('draining');
      await expect(remote.invoke(hello)).rejects.toMatchObject({ code: 'closed' });
      expect((await running).status).toBe('completed');
      expect((await remote.control({ action: 'close' })).mode).toBe('closed');
    });

    it.each([
      { action: 'explode' },
      { action: 'limits', limit_requests: 0 },
      { action: 'pause', now: true },
      [],
      'pause',
    ])('refuses %j', async (body) => {
      const { caller, id, model } = await serve();
      const reply = await caller.request(subjects.control(id), body, quick);
      expect(failureReply.parse(reply.value()).failure.code).toBe('invalid_request');
      expect(model.status).toBe('idle');
    });
  });
});
