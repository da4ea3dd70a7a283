import { describe, expect, it } from 'vitest';
import { wireCall } from '../../../schemas/call.ts';
import { failureReply } from '../../../schemas/wire.ts';
import { readHeader } from '../../../src/bus/headers.ts';
import { subjects } from '../../../src/bus/subjects.ts';
import { buses } from '../../integration/served-model.ts';
import { hello } from './example-calls.ts';
import { quick, serveEachTest } from './serve-each-test.ts';

describe.each(Object.entries(buses))('calls over %s', (_name, open) => {
  const serve = serveEachTest(open);

  describe('invoke', () => {
    it('answers a request with the call as it ended', async () => {
      const { caller, id } = await serve();
      const reply = await caller.request(subjects.invoke(id), hello, quick);
      const call = wireCall.strict().parse(reply.value());
      expect(call).toMatchObject({ text: 'hello', finish_reason: 'stop', failure: null });
      expect(call.execution).toMatchObject({ status: 'completed', error: null, retryable: null });
      expect(reply.headers['Nats-Service-Error-Code']).toBeUndefined();
    });

    it('answers a failed call with the failure in the body and its code in the headers', async () => {
      const { caller, id } = await serve({ failures: [{ code: 'rate_limited', retryAfterMs: 1_500 }] });
      const reply = await caller.request(subjects.invoke(id), hello, quick);
      expect(wireCall.parse(reply.value())).toMatchObject({
        execution: { status: 'failed', retryable: true },
        failure: { code: 'rate_limited', retryAfterMs: 1_500, source: 'provider' },
      });
      expect(readHeader(reply.headers, 'nats-service-error-code')).toBe('429');
      expect(readHeader(reply.headers, 'nats-service-error')).toBe('The script says rate_limited');
    });

    it('answers a request that does not fit with the field and its value', async () => {
      const { caller, id, endpoint } = await serve();
      const reply = await caller.request(subjects.invoke(id), { ...hello, chunks: 'many' }, quick);
      expect(failureReply.strict().parse(reply.value()).failure).toMatchObject({
        code: 'invalid_request',
        path: 'chunks',
        value: '`many` (string)',
      });
      expect(reply.headers['Nats-Service-Error-Code']).toBe('400');
      expect(endpoint.started).toEqual([]);
    });

    it('is used as a local iModel', async () => {
      const { remote } = await serve({ failures: [null, 'rejected'] });
      const call = await remote.invoke(hello);
      expect(call).toMatchObject({ status: 'completed', text: 'hello', finishReason: 'stop' });
      expect(call.usage?.totalTokens).toBeGreaterThan(0);
      const failed = await remote.invoke(hello);
      expect(failed).toMatchObject({ status: 'failed', failure: { code: 'rejected' } });
    });

    it('says at once that nobody serves an id', async () => {
      const { remote, served, host } = await serve();
      served.close();
      await host.flush();
      await expect(remote.invoke(hello)).rejects.toMatchObject({ code: 'no_responder', retryable: true });
    });
  });
});
