import { randomUUID } from 'node:crypto';
import { Packr } from 'msgpackr';
import type { NatsConnection } from 'nats';
import { afterEach, describe, expect, it } from 'vitest';
import { aliveMessage, failureReply, resumeReply, streamMessage, streamReply } from '../../../schemas/wire.ts';
import type { Bus, Message } from '../../../src/bus/bus.ts';
import { connectNats, type NatsOptions } from '../../../src/bus/nats.ts';
import { subjects } from '../../../src/bus/subjects.ts';
import { iModel } from '../../../src/imodel.ts';
import type { IModelOptions } from '../../../src/imodel-options.ts';
import { connect } from '../../../src/runtime/remote/remote-model.ts';
import type { RemoteStream } from '../../../src/runtime/remote/remote-stream.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';
import { uniqueId } from '../../integration/connect-test-bus.ts';
import { startServer, until } from '../../integration/private-server.ts';
import { buses, type Ends, type Served, serveScripted } from '../../integration/served-model.ts';
import { startProxy } from '../../integration/tcp-proxy.ts';

const hello = { messages: [{ role: 'user', content: 'one two three four five' }] };
const endless = { ...hello, chunks: 100_000, chunk_delay_ms: 5 };
const silent = { ...hello, delay_ms: 60_000 };
const quick = { timeoutMs: 10_000 };

/** A message of a stream as it came, signs of life left out. */
type Heard = { readonly seq: number; readonly kind: string; readonly content?: string } & Record<string, unknown>;

/** Everything on the subject of one call. */
class Listener {
  readonly messages: Message[] = [];
  readonly #close: () => void;

  constructor(bus: Bus, modelId: string, callId: string) {
    const subscription = bus.subscribe(subjects.chunks(modelId, callId), (message) => void this.messages.push(message));
    this.#close = () => subscription.close();
  }

  get heard(): Heard[] {
    return this.messages.map((message) => message.value() as Heard).filter(({ kind }) => kind !== 'alive');
  }

  get ended(): boolean {
    return this.heard.some(({ kind }) => kind === 'end');
  }

  close(): void {
    this.#close();
  }
}

async function readAll(stream: AsyncIterable<{ content?: string | null; type: string }>): Promise<string> {
  let text = '';
  for await (const chunk of stream) if (chunk.type === 'text') text += chunk.content ?? '';
  return text;
}

/** From 1 without gaps, the end once and last. */
function expectWhole(heard: readonly Heard[]): void {
  expect(heard.map(({ seq }) => seq)).toEqual(heard.map((_, index) => index + 1));
  expect(heard.map(({ kind }) => kind).indexOf('end')).toBe(heard.length - 1);
  for (const message of heard) streamMessage.parse(message);
}

describe.each(Object.entries(buses))('streams over %s', (_name, open) => {
  const opened: AsyncDisposable[] = [];
  const serve = async (
    script?: Readonly<Record<string, unknown>>,
    options?: Partial<IModelOptions>,
    busOptions?: NatsOptions,
  ): Promise<Served> => {
    const served = await serveScripted(open, script, options, busOptions);
    opened.push(served);
    return served;
  };
  afterEach(async () => {
    for (const one of opened.splice(0)) await one[Symbol.asyncDispose]();
  });

  /** Asks for a stream as a client would that knows the contract and no more. */
  const ask = async (
    { caller, id }: Served,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Listener & { readonly callId: string; readonly node: string }> => {
    const callId = randomUUID();
    const listener = new Listener(caller, id, callId);
    await caller.flush();
    const reply = await caller.request(subjects.stream(id), body, {
      headers: { 'Imodel-Call': callId, ...headers },
      ...quick,
    });
    const { node, ...rest } = streamReply.strict().parse(reply.value());
    expect(rest).toEqual({ call_id: callId, subject: subjects.chunks(id, callId) });
    return Object.assign(listener, { callId, node });
  };

  describe('messages', () => {
    it('are numbered from 1 without gaps, and end once, with the call as it ended', async () => {
      const served = await serve();
      const listener = await ask(served, hello);
      await until(() => listener.ended);
      await served.host.flush();
      await served.caller.flush();
      expectWhole(listener.heard);
      expect(listener.heard.map(({ content }) => content ?? '').join('')).toBe('one two three four five');
      expect(listener.heard.at(-1)).toMatchObject({
        call: { id: listener.callId, text: 'one two three four five', execution: { status: 'completed' } },
      });
    });

    it('come after the reply that names their subject', async () => {
      const { caller, id } = await serve();
      const order: string[] = [];
      caller.subscribe(subjects.chunks(id, 'mine'), (message) => void order.push((message.value() as Heard).kind));
      caller.subscribe('the.reply', () => void order.push('reply'));
      await caller.flush();
      caller.publish(subjects.stream(id), hello, { headers: { 'Imodel-Call': 'mine' }, replyTo: 'the.reply' });
      await until(() => order.includes('end'));
      expect(order[0]).toBe('reply');
    });

    it('carry no headers until the terminal one of a failure', async () => {
      const served = await serve({ failures: [{ code: 'overloaded', afterChunks: 2 }] });
      const listener = await ask(served, hello);
      await until(() => listener.ended);
      expectWhole(listener.heard);
      expect(listener.heard.at(-1)).toMatchObject({ call: { failure: { code: 'overloaded' } } });
      const headers = listener.messages.map((message) => ({ ...message.headers }));
      expect(headers.pop()).toMatchObject({ 'Nats-Service-Error-Code': '503' });
      for (const one of headers) expect(one).toEqual({});
    });

    it.each(['cancel', 'close'] as const)('end once after a %s in the middle', async (how) => {
      const served = await serve();
      const listener = await ask(served, endless);
      await until(() => listener.heard.length > 3);
      if (how === 'cancel') await served.remote.cancel(listener.callId, 'enough');
      else await served.remote.control({ action: 'close' });
      await until(() => listener.ended);
      await served.caller.flush();
      expectWhole(listener.heard);
      const code = how === 'cancel' ? 'cancelled' : 'closed';
      expect(listener.heard.at(-1)).toMatchObject({ call: { failure: { code } } });
      expect(served.endpoint.running.size).toBe(0);
    });

    it('show several times a second that a call lives which waits or thinks', async () => {
      const served = await serve({}, { concurrencyLimit: 1 });
      const thinks = await ask(served, silent);
      const waits = await ask(served, hello);
      for (const listener of [thinks, waits]) {
        await until(() => listener.messages.length >= 2);
        for (const message of listener.messages) {
          expect(aliveMessage.parse(message.value())).toEqual({ kind: 'alive', last_seq: 0 });
        }
      }
    });

    it('are the same for every observer, and for a request that comes twice', async () => {
      const served = await serve();
      const others = [1, 2, 3].map(() => served.caller);
      const callId = randomUUID();
      const listeners = others.map((bus) => new Listener(bus, served.id, callId));
      await served.caller.flush();
      const request = { headers: { 'Imodel-Call': callId }, ...quick };
      const replies = await Promise.all(
        [1, 2].map(() => served.caller.request(subjects.stream(served.id), { ...hello, chunk_delay_ms: 20 }, request)),
      );
      expect(replies[0]?.value()).toEqual(replies[1]?.value());
      await until(() => listeners.every(({ ended }) => ended));
      for (const { heard } of listeners) {
        expectWhole(heard);
        expect(heard).toEqual(listeners[0]?.heard);
      }
      expect(served.endpoint.started).toEqual([callId]);
    });
  });

  describe('credit', () => {
    it('is never exceeded, and returned over the subject of the node', async () => {
      const served = await serve();
      const listener = await ask(served, { ...hello, chunks: 50 }, { 'Imodel-Credit': '4' });
      const tell = (body: unknown): Promise<Message> =>
        served.caller.request(subjects.ctl(served.id, listener.node), body, { timeoutMs: 200 });
      const calm = async (count: number): Promise<void> => {
        await until(() => listener.heard.length === count);
        // Two signs of life later nothing else has come.
        const before = listener.messages.length;
        await until(() => listener.messages.length >= before + 2);
        expect(listener.heard).toHaveLength(count);
      };
      await calm(4);
      expect(served.endpoint.chunks).toBeLessThanOrEqual(6);
      served.caller.publish(subjects.ctl(served.id, listener.node), {
        type: 'credit',
        call_id: listener.callId,
        chunks: 3,
      });
      await calm(7);
      const wrong = await tell({ type: 'credit', call_id: listener.callId, chunks: 0 });
      expect(failureReply.parse(wrong.value()).failure).toMatchObject({ code: 'invalid_request', path: 'chunks' });
      const unknown = await tell({ type: 'extend', call_id: 'nobodys' });
      expect(failureReply.parse(unknown.value()).failure).toMatchObject({ code: 'invalid_request', path: 'call_id' });
      served.caller.publish(subjects.ctl(served.id, listener.node), {
        type: 'cancel',
        call_id: listener.callId,
        reason: 'enough',
      });
      await until(() => listener.ended);
      expectWhole(listener.heard);
      expect(listener.heard.at(-1)).toMatchObject({ call: { failure: { code: 'cancelled', reason: 'enough' } } });
    });

    it.each(['0', '-1', '1.5', '', 'many', '1e2', '65537'])(
      'is refused as %j, and leaves nothing behind',
      async (credit) => {
        const { caller, id, endpoint, remote } = await serve();
        const request = { headers: { 'Imodel-Credit': credit, 'Imodel-Call': 'again' }, ...quick };
        const reply = await caller.request(subjects.stream(id), hello, request);
        const refusal = { code: 'invalid_request', path: 'Imodel-Credit' };
        expect(failureReply.parse(reply.value()).failure).toMatchObject(refusal);
        expect(endpoint.started).toEqual([]);
        expect((await remote.invoke(hello, { callId: 'again' })).status).toBe('completed');
      },
    );

    it('lets a reader that is silent for half a minute go, and one that shows itself stay', async () => {
      const clock = new VirtualClock();
      const served = await serve({}, { clock });
      const [quiet, present] = [1, 2].map(async () => ask(served, silent, { 'Imodel-Credit': '8' }));
      const [gone, here] = [await quiet, await present];
      if (gone === undefined || here === undefined) throw new Error('no streams');
      for (let step = 0; step < 8; step += 1) {
        await clock.advance(5_000);
        served.caller.publish(subjects.ctl(served.id, here.node), { type: 'extend', call_id: here.callId });
        await served.caller.flush();
        await served.host.flush();
      }
      await until(() => gone.ended);
      expect(gone.heard.at(-1)).toMatchObject({ call: { failure: { reason: 'its reader is silent' } } });
      expect(here.ended).toBe(false);
    });
  });

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

  describe('a reader', () => {
    it('reads as a local one', async () => {
      const { remote } = await serve({ thinking: 'hm', toolUses: [{ name: 'add', input: { a: 1 } }] });
      const stream = remote.stream(hello);
      expect(stream.call).toBeNull();
      const types: string[] = [];
      for await (const chunk of stream) types.push(chunk.type);
      expect([...new Set(types)]).toEqual(['system', 'thinking', 'text', 'tool_use', 'result']);
      expect(stream.call).toMatchObject({ status: 'completed', thinking: 'hm', toolUses: [{ name: 'add' }] });
    });

    it('gets what came before a failure, then the failure', async () => {
      const { remote } = await serve({ failures: [{ code: 'unavailable', afterChunks: 2 }] });
      const texts: string[] = [];
      const stream = remote.stream(hello);
      const read = async (): Promise<void> => {
        for await (const chunk of stream) if (chunk.type === 'text') texts.push(chunk.content ?? '');
      };
      await expect(read()).rejects.toMatchObject({ code: 'unavailable', failure: { source: 'provider' } });
      expect(texts).toHaveLength(2);
      expect(stream.call?.status).toBe('failed');
    });

    it('is refused as a caller is', async () => {
      const { remote, endpoint } = await serve();
      await expect(remote.stream({ chunks: 0 }).next()).rejects.toMatchObject({ code: 'invalid_request' });
      const nobody = connect((await open()).caller).model(uniqueId());
      await expect(nobody.stream(hello).next()).rejects.toMatchObject({ code: 'no_responder' });
      expect(endpoint.started).toEqual([]);
    });

    it('that leaves ends the call', async () => {
      const { remote, endpoint } = await serve();
      for await (const _chunk of remote.stream(endless)) break;
      expect(endpoint.running.size).toBe(0);
    });

    it('whose signal aborts gets what is there, then that it was cancelled', async () => {
      const { remote, endpoint } = await serve();
      const stop = new AbortController();
      const stream = remote.stream(endless, { signal: stop.signal });
      await stream.next();
      stop.abort(new Error('enough'));
      await expect(readAll(stream)).rejects.toMatchObject({ code: 'cancelled', failure: { reason: 'enough' } });
      expect(endpoint.running.size).toBe(0);
      const aborted = remote.stream(endless, { signal: AbortSignal.abort('never mind') });
      await expect(readAll(aborted)).rejects.toMatchObject({ code: 'cancelled' });
      await until(() => endpoint.running.size === 0);
    });

    it('that vanishes without a word ends the call within moments', async () => {
      const served = await serve();
      const listener = await ask(served, endless);
      await until(() => listener.heard.length > 0);
      listener.close();
      await served.caller.flush();
      const leftAt = Date.now();
      await until(() => served.endpoint.running.size === 0);
      expect(Date.now() - leftAt).toBeLessThan(2_500);
    });

    it('goes on with a host that is no longer served', async () => {
      const { remote, served, endpoint, host } = await serve();
      const stream = remote.stream({ ...hello, chunks: 500 }, { credit: 16 });
      await stream.next();
      served.close();
      await host.flush();
      await expect(remote.invoke(hello)).rejects.toMatchObject({ code: 'no_responder' });
      await expect(readAll(stream)).resolves.toMatch(/^./);
      expect(stream.call?.status).toBe('completed');
      expect(endpoint.running.size).toBe(0);
    });

    it('of an invoked call that takes long is shown that it lives, and may leave it to others to listen', async () => {
      const served = await serve();
      const outcome = served.remote.invoke({ ...hello, delay_ms: 1_500 }, { callId: 'long' });
      const listener = new Listener(served.host, served.id, 'long');
      await until(() => listener.messages.length > 1);
      listener.close();
      expect((await outcome).status).toBe('completed');
      expect(aliveMessage.parse(listener.messages[0]?.value()).last_seq).toBe(0);
    });
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

  it('leave nothing behind', async () => {
    const { remote, caller, model, host } = await serve();
    const readers = (bus: Bus): number => {
      const feed = bus.status as unknown as { readonly readerCount: number };
      return feed.readerCount;
    };
    await readAll(remote.stream(hello));
    const before = [readers(caller), readers(host)];
    for (let index = 0; index < 50; index += 1) await readAll(remote.stream(hello));
    const second = model.serve(host);
    second.close();
    expect([readers(caller), readers(host)]).toEqual(before);
  });
});

describe('a reader that stalls for ten seconds', () => {
  it.each(Object.entries(buses))(
    'gets 10,000 chunks in order over %s, and the host never holds more than the window',
    {
      timeout: 60_000,
      concurrent: true,
    },
    async (_name, open) => {
      await using served = await serveScripted(open);
      const window = 64;
      const stream = served.remote.stream({ ...hello, text: 'x', chunks: 10_000 }, { credit: window });
      let read = 0;
      const written: number[] = [];
      for await (const chunk of stream) {
        if (chunk.type !== 'text') continue;
        read += 1;
        if (read === 100) {
          for (let second = 0; second < 10; second += 1) {
            await new Promise((resolve) => setTimeout(resolve, 1_000));
            written.push(served.endpoint.chunks);
          }
        }
        // What the source has written is either read, or within the window, or the one that it was told to stop at.
        expect(served.endpoint.chunks - read).toBeLessThanOrEqual(window + 3);
      }
      expect(read).toBe(10_000);
      expect(new Set(written.slice(1)).size).toBe(1);
      expect(stream.call?.status).toBe('completed');
    },
  );
});

describe('streams over nats', () => {
  const open = buses.nats as NonNullable<(typeof buses)[string]>;

  it('end an invoked call that takes long when its caller is gone', async () => {
    await using served = await serveScripted(open);
    const outcome = served.remote.invoke(silent, { callId: 'long' }).then(
      () => null,
      (error: unknown) => error,
    );
    const listener = new Listener(served.host, served.id, 'long');
    await until(() => listener.messages.length > 1);
    listener.close();
    await served.host.flush();
    expect(served.endpoint.running.size).toBe(1);
    const leftAt = Date.now();
    await served.caller.close();
    await until(() => served.endpoint.running.size === 0);
    expect(Date.now() - leftAt).toBeLessThan(2_500);
    expect(await outcome).toMatchObject({ code: 'closed' });
  });

  it('end an invoked call whose caller promised to follow it and has not, and no other', async () => {
    const clock = new VirtualClock();
    await using served = await serveScripted(open, {}, { clock });
    const failures: unknown[] = [];
    served.model.observe(({ type, failure }) => type === 'post_invocation' && failures.push(failure));
    const invoke = (token: string): void => {
      served.caller.request(subjects.invoke(served.id), silent, { token }).catch(() => {});
    };
    invoke(`follow-${randomUUID()}`);
    invoke(randomUUID());
    await until(() => served.endpoint.running.size === 2);
    await clock.advance(14_000);
    expect(served.endpoint.running.size).toBe(2);
    await clock.advance(2_000);
    await until(() => served.endpoint.running.size === 1);
    expect(failures).toMatchObject([{ code: 'cancelled', reason: 'its caller is gone' }]);
  });

  it('come in MessagePack to who asks in it', async () => {
    await using served = await serveScripted(open);
    const { connection } = served.caller as unknown as { connection: NatsConnection };
    const packr = new Packr({ useRecords: false });
    const inbox = subjects.chunks(served.id, 'packed');
    const bodies: Uint8Array[] = [];
    connection.subscribe(inbox, { callback: (_error, message) => void bodies.push(message.data) });
    const { headers: makeHeaders } = await import('nats');
    const headers = makeHeaders();
    headers.set('Imodel-Call', 'packed');
    const reply = await connection.request(subjects.stream(served.id), packr.pack(hello), { headers, timeout: 5_000 });
    expect(packr.unpack(reply.data)).toMatchObject({ call_id: 'packed' });
    const last = (): Record<string, unknown> => packr.unpack(bodies.at(-1) as Uint8Array);
    await until(() => bodies.length > 0 && last().kind === 'end');
    expect(packr.unpack(bodies[0] as Uint8Array)).toMatchObject({ seq: 1, kind: 'chunk' });
  });
});

describe('a reader without credit whose connection stalls', () => {
  it.each([
    ['for a moment', '', 300],
    ['until the server gives it up', 'max_pending: 1MB\nwrite_deadline: "500ms"', 3_000],
  ])('%s gets a terminal error or every chunk, never a hole', { timeout: 60_000 }, async (_name, config, stallMs) => {
    const server = await startServer(config);
    const gate = await startProxy(server.port);
    const host = await connectNats({ servers: server.url });
    const caller = await connectNats({ servers: gate.url });
    const id = uniqueId();
    const piece = 1_000;
    const chunks = 20_000;
    const text = Array.from({ length: chunks }, (_, index) => String(index).padEnd(piece, '.')).join('');
    const model = new iModel({ id, provider: 'scripted', text, chunks });
    model.serve(host);
    await host.flush();
    try {
      const stream = connect(caller).model(id).stream(hello, { credit: 0, idleTimeoutMs: 5_000 });
      let read = '';
      let failure: unknown = null;
      try {
        for await (const chunk of stream) {
          if (chunk.type !== 'text') continue;
          if (read === '') {
            gate.stallReader();
            setTimeout(() => gate.heal(), stallMs);
          }
          read += chunk.content ?? '';
        }
      } catch (error) {
        failure = error;
      }
      expect(text.startsWith(read)).toBe(true);
      if (failure === null) expect(read.length).toBe(text.length);
      else expect(failure).toMatchObject({ code: expect.stringMatching(/^(unavailable|timed_out)$/) });
    } finally {
      await model.close();
      await Promise.all([caller.close(), host.close()]);
      await gate.close();
      await server.stop();
    }
  });
});
