import { randomUUID } from 'node:crypto';
import { Packr } from 'msgpackr';
import type { NatsConnection } from 'nats';
import { describe, expect, it } from 'vitest';
import { aliveMessage } from '../../../schemas/wire.ts';
import { subjects } from '../../../src/bus/subjects.ts';
import { until } from '../../integration/private-server.ts';
import { buses, serveScripted } from '../../integration/served-model.ts';
import { quick, serveEachTest } from './serve-each-test.ts';
import { ask, endless, expectWhole, type Heard, hello, Listener, silent } from './stream-listener.ts';

describe.each(Object.entries(buses))('streams over %s', (_name, open) => {
  const serve = serveEachTest(open);

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
});

describe('streams over nats', () => {
  const open = buses.nats as NonNullable<(typeof buses)[string]>;

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
