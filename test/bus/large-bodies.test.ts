import { connect } from 'nats';
import { afterEach, describe, expect, inject, it } from 'vitest';
import type { NatsBus, NatsOptions } from '../../src/bus/nats.ts';
import { connectTestBus, uniqueId } from '../integration/connect-test-bus.ts';
import { startServer, until } from '../integration/private-server.ts';
import { startProxy } from '../integration/tcp-proxy.ts';

const open: { close(): Promise<unknown> }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function bus(options?: NatsOptions): Promise<NatsBus> {
  const connected = await connectTestBus(options);
  open.push(connected);
  return connected;
}

const megabytes = (count: number): string => 'ü'.repeat((count * 1024 * 1024) / 2);

describe('a body of', () => {
  it.each([0.9, 1.5, 8, 32])('%d MB goes out and comes back', { timeout: 60_000 }, async (size) => {
    const [host, caller] = [await bus(), await bus()];
    const subject = uniqueId();
    host.subscribe(subject, (message) => message.respond({ took: message.value() }), { queue: 'q' });
    await host.flush();
    const body = { text: megabytes(size), n: size };
    const reply = await caller.request(subject, body, { timeoutMs: 50_000, headers: { 'Imodel-Call': 'c1' } });
    expect(Buffer.from(JSON.stringify(reply.value())).equals(Buffer.from(JSON.stringify({ took: body })))).toBe(true);
  });

  it('8 MB reaches every subscriber, in bytes and in MessagePack, in order with small ones', async () => {
    const [host, other, sender] = [await bus(), await bus(), await bus()];
    const subject = uniqueId();
    const seen: unknown[][] = [[], []];
    for (const [index, receiver] of [host, other].entries()) {
      receiver.subscribe(subject, (message) => void seen[index]?.push(message.value()));
      await receiver.flush();
    }
    const bytes = Buffer.alloc(8 * 1024 * 1024, 7);
    sender.publish(subject, { n: 1 });
    sender.publish(subject, bytes);
    sender.publish(subject, { n: 2 });
    sender.publish(subject, { text: megabytes(3) }, { contentType: 'application/msgpack' });
    for (let n = 3; n < 100; n += 1) sender.publish(subject, { n });
    await until(() => seen.every((list) => list.length === 101), 'all messages');
    for (const list of seen) {
      expect(list.filter((value) => (value as { n?: number }).n !== undefined)).toEqual(
        Array.from({ length: 99 }, (_, index) => ({ n: index + 1 })),
      );
      expect(Buffer.compare(list[1] as Uint8Array, bytes)).toBe(0);
      expect((list[3] as { text: string }).text).toHaveLength(3 * 512 * 1024);
    }
  });
});

describe('a body above the limit', () => {
  const small = { maxBodyBytes: 2_000_000 };

  it('is refused at once where it would be sent', async () => {
    const caller = await bus(small);
    const tooLarge = { code: 'payload_too_large', failure: { limitBytes: 2_000_000, sizeBytes: 3_000_002 } };
    expect(() => caller.publish('a', { n: 'x'.repeat(3_000_000) })).toThrow(
      expect.objectContaining({ code: 'payload_too_large' }),
    );
    await expect(caller.request('a', 'x'.repeat(3_000_002))).rejects.toMatchObject(tooLarge);
    expect(caller.maxPayloadBytes).toBe(2_000_000);
  });

  it('is refused by its receiver before a byte of it is fetched', async () => {
    const errors: unknown[] = [];
    const [host, caller] = [await bus({ ...small, onError: (error) => void errors.push(error) }), await bus()];
    const subject = uniqueId();
    let heard = 0;
    host.subscribe(subject, () => {
      heard += 1;
    });
    await host.flush();
    const reply = await caller.request(subject, 'x'.repeat(3_000_000), { timeoutMs: 10_000 });
    expect(reply.headers['Nats-Service-Error-Code']).toBe('413');
    expect(reply.value()).toMatchObject({ failure: { code: 'payload_too_large', limitBytes: 2_000_000 } });
    caller.publish(subject, 'x'.repeat(3_000_000));
    await until(() => errors.length === 2, 'the second report');
    expect(heard).toBe(0);
  });

  it('is told to the caller when it is the reply', async () => {
    const [host, caller] = [await bus(small), await bus()];
    const subject = uniqueId();
    host.subscribe(subject, (message) => message.respond('x'.repeat(3_000_000)));
    await host.flush();
    const reply = await caller.request(subject, {}, { timeoutMs: 10_000 });
    expect(reply.value()).toMatchObject({ failure: { code: 'payload_too_large' } });
    const modest = await bus(small);
    const generous = await bus();
    generous.subscribe(`${subject}.big`, (message) => message.respond('x'.repeat(3_000_000)));
    await generous.flush();
    await expect(modest.request(`${subject}.big`, {}, { timeoutMs: 10_000 })).rejects.toMatchObject({
      code: 'payload_too_large',
    });
  });
});

describe('fetching the parts of a body', () => {
  it('goes on after the connection was cut', async () => {
    const server = await startServer();
    const gate = await startProxy(server.port);
    try {
      const fast = { pingIntervalMs: 500, reconnectMaxMs: 50 };
      const [host, caller] = [await bus({ servers: gate.url, ...fast }), await bus({ servers: server.url, ...fast })];
      let length = 0;
      host.subscribe('big', (message) => {
        length = (message.value() as string).length;
      });
      await host.flush();
      gate.delay(30);
      caller.publish('big', 'x'.repeat(16 * 1024 * 1024));
      await until(() => host.connection.stats().inBytes > 2 * 1024 * 1024, 'some parts');
      gate.cut();
      gate.delay(0);
      await until(() => length > 0, 'the whole body');
      expect(length).toBe(16 * 1024 * 1024);
    } finally {
      await gate.close();
      for (const one of open.splice(0)) await one.close();
      await server.stop();
    }
  });

  it('ends when the request that waits for it does', async () => {
    const [host, caller] = [await bus(), await bus()];
    const subject = uniqueId();
    host.subscribe(subject, (message) => message.respond('x'.repeat(30_000_000)));
    await host.flush();
    await expect(caller.request(subject, {}, { timeoutMs: 15 })).rejects.toMatchObject({ code: 'timed_out' });
    const { inBytes } = caller.connection.stats();
    await caller.flush();
    await caller.flush();
    expect(caller.connection.stats().inBytes - inBytes).toBeLessThan(10_000_000);
  });

  it('is finished before a drained bus is gone', async () => {
    const [host, caller] = [await bus(), await bus()];
    const subject = uniqueId();
    host.subscribe(subject, (message) => message.respond('x'.repeat(8_000_000)));
    await host.flush();
    let length = 0;
    caller.subscribe(`${subject}.copy`, (message) => {
      length = (message.value() as string).length;
    });
    await caller.flush();
    const reply = caller.request(subject, {}, { timeoutMs: 20_000 });
    await until(() => host.connection.stats().inMsgs > 0);
    host.publish(`${subject}.copy`, 'y'.repeat(5_000_000));
    await host.drain();
    expect((await reply).value()).toHaveLength(8_000_000);
    await until(() => length === 5_000_000, 'the copy');
  });
});

describe('a message that announces nonsense', () => {
  const announce = (headers: Record<string, string>): Record<string, string> => ({
    'Imodel-Body': 'imodel-body.abc.def',
    'Imodel-Parts': '2',
    'Imodel-Size': '2000000',
    ...headers,
  });

  it.each([
    ['a subject that is not for bodies', announce({ 'Imodel-Body': 'imodel.gpt.cancel' })],
    ['a subject with a wildcard', announce({ 'Imodel-Body': 'imodel-body.*.x' })],
    ['no parts', announce({ 'Imodel-Parts': '0' })],
    ['more parts than bytes', announce({ 'Imodel-Size': '1' })],
    ['a size that is no number', announce({ 'Imodel-Size': 'big' })],
    ['a number of parts beyond all reason', announce({ 'Imodel-Parts': '10000000', 'Imodel-Size': '60000000' })],
    ['a body that nobody has', announce({})],
  ])('of %s gets a typed reply, and the next message is served', async (_what, headers) => {
    const errors: { code: string }[] = [];
    const [host, caller] = [
      await bus({ onError: (error) => void errors.push(error as { code: string }) }),
      await bus(),
    ];
    const subject = uniqueId();
    host.subscribe(subject, (message) => message.respond({ ok: true }));
    await host.flush();
    const reply = await caller.request(subject, undefined, { headers, timeoutMs: 10_000 });
    expect(reply.value()).toMatchObject({ failure: { code: expect.stringMatching(/malformed|no_responder/) } });
    caller.publish(subject, undefined, { headers });
    expect((await caller.request(subject, {}, { timeoutMs: 10_000 })).value()).toEqual({ ok: true });
    await until(() => errors.length === 2, 'both reports');
  });

  it.each([
    ['too long', () => new Uint8Array(700_000)],
    ['empty', () => new Uint8Array(0)],
    ['too short', () => new Uint8Array(10)],
  ])('whose parts are %s gets a typed reply', async (_what, part) => {
    const [host, liar] = [await bus(), await connect({ servers: inject('natsUrl') })];
    open.push(liar);
    const body = `imodel-body.${uniqueId()}`;
    liar.subscribe(`${body}.x.*`, { callback: (_error, message) => void message.respond(part()) });
    const subject = uniqueId();
    host.subscribe(subject, (message) => message.respond({ ok: true }));
    await Promise.all([host.flush(), liar.flush()]);
    const caller = await bus();
    const headers = announce({ 'Imodel-Body': `${body}.x`, 'Imodel-Parts': '3', 'Imodel-Size': '1000000' });
    const reply = await caller.request(subject, undefined, { headers, timeoutMs: 10_000 });
    expect(reply.value()).toMatchObject({ failure: { code: 'malformed' } });
  });

  it('can be made by any client that follows the three headers', async () => {
    const [host, foreign] = [await bus(), await connect({ servers: inject('natsUrl') })];
    open.push(foreign);
    const text = JSON.stringify({ text: 'x'.repeat(2_500_000) });
    const body = `imodel-body.${uniqueId()}.one`;
    foreign.subscribe(`${body}.*`, {
      callback: (_error, message) => {
        const index = Number(message.subject.split('.').at(-1)) - 1;
        message.respond(text.slice(index * 1_000_000, (index + 1) * 1_000_000));
      },
    });
    const subject = uniqueId();
    host.subscribe(subject, (message) =>
      message.respond({ length: (message.value() as { text: string }).text.length }),
    );
    await Promise.all([host.flush(), foreign.flush()]);
    const { headers } = await import('nats');
    const announcement = headers();
    for (const [name, value] of [
      ['Content-Type', 'application/json'],
      ['Imodel-Body', body],
      ['Imodel-Parts', '3'],
      ['Imodel-Size', String(text.length)],
    ] as const) {
      announcement.set(name, value);
    }
    const reply = await foreign.request(subject, '', { timeout: 10_000, headers: announcement });
    expect(reply.json()).toEqual({ length: 2_500_000 });
  });
});
