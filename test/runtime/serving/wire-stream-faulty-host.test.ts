import { afterEach, describe, expect, it } from 'vitest';
import { subjects } from '../../../src/bus/subjects.ts';
import { connect } from '../../../src/runtime/remote/remote-model.ts';
import type { RemoteStream } from '../../../src/runtime/remote/remote-stream.ts';
import { uniqueId } from '../../integration/connect-test-bus.ts';
import { buses, type Ends } from '../../integration/served-model.ts';
import { hello, readAll } from './stream-listener.ts';

describe.each(Object.entries(buses))('streams over %s', (_name, open) => {
  const opened: AsyncDisposable[] = [];
  afterEach(async () => {
    for (const one of opened.splice(0)) await one[Symbol.asyncDispose]();
  });

  describe('a host that', () => {
    /** A host of the test's own, which does what it likes. */
    const pretend = async (
      onStream: (send: (message: unknown) => void) => void,
      resume: (afterSeq: number) => unknown = () => undefined,
      options: { idleTimeoutMs?: number } = {},
    ): Promise<RemoteStream> => {
      const ends: Ends = await open();
      opened.push({
        async [Symbol.asyncDispose]() {
          await ends.caller.close();
          await ends.host.close();
        },
      });
      const id = uniqueId();
      ends.host.subscribe(
        subjects.stream(id),
        (message) => {
          const callId = message.headers['Imodel-Call'] ?? '';
          const subject = subjects.chunks(id, callId);
          message.respond({ call_id: callId, subject, node: 'here' });
          onStream((body) => ends.host.publish(subject, body));
        },
        { queue: 'imodel' },
      );
      ends.host.subscribe(subjects.resume(id), (message) => {
        const { call_id: callId, after_seq: afterSeq } = message.value() as { call_id: string; after_seq: number };
        const answer = resume(afterSeq);
        if (answer === undefined) return;
        const subject = subjects.chunks(id, callId);
        message.respond(Array.isArray(answer) ? { call_id: callId, subject, node: 'here', messages: answer } : answer);
      });
      await ends.host.flush();
      return connect(ends.caller).model(id).stream(hello, options);
    };
    const chunk = (seq: number): unknown => ({ seq, kind: 'chunk', type: 'text', content: `${seq} ` });
    const end = (seq: number): unknown => ({
      seq,
      kind: 'end',
      call: {
        id: 'x',
        created_at: 0,
        metadata: {},
        execution: { status: 'completed', duration: 0, response: null, error: null, retryable: null },
        text: '',
        thinking: '',
        tool_uses: [],
        finish_reason: 'stop',
        usage: null,
        failure: null,
      },
    });

    it('loses messages is asked for them, and order and number hold', async () => {
      const asked: number[] = [];
      const stream = await pretend(
        (send) => [chunk(1), chunk(4), chunk(2), chunk(2), end(6), chunk(3)].forEach(send),
        (after) => {
          asked.push(after);
          return [2, 3, 4, 5].filter((seq) => seq > after).map(chunk);
        },
      );
      expect(await readAll(stream)).toBe('1 2 3 4 5 ');
      expect(asked[0]).toBe(1);
    });

    it('shows that it is further than what has come is asked, too', async () => {
      const stream = await pretend(
        (send) => send({ kind: 'alive', last_seq: 2 }),
        () => [chunk(1), end(2)],
      );
      expect(await readAll(stream)).toBe('1 ');
    });

    it('has lost for ever what is missing makes the stream fail, never skip', async () => {
      const stream = await pretend(
        (send) => [chunk(1), chunk(3), end(4)].forEach(send),
        () => ({
          failure: { code: 'invalid_request', message: 'kept no more', retryable: false, source: 'runtime' },
        }),
      );
      expect((await stream.next()).value).toMatchObject({ content: '1 ' });
      await expect(stream.next()).rejects.toMatchObject({ code: 'unavailable', failure: { source: 'bus' } });
      expect(stream.call).toBeNull();
    });

    it('falls silent makes the stream fail when its idle limit is up', async () => {
      const stream = await pretend((send) => send(chunk(1)), undefined, { idleTimeoutMs: 400 });
      await stream.next();
      await expect(stream.next()).rejects.toMatchObject({
        code: 'timed_out',
        failure: { phase: 'stream', timeoutMs: 400, source: 'bus' },
      });
    });

    it.each([
      ['no object', 17],
      ['no number', { kind: 'chunk', type: 'text', content: 'x' }],
      ['an unknown kind of chunk', { seq: 1, kind: 'chunk', type: 'song', content: 'x' }],
      ['an end without a call', { seq: 1, kind: 'end' }],
    ])('sends %s makes the stream fail as malformed', async (_what, message) => {
      const stream = await pretend((send) => send(message));
      await expect(stream.next()).rejects.toMatchObject({ code: 'malformed', failure: { source: 'bus' } });
    });

    it('numbers beyond reason is asked, and what it numbers so is ignored', async () => {
      const stream = await pretend(
        (send) => {
          send(chunk(Number.MAX_SAFE_INTEGER));
          for (let seq = 1; seq <= 3; seq += 1) send(chunk(seq));
          send(end(4));
        },
        () => [],
      );
      expect(await readAll(stream)).toBe('1 2 3 ');
    });
  });
});
