import { describe, expect, it } from 'vitest';
import type { ModelEventMessage } from '../../../schemas/event.ts';
import { subjects } from '../../../src/bus/subjects.ts';
import { until } from '../../integration/private-server.ts';
import { buses } from '../../integration/served-model.ts';
import { hello } from './example-calls.ts';
import { events, hear } from './heard-events.ts';
import { serveEachTest } from './serve-each-test.ts';

describe.each(Object.entries(buses))('calls over %s', (_name, open) => {
  const serve = serveEachTest(open);

  describe('events', () => {
    it('tells the life of a call and of the model, without a word of the prompt', async () => {
      const { remote, caller, id } = await serve({}, { limitRequests: 1, interval: 0.2, windowMargin: 0 });
      const heard = await hear(caller, subjects.everyEvent(id));
      await remote.invoke({ messages: [{ role: 'user', content: 'secret words' }] }, { callId: 'one', caller: 'me' });
      await remote.invoke(hello, { callId: 'two' });
      await remote.control({ action: 'pause' });
      await until(() => events(heard).some(({ type }) => type === 'paused'));
      const told = events(heard);
      const typesOf = (callId: string): string[] =>
        told.filter((event) => event.call_id === callId).map(({ type }) => type);
      expect(typesOf('one')).toEqual(['created', 'pre_invocation', 'answered', 'post_invocation']);
      expect(typesOf('two')).toEqual(['created', 'queued', 'pre_invocation', 'answered', 'post_invocation']);
      expect(told.map(({ type }) => type)).toContain('throttled');
      expect(told.find(({ type }) => type === 'post_invocation')).toMatchObject({
        call_id: 'one',
        caller: 'me',
        status: 'completed',
        usage: { total_tokens: expect.any(Number) },
      });
      for (const message of heard) {
        expect(message.subject).toBe(subjects.events(id, (message.value() as ModelEventMessage).type));
        expect(JSON.stringify(message.value())).not.toContain('secret');
      }
    });

    it('reports a message that cannot be read when nobody waits for a reply', async () => {
      const { remote, caller, id } = await serve();
      const heard: ModelEventMessage[] = [];
      const stop = remote.events((event) => void heard.push(event));
      await caller.flush();
      caller.publish(subjects.cancel(id), { call: 'wrong' });
      await until(() => heard.length === 1);
      expect(heard[0]).toMatchObject({
        type: 'malformed',
        failure: { code: 'invalid_request', path: 'call_id', value: 'undefined' },
      });
      stop();
      await caller.flush();
      caller.publish(subjects.cancel(id), { call: 'wrong' });
      await remote.invoke(hello);
      expect(heard).toHaveLength(1);
    });
  });
});
