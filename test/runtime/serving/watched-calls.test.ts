import { describe, expect, it, onTestFinished } from 'vitest';
import { nodeState } from '../../../schemas/state.ts';
import { resumeReply } from '../../../schemas/wire.ts';
import { subjects } from '../../../src/bus/subjects.ts';
import { buses, serveScripted } from '../../integration/served-model.ts';

const quick = { timeoutMs: 5_000 };

async function until(question: () => boolean): Promise<void> {
  while (!question()) await new Promise((resolve) => setTimeout(resolve, 2));
}

for (const [name, open] of Object.entries(buses)) {
  const serve = async (...[script, options]: [object?, object?]) => {
    const served = await serveScripted(open, { ...script }, options);
    onTestFinished(() => served[Symbol.asyncDispose]());
    return served;
  };

  describe(`calls that are watched over ${name}`, () => {
    it('are told of with the state where it is asked for, running ones first, with their place in the queue', async () => {
      const { model, caller, id } = await serve({ delayMs: 60_000 }, { concurrencyLimit: 1 });
      const ask = async (body: unknown) =>
        nodeState.parse((await caller.request(subjects.state(id), body, quick)).value()).calls;
      const calls = [
        model.invoke({}, { callId: 'runs' }),
        model.invoke({}, { callId: 'third', caller: 'batch' }),
        model.invoke({}, { callId: 'second', priority: 3 }),
      ];
      await until(() => model.state.running === 1);
      expect(await ask({ calls: 10 })).toEqual([
        expect.objectContaining({ id: 'runs', stage: 'sending', streaming: false, chunks: 0, attempts: 1 }),
        expect.objectContaining({ id: 'third', stage: 'queued', position: 2, caller: 'batch' }),
        expect.objectContaining({ id: 'second', stage: 'queued', position: 1 }),
      ]);
      expect((await ask({ calls: 2 }))?.map((call) => call.id)).toEqual(['runs', 'third']);
      expect([await ask({}), await ask('hello'), await ask({ calls: -1 })]).toEqual([undefined, undefined, undefined]);
      await model.close();
      await Promise.allSettled(calls);
    });

    it('show a stream that is read in its own process from the first chunk, and do not hold it up', async () => {
      const { model, caller, id } = await serve({ text: 'a b c d', chunkDelayMs: 20 });
      const stream = model.stream({}, { callId: 'local' });
      await stream.next();
      await stream.next();
      const seen = new Map<number, unknown>();
      const note = (value: unknown): void => {
        const { seq, kind, content } = value as { seq?: number; kind: string; content?: string };
        if (seq !== undefined) seen.set(seq, kind === 'chunk' ? (content ?? 'no text') : kind);
      };
      caller.subscribe(subjects.chunks(id, 'local'), (message) => note(message.value()));
      await caller.flush();
      const body = { call_id: 'local', after_seq: 0 };
      const reply = await caller.request(subjects.resume(id), body, quick);
      for (const message of resumeReply.parse(reply.value()).messages) note(message);
      for await (const _chunk of stream);
      await until(() => seen.size === 7);
      expect([...seen].sort(([one], [other]) => one - other).map(([, what]) => what)).toEqual([
        'no text',
        'a',
        ' b',
        ' c',
        ' d',
        'no text',
        'end',
      ]);
      expect(stream.call.status).toBe('completed');
    });

    it('keep the latest 1,024 chunks of such a stream, and say so', async () => {
      const { model, caller, id } = await serve({ text: 'word', chunks: 1_500 });
      const stream = model.stream({}, { callId: 'long' });
      for (let read = 0; read < 1_100; read += 1) await stream.next();
      const ask = async (after: number) =>
        (await caller.request(subjects.resume(id), { call_id: 'long', after_seq: after }, quick)).value();
      const early = await ask(0);
      expect(early).toMatchObject({ failure: { code: 'invalid_request', path: 'after_seq' } });
      const { calls } = nodeState.parse((await caller.request(subjects.state(id), { calls: 1 }, quick)).value());
      const [{ chunks = 0 } = {}] = calls ?? [];
      const { messages } = resumeReply.parse(await ask(chunks - 1_024));
      expect([messages.length, messages[0]?.seq]).toEqual([1_024, chunks - 1_023]);
      await stream.return();
    });
  });
}
