import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { wireCall } from '../../../schemas/call.ts';
import { failureReply } from '../../../schemas/wire.ts';
import { subjects } from '../../../src/bus/subjects.ts';
import { until } from '../../integration/private-server.ts';
import { buses } from '../../integration/served-model.ts';
import { failureOf, hello, slow } from './example-calls.ts';
import { events, hear } from './heard-events.ts';
import { quick, serveEachTest } from './serve-each-test.ts';

const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

describe.each(Object.entries(buses))('calls over %s', (_name, open) => {
  const serve = serveEachTest(open);

  describe('invoke', () => {
    it('gives the shares that a header says', async () => {
      const { model, caller, id } = await serve({ delay_ms: 60_000 });
      const headers = { 'Imodel-Caller': 'anna', 'Imodel-Weight': '2.5' };
      void caller.request(subjects.invoke(id), hello, { headers }).catch(() => {});
      await expect.poll(() => [...model.live.rows()].map((row) => [row.caller, row.weight])).toEqual([['anna', 2.5]]);
      const wrong = await caller.request(subjects.invoke(id), hello, { headers: { 'Imodel-Weight': '0' }, ...quick });
      expect(failureReply.parse(wrong.value()).failure).toMatchObject({
        code: 'invalid_request',
        path: 'Imodel-Weight',
      });
    });
  });

  describe('headers', () => {
    it('ends a call when its remaining time is up', async () => {
      const { caller, id, endpoint } = await serve();
      const headers = { 'Imodel-Deadline-Ms': '60' };
      const reply = await caller.request(subjects.invoke(id), slow, { headers, ...quick });
      expect(wireCall.parse(reply.value())).toMatchObject({
        execution: { status: 'aborted' },
        failure: { code: 'timed_out', timeoutMs: 60 },
      });
      expect(endpoint.running.size).toBe(0);
    });

    it('ends a call that waits longer than it may', async () => {
      const { remote, caller, id, endpoint } = await serve({}, { concurrencyLimit: 1 });
      const running = failureOf(remote.invoke(slow, { callId: 'first' }));
      await until(() => endpoint.running.size === 1);
      const headers = { 'imodel-queue-ms': '50' };
      const reply = await caller.request(subjects.invoke(id), hello, { headers, ...quick });
      expect(wireCall.parse(reply.value()).failure).toMatchObject({ code: 'timed_out', phase: 'concurrency' });
      await remote.cancel('first');
      expect(await running).toMatchObject({ code: 'cancelled' });
    });

    it('serves the higher priority first, and tells observers who calls', async () => {
      const { remote, model, caller, id, endpoint } = await serve({}, { concurrencyLimit: 1 });
      const heard = await hear(caller, subjects.events(id, 'post_invocation'));
      model.pause();
      const low = remote.invoke(hello, { callId: 'low', priority: -3, caller: 'batch' });
      const high = remote.invoke(hello, { callId: 'high', priority: 7, caller: 'person' });
      await until(() => model.state.queue.waiting === 2);
      model.resume();
      await Promise.all([low, high]);
      expect(endpoint.started).toEqual(['high', 'low']);
      await until(() => heard.length === 2);
      expect(events(heard).map((event) => event.caller)).toEqual(['person', 'batch']);
    });

    it.each([
      ['Imodel-Deadline-Ms', 'soon'],
      ['Imodel-Deadline-Ms', '-1'],
      ['Imodel-Deadline-Ms', '0x10'],
      ['Imodel-Queue-Ms', 'NaN'],
      ['Imodel-Priority', '11'],
      ['Imodel-Priority', '0.5'],
      ['Imodel-Call', 'a b'],
      ['Imodel-Caller', 'x'.repeat(257)],
    ])('refuses %s: %s, and names it', async (name, value) => {
      const { caller, id, endpoint } = await serve();
      for (const subject of [subjects.invoke(id), subjects.stream(id)]) {
        const reply = await caller.request(subject, hello, { headers: { [name]: value }, ...quick });
        const refusal = {
          code: 'invalid_request',
          path: name,
          message: expect.stringContaining(`got \`${value.slice(0, 9)}`),
        };
        expect(failureReply.parse(reply.value()).failure).toMatchObject(refusal);
      }
      expect(endpoint.started).toEqual([]);
    });

    it('passes the trace context on to events, replies and terminal messages', async () => {
      const { caller, id } = await serve();
      const heard = await hear(caller, subjects.everyEvent(id));
      const callId = randomUUID();
      const chunks = await hear(caller, subjects.chunks(id, callId));
      const headers = { traceparent: trace, tracestate: 'vendor=1' };
      const reply = await caller.request(subjects.invoke(id), hello, { headers, ...quick });
      expect(reply.headers).toMatchObject(headers);
      await caller.request(subjects.stream(id), hello, { headers: { ...headers, 'Imodel-Call': callId }, ...quick });
      await until(() => (chunks.at(-1)?.value() as { kind: string } | undefined)?.kind === 'end');
      expect(chunks.at(-1)?.headers).toMatchObject(headers);
      await until(() => events(heard).filter(({ type }) => type === 'post_invocation').length === 2);
      for (const event of events(heard)) expect(event.traceparent).toBe(trace);
    });

    it('carries the trace context of a remote caller, and ignores one that is none', async () => {
      const { remote, caller, id } = await serve();
      const heard = await hear(caller, subjects.events(id, 'created'));
      await remote.invoke(hello, { traceparent: trace });
      for await (const _chunk of remote.stream(hello, { traceparent: trace })) void _chunk;
      await caller.request(subjects.invoke(id), hello, { headers: { traceparent: 'nonsense' }, ...quick });
      await until(() => heard.length === 3);
      expect(events(heard).map(({ traceparent }) => traceparent)).toEqual([trace, trace, undefined]);
    });
  });
});
