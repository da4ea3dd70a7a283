import { describe, expect, it } from 'vitest';
import { subjects } from '../../../src/bus/subjects.ts';
import { until } from '../../integration/private-server.ts';
import { buses } from '../../integration/served-model.ts';
import { hello } from './example-calls.ts';
import { hear } from './heard-events.ts';
import { quick, serveEachTest } from './serve-each-test.ts';

describe.each(Object.entries(buses))('calls over %s', (_name, open) => {
  const serve = serveEachTest(open);

  it('is found as a service, with its queue and budget in the statistics', async () => {
    const { remote, caller, id, served } = await serve({ failures: [null, 'rejected'] }, { limitRequests: 9 });
    await remote.invoke(hello);
    await remote.invoke(hello);
    for await (const _chunk of remote.stream(hello));
    await caller.request(subjects.stream(id), { nonsense: 1 }, quick).catch(() => {});
    const ask = async (verb: string): Promise<Record<string, unknown>> => {
      const inbox = `reply.${id}.${verb}`;
      const replies = await hear(caller, inbox);
      const mine = (): Record<string, unknown> | undefined =>
        replies
          .map((reply) => reply.value() as { metadata: { id: string } })
          .find(({ metadata }) => metadata.id === id);
      caller.publish(`$SRV.${verb}.imodel`, undefined, { replyTo: inbox });
      await until(() => mine() !== undefined);
      return mine() ?? {};
    };
    expect(await ask('PING')).toMatchObject({
      type: 'io.nats.micro.v1.ping_response',
      metadata: { id, node: served.node, provider: 'scripted', model: 'scripted' },
    });
    expect(await ask('INFO')).toMatchObject({
      endpoints: [
        {
          name: 'invoke',
          subject: subjects.invoke(id),
          queue_group: 'imodel',
          metadata: { request_schema: expect.stringContaining('callRequest'), reply_schema: expect.any(String) },
        },
        { name: 'stream', subject: subjects.stream(id), queue_group: 'imodel' },
      ],
    });
    expect(await ask('STATS')).toMatchObject({
      endpoints: [
        {
          num_requests: 2,
          num_errors: 1,
          last_error: 'The script says rejected',
          data: { queue: { waiting: 0 }, running: 0, budget: { requests: { limit: 9, used: 3 } } },
        },
        { num_requests: 2, num_errors: 1, last_error: expect.stringContaining('nonsense') },
      ],
    });
  });
});
