import { connect, headers, type NatsConnection } from 'nats';
import { afterEach, describe, expect, inject, it } from 'vitest';
import type { NatsBus, NatsOptions } from '../../src/bus/nats.ts';
import { connectTestBus, uniqueId } from '../integration/connect-test-bus.ts';
import { until } from '../integration/private-server.ts';
import { jsonOf, TextClient, type TextMessage } from '../integration/text-client.ts';

const open: { close(): Promise<unknown> }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function bus(options?: NatsOptions): Promise<NatsBus> {
  const connected = await connectTestBus(options);
  open.push(connected);
  return connected;
}

async function bare(): Promise<NatsConnection> {
  const connected = await connect({ servers: inject('natsUrl') });
  open.push(connected);
  return connected;
}

describe('a request to a queue group of the same connection', () => {
  it('is delivered in this process, the value itself, without a trip to the server', async () => {
    const both = await bus();
    const subject = uniqueId();
    const asked = { n: 1 };
    const answer = { n: 2 };
    let seen: unknown;
    both.subscribe(
      subject,
      (message) => {
        seen = message.value();
        message.respond(answer);
      },
      { queue: 'q' },
    );
    await both.flush();
    const { outMsgs } = both.connection.stats();
    const reply = await both.request(subject, asked, { timeoutMs: 5_000, headers: { 'Imodel-Call': 'c1' } });
    expect(seen).toBe(asked);
    expect(reply.value()).toBe(answer);
    expect(both.connection.stats().outMsgs).toBe(outMsgs);
  });

  it('goes to the server when told to, and after the subscription was closed', async () => {
    const both = await bus({ localDelivery: false });
    const subject = uniqueId();
    const subscription = both.subscribe(subject, (message) => message.respond(message.value()), { queue: 'q' });
    const { outMsgs } = both.connection.stats();
    expect((await both.request(subject, { n: 1 }, { timeoutMs: 5_000 })).value()).toEqual({ n: 1 });
    expect(both.connection.stats().outMsgs).toBeGreaterThan(outMsgs);
    const local = await bus();
    local.subscribe(subject, (message) => message.respond({ local: true }), { queue: 'q' }).close();
    expect((await local.request(subject, { n: 2 }, { timeoutMs: 5_000 })).value()).toEqual({ n: 2 });
    subscription.close();
  });

  it('can be answered by somebody else to whom it was handed on', async () => {
    const [both, other] = [await bus(), await bus()];
    const subject = uniqueId();
    both.subscribe(subject, (message) => both.publish(`${subject}.on`, { to: message.replyTo }), { queue: 'q' });
    other.subscribe(`${subject}.on`, (message) =>
      other.publish((message.value() as { to: string }).to, { from: 'other' }),
    );
    await other.flush();
    expect((await both.request(subject, {}, { timeoutMs: 5_000 })).value()).toEqual({ from: 'other' });
  });

  it('needs no server, while a request to everyone still asks everyone', async () => {
    const [both, other] = [await bus(), await bus()];
    const subject = uniqueId();
    let heard = 0;
    both.subscribe(subject, () => {});
    other.subscribe(subject, (message) => {
      heard += 1;
      message.respond({});
    });
    await other.flush();
    await both.request(subject, {}, { timeoutMs: 5_000 });
    expect(heard).toBe(1);
  });
});

describe('clients that know nothing of this package', () => {
  it.each([
    ['JSON', '{"a":1}', undefined, '{"took":{"a":1}}'],
    ['JSON with a content type', '{"a":1}', 'application/json', '{"took":{"a":1}}'],
    ['plain text', 'hello', undefined, '{"took":"hello"}'],
    ['text that looks like JSON, with a content type', '{"a', 'text/plain; charset=utf-8', '{"took":"{\\"a"}'],
    ['nothing', '', undefined, '{}'],
  ])('ask in %s and read one JSON reply', async (_what, body, contentType, expected) => {
    const [host, client] = [await bus(), await bare()];
    const subject = uniqueId();
    host.subscribe(subject, (message) => message.respond({ took: message.value() }), { queue: 'q' });
    await host.flush();
    const given = headers();
    if (contentType !== undefined) given.set('content-type', contentType);
    const reply = await client.request(subject, body, {
      timeout: 5_000,
      ...(contentType === undefined ? {} : { headers: given }),
    });
    expect(reply.string()).toBe(expected);
  });

  it('get MessagePack for MessagePack', async () => {
    const [host, client] = [await bus(), await bare()];
    const subject = uniqueId();
    host.subscribe(subject, (message) => message.respond({ took: message.value() }), { queue: 'q' });
    await host.flush();
    // {"a": 1}, as any language writes it
    const reply = await client.request(subject, Uint8Array.of(0x81, 0xa1, 0x61, 0x01), { timeout: 5_000 });
    expect(Buffer.from(reply.data).toString('hex')).toBe('81a4746f6f6b81a16101');
  });
});

describe('replies that nobody waits for', () => {
  it('are ignored, whoever sends them, and so are made-up "nobody listens"', async () => {
    const [caller, host, forger] = [await bus(), await bus(), await bare()];
    const subject = uniqueId();
    let inbox = '';
    host.subscribe(subject, (message) => {
      inbox = message.replyTo ?? '';
    });
    await host.flush();
    const reply = caller.request(subject, {}, { timeoutMs: 5_000 });
    await until(() => inbox !== '', 'the request');
    const prefix = inbox.slice(0, inbox.lastIndexOf('.') + 1);
    for (const token of ['1', 'x', '__proto__', 'constructor', '0'.repeat(50)])
      forger.publish(prefix + token, '{"forged":true}');
    await forger.flush();
    host.publish(inbox, { forged: false });
    expect((await reply).value()).toEqual({ forged: false });
  });
});

describe('headers that no client could have written', () => {
  const name = 'NATS/1.0\r\nA\u0000: b\r\n\r\n';
  const rude = async (): Promise<TextClient> => {
    const client = await TextClient.connect(inject('natsUrl'));
    open.push({ close: async () => client.close() });
    return client;
  };

  it.each(['', ' 503 No Responders'])('fail the request they answer, and no other (status line%s)', async (status) => {
    const [caller, client] = [await bus({ pingIntervalMs: 60_000 }), await rude()];
    const subject = uniqueId();
    client.subscribe(subject, ({ replyTo = '' }) => client.publishRaw(replyTo, name.replace('\r', `${status}\r`), ''));
    client.subscribe(`${subject}.fine`, ({ replyTo = '' }) => client.publish(replyTo, '{}'));
    await client.flush();
    const malformed = { code: 'malformed', failure: { path: 'headers', source: 'bus' } };
    await expect(caller.request(subject, {}, { timeoutMs: 5_000 })).rejects.toMatchObject(malformed);
    expect((await caller.request(`${subject}.fine`, {}, { timeoutMs: 5_000 })).value()).toEqual({});
  });

  it('are answered where they ask, reported where they do not, and ignored where nobody waits for them', async () => {
    const reported: unknown[] = [];
    const host = await bus({ onError: (error) => void reported.push(error), pingIntervalMs: 60_000 });
    const client = await rude();
    const subject = uniqueId();
    host.subscribe(subject, (message) => message.respond({ took: message.value() }));
    let inbox = '';
    client.subscribe(`${subject}.events`, ({ replyTo = '' }) => {
      inbox = replyTo;
    });
    await Promise.all([host.flush(), client.flush()]);
    const reply = new Promise<TextMessage>((resolve) => client.subscribe(`${subject}.reply`, resolve));
    client.publishRaw(subject, name, '{}', `${subject}.reply`);
    expect(jsonOf(await reply)).toMatchObject({ failure: { code: 'malformed', path: 'headers' } });
    client.publishRaw(subject, name, '{}');
    await until(() => reported.length === 2, 'both reports');
    host.announce(`${subject}.events`, () => ({}));
    await until(() => inbox !== '', 'the event');
    client.publishRaw(inbox, name, '');
    expect(jsonOf(await client.request(subject, '{"a":1}'))).toEqual({ took: { a: 1 } });
  });
});

describe('a reply subject', () => {
  it.each(['imodel.x.control', 'endpoint.x.cancel', '$JS.API.STREAM.DELETE.X', 'a.*', 'a.>', '*'])(
    'like %s is none: an answer would go there with the rights of who answers',
    async (replyTo) => {
      const [host, client] = [await bus(), await TextClient.connect(inject('natsUrl'))];
      open.push({ close: async () => client.close() });
      const subject = uniqueId();
      const heard: string[] = [];
      for (const place of ['imodel.x.>', 'endpoint.x.>', '$JS.API.STREAM.DELETE.X', 'a.*', '*'])
        client.subscribe(place, (message) => void heard.push(message.subject));
      const given: (string | undefined)[] = [];
      host.subscribe(`${subject}.ask`, (message) => {
        given.push(message.replyTo);
        message.respond({});
      });
      await Promise.all([host.flush(), client.flush()]);
      client.publish(`${subject}.ask`, '{}', { replyTo });
      await client.request(`${subject}.ask`, '{}');
      expect(given).toEqual([undefined, expect.stringMatching(/^_INBOX\./)]);
      expect(heard).toEqual([]);
    },
  );
});

describe('a body that the schema of its encoding refuses', () => {
  it('reaches the handler as an error of its own, and the next message is served', async () => {
    const reported: unknown[] = [];
    const [host, client] = [await bus({ onError: (error) => void reported.push(error) }), await bare()];
    const subject = uniqueId();
    host.subscribe(subject, (message) => message.respond({ ok: message.value() }), { queue: 'q' });
    await host.flush();
    client.publish(subject, '{"a":');
    const unknown = headers();
    unknown.set('Content-Type', 'image/png');
    client.publish(subject, 'x', { headers: unknown });
    const reply = await client.request(subject, '{"a":1}', { timeout: 5_000 });
    expect(reply.json()).toEqual({ ok: { a: 1 } });
    expect(reported).toEqual([
      expect.objectContaining({ code: 'malformed' }),
      expect.objectContaining({ code: 'malformed' }),
    ]);
  });
});
