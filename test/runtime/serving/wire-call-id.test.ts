import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { wireCall } from '../../../schemas/call.ts';
import { failureReply } from '../../../schemas/wire.ts';
import type { Message } from '../../../src/bus/bus.ts';
import { subjects } from '../../../src/bus/subjects.ts';
import { buses } from '../../integration/served-model.ts';
import { failureOf, hello } from './example-calls.ts';
import { quick, serveEachTest } from './serve-each-test.ts';

describe.each(Object.entries(buses))('calls over %s', (_name, open) => {
  const serve = serveEachTest(open);

  describe('invoke', () => {
    it('makes one call of the same request sent twice, while it runs and after', async () => {
      const { caller, id, endpoint } = await serve({ delay_ms: 100 });
      const headers = { 'Imodel-Call': randomUUID() };
      const ask = (): Promise<Message> => caller.request(subjects.invoke(id), hello, { headers, ...quick });
      const replies = await Promise.all([ask(), ask()]);
      replies.push(await ask());
      expect(endpoint.started).toEqual([headers['Imodel-Call']]);
      const [first, ...others] = replies.map((reply) => reply.value());
      for (const other of others) expect(other).toEqual(first);
    });

    it('refuses the id of another caller, before and after its call has ended', async () => {
      const { caller, id, endpoint } = await serve({ delay_ms: 100 });
      const callId = randomUUID();
      const ask = async (name: string) => {
        const headers = { 'Imodel-Call': callId, 'Imodel-Caller': name };
        return (await caller.request(subjects.invoke(id), hello, { headers, ...quick })).value();
      };
      const first = ask('anna');
      expect(failureReply.parse(await ask('bert')).failure).toMatchObject({ code: 'conflict', callId });
      expect(await ask('anna')).toEqual(await first);
      expect(failureReply.parse(await ask('bert')).failure).toMatchObject({ code: 'conflict', callId });
      expect(endpoint.started).toEqual([callId]);
    });

    it('takes the last token of the reply subject for the id when no header names one', async () => {
      const { caller, id, endpoint } = await serve();
      const token = randomUUID();
      const reply = await caller.request(subjects.invoke(id), hello, { token, ...quick });
      expect(wireCall.parse(reply.value()).id).toBe(token);
      expect(endpoint.started).toEqual([token]);
    });

    it('refuses the id of a local call that has not ended', async () => {
      const { model, caller, id } = await serve({ delay_ms: 60_000 });
      const local = failureOf(model.invoke(hello, { callId: 'mine' }));
      const reply = await caller.request(subjects.invoke(id), hello, { headers: { 'Imodel-Call': 'mine' }, ...quick });
      expect(failureReply.parse(reply.value()).failure).toMatchObject({ code: 'conflict', callId: 'mine' });
      await model.close();
      expect(await local).toMatchObject({ code: 'closed' });
    });

    it('refuses to stream a call that was invoked, and the other way round', async () => {
      const { caller, id } = await serve();
      const one = { headers: { 'Imodel-Call': randomUUID() }, ...quick };
      await caller.request(subjects.invoke(id), hello, one);
      const streamed = await caller.request(subjects.stream(id), hello, one);
      expect(failureReply.parse(streamed.value()).failure.code).toBe('conflict');
      const other = { headers: { 'Imodel-Call': randomUUID() }, ...quick };
      await caller.request(subjects.stream(id), hello, other);
      const invoked = await caller.request(subjects.invoke(id), hello, other);
      expect(failureReply.parse(invoked.value()).failure.code).toBe('conflict');
    });
  });
});
