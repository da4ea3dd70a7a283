import { describe, expect, it } from 'vitest';
import { modelState } from '../../../schemas/state.ts';
import { streamReply } from '../../../schemas/wire.ts';
import { subjects } from '../../../src/bus/subjects.ts';
import { until } from '../../integration/private-server.ts';
import { buses } from '../../integration/served-model.ts';
import { failureOf, slow } from './example-calls.ts';
import { quick, serveEachTest } from './serve-each-test.ts';

describe.each(Object.entries(buses))('calls over %s', (_name, open) => {
  const serve = serveEachTest(open);

  describe('state and control', () => {
    it('tells what it is doing, and where', async () => {
      const { remote, caller, id, endpoint, served } = await serve({}, { limitRequests: 10, concurrencyLimit: 1 });
      const calls = ['a', 'b'].map((callId) => failureOf(remote.invoke(slow, { callId })));
      await until(() => endpoint.running.size === 1);
      const reply = await caller.request(subjects.state(id), {}, quick);
      expect(modelState.extend({ node: streamReply.shape.node }).strict().parse(reply.value())).toMatchObject({
        id,
        node: served.node,
        mode: 'busy',
        running: 1,
        queue: { waiting: 1 },
        blocked: 'concurrency',
        budget: { requests: { limit: 10, used: 1, remaining: 9 } },
      });
      for (const call of ['b', 'a']) await remote.cancel(call);
      for (const call of calls) expect(await call).toMatchObject({ code: 'cancelled' });
    });
  });
});
