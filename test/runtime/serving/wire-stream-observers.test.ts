import { describe, expect, it } from 'vitest';
import { failureReply, resumeReply } from '../../../schemas/wire.ts';
import type { Message } from '../../../src/bus/bus.ts';
import { subjects } from '../../../src/bus/subjects.ts';
import { until } from '../../integration/private-server.ts';
import { buses } from '../../integration/served-model.ts';
import { quick, serveEachTest } from './serve-each-test.ts';
import { ask, expectWhole, type Heard, hello, Listener } from './stream-listener.ts';

describe.each(Object.entries(buses))('streams over %s', (_name, open) => {
  const serve = serveEachTest(open);

  describe('observers', () => {
    it('that come late get everything from the ring, then follow', async () => {
      const served = await serve();
      const reader = await ask(served, { ...hello, chunks: 40, chunk_delay_ms: 10 });
      await until(() => reader.heard.length > 10);
      const late = new Listener(served.caller, served.id, reader.callId);
      await served.caller.flush();
      const reply = await served.caller.request(
        subjects.resume(served.id),
        { call_id: reader.callId, after_seq: 3 },
        quick,
      );
      const { messages, ...rest } = resumeReply.strict().parse(reply.value());
      expect(rest).toEqual({
        call_id: reader.callId,
        subject: subjects.chunks(served.id, reader.callId),
        node: reader.node,
      });
      await until(() => late.ended);
      const seen = new Map<number, unknown>();
      for (const message of [...messages, ...late.heard]) seen.set(message.seq, message);
      const numbers = [...seen.keys()].sort((left, right) => left - right);
      expect(numbers).toEqual(reader.heard.map(({ seq }) => seq).slice(3));
    });

    it('get a stream that has ended a moment ago, its end included', async () => {
      const served = await serve();
      const reader = await ask(served, hello);
      await until(() => reader.ended);
      const body = { call_id: reader.callId, after_seq: 0 };
      const reply = await served.caller.request(subjects.resume(served.id), body, quick);
      expect(resumeReply.parse(reply.value()).messages).toHaveLength(reader.heard.length);
      expectWhole(resumeReply.parse(reply.value()).messages as unknown as Heard[]);
    });

    it('hear that what they ask for is kept no more, and nothing of calls that nobody holds', async () => {
      const served = await serve();
      const reader = await ask(served, { ...hello, chunks: 1_500 });
      await until(() => reader.ended);
      const resume = (body: unknown): Promise<Message> =>
        served.caller.request(subjects.resume(served.id), body, { timeoutMs: 300 });
      const failed = await resume({ call_id: reader.callId, after_seq: 10 });
      expect(failureReply.parse(failed.value()).failure).toMatchObject({ code: 'invalid_request', path: 'after_seq' });
      const kept = await resume({ call_id: reader.callId, after_seq: 1_000 });
      expect(resumeReply.parse(kept.value()).messages.length).toBe(reader.heard.length - 1_000);
      const beyond = await resume({ call_id: reader.callId, after_seq: Number.MAX_SAFE_INTEGER });
      expect(resumeReply.parse(beyond.value()).messages).toEqual([]);
      await expect(resume({ call_id: 'nobodys', after_seq: 0 })).rejects.toMatchObject({ code: 'timed_out' });
    });

    it('that leave change nothing', async () => {
      const served = await serve();
      const reader = await ask(served, { ...hello, chunks: 30, chunk_delay_ms: 20 });
      const observer = new Listener(served.caller, served.id, reader.callId);
      await until(() => observer.heard.length > 2);
      observer.close();
      await until(() => reader.ended);
      expect(reader.heard.at(-1)).toMatchObject({ call: { execution: { status: 'completed' } } });
    });
  });
});
