import { createServer, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { BusStatus } from '../../src/bus/bus.ts';
import { connectNats, type NatsBus, type NatsOptions } from '../../src/bus/nats.ts';
import { type PrivateServer, startServer, until } from '../integration/private-server.ts';
import { startProxy, type TcpProxy } from '../integration/tcp-proxy.ts';

/** A connection that notices a dead peer within half a second, and tries again without much waiting. */
const impatient = { pingIntervalMs: 150, reconnectMaxMs: 100, connectTimeoutMs: 500 } as const;

let server: PrivateServer;
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  server = await startServer('write_deadline: "1s"\nmax_pending: 1MB');
});
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
  server.thaw();
  await server.kill();
  await server.start();
});
afterAll(() => server.stop());

async function bus(options: NatsOptions = {}): Promise<NatsBus> {
  const connected = await connectNats({ servers: server.url, ...impatient, ...options });
  open.push(connected);
  return connected;
}

async function proxy(): Promise<TcpProxy> {
  const started = await startProxy(server.port);
  open.push(started);
  return started;
}

/** Collects the types of everything a bus reports. */
function watch(watched: NatsBus): BusStatus[] {
  const seen: BusStatus[] = [];
  void (async () => {
    for await (const status of watched.status) seen.push(status);
  })();
  return seen;
}

const saw = (statuses: readonly BusStatus[], type: BusStatus['type']): boolean =>
  statuses.some((status) => status.type === type);
const lost = (statuses: readonly BusStatus[]): Promise<void> =>
  until(() => saw(statuses, 'disconnected'), 'the loss of the connection');
const back = (statuses: readonly BusStatus[]): Promise<void> =>
  until(
    () =>
      statuses.findLastIndex(({ type }) => type === 'connected') >
      statuses.findLastIndex(({ type }) => type === 'disconnected'),
    'the connection to come back',
  );

describe('a server that is killed and started again', () => {
  it('gets what was published meanwhile, in order; subscriptions go on, also of a handler that throws', async () => {
    const sender = await bus();
    const receiver = await bus();
    const statuses = [watch(sender), watch(receiver)];
    const seen: unknown[] = [];
    receiver.subscribe('kept', (message) => {
      seen.push(message.value());
      throw new Error('a handler that throws');
    });
    await receiver.flush();
    sender.publish('kept', { n: 0 });
    await until(() => seen.length === 1);
    await server.kill();
    await Promise.all(statuses.map(lost));
    for (let n = 1; n <= 100; n += 1) sender.publish('kept', { n });
    await server.start();
    // Who is away when a message passes misses it; so the receiver has to be back first.
    await Promise.all(statuses.map(back));
    await receiver.flush();
    sender.publish('kept', { n: 101 });
    await until(() => (seen.at(-1) as { n: number }).n === 101);
    const numbers = seen.map((value) => (value as { n: number }).n);
    expect(numbers).toEqual([...numbers].sort((left, right) => left - right));
  });

  it('gets everything that was published meanwhile', async () => {
    const sender = await bus();
    const status = watch(sender);
    await server.kill();
    await lost(status);
    const seen: unknown[] = [];
    // The client itself would take this without a word and throw it away.
    sender.subscribe('held', (message) => void seen.push(message.value()));
    for (let n = 0; n < 1_000; n += 1) sender.publish('held', { n });
    const flushed = sender.flush();
    await server.start();
    await flushed;
    expect(seen).toEqual(Array.from({ length: 1_000 }, (_, n) => ({ n })));
  });

  it('refuses what exceeds the buffer, and takes what was within it', async () => {
    const sender = await bus({ pendingBytes: 10_000 });
    const status = watch(sender);
    await server.kill();
    await lost(status);
    const seen: unknown[] = [];
    sender.subscribe('bounded', (message) => void seen.push(message.value()));
    const send = (): void => sender.publish('bounded', 'x'.repeat(1_000));
    for (let n = 0; n < 10; n += 1) send();
    expect(send).toThrow(expect.objectContaining({ code: 'unavailable', retryable: true }));
    await expect(sender.request('bounded', 'x'.repeat(1_000))).rejects.toMatchObject({ code: 'unavailable' });
    await server.start();
    await back(status);
    await sender.flush();
    expect(seen).toHaveLength(10);
    expect(send).not.toThrow();
  });

  it('fails a request in flight at once, as something to try again', async () => {
    const host = await bus();
    const caller = await bus();
    let asked = 0;
    host.subscribe('slow', () => {
      asked += 1;
    });
    await host.flush();
    const reply = caller.request('slow', {}, { timeoutMs: 60_000 });
    const outcome = expect(reply).rejects.toMatchObject({ code: 'unavailable', retryable: true });
    await until(() => asked === 1);
    await server.kill();
    await outcome;
  });

  it('gets an idempotent request again, whose caller notices nothing', async () => {
    const host = await bus();
    const caller = await bus();
    let asked = 0;
    host.subscribe('twice', (message) => {
      asked += 1;
      if (asked > 1) message.respond({ asked });
    });
    await host.flush();
    const statuses = [watch(host), watch(caller)];
    // The caller may be back before the host and hear that nobody listens: also an answer, at once.
    const outcome = caller.request('twice', {}, { timeoutMs: 20_000, idempotent: true }).then(
      (message) => message.value(),
      (error: { code: string }) => error.code,
    );
    await until(() => asked === 1);
    await server.kill();
    await Promise.all(statuses.map(lost));
    await server.start();
    expect([{ asked: 2 }, 'no_responder']).toContainEqual(await outcome);
  });

  it('never gets a request whose caller gave up meanwhile', async () => {
    const caller = await bus();
    const status = watch(caller);
    await server.kill();
    await lost(status);
    const seen: unknown[] = [];
    caller.subscribe('late', (message) => void seen.push(message.value()));
    const controller = new AbortController();
    const aborted = expect(caller.request('late', 'aborted', { signal: controller.signal })).rejects.toThrow('enough');
    const timedOut = expect(caller.request('late', 'timed out', { timeoutMs: 20 })).rejects.toMatchObject({
      code: 'timed_out',
    });
    controller.abort(new Error('enough'));
    await Promise.all([aborted, timedOut]);
    caller.publish('late', 'still wanted');
    await server.start();
    await back(status);
    await caller.flush();
    expect(seen).toEqual(['still wanted']);
  });

  it('is found again after far more than ten tries', async () => {
    const caller = await bus({ reconnectMaxMs: 5 });
    const status = watch(caller);
    await server.kill();
    await until(() => status.filter(({ type }) => type === 'reconnecting').length > 25, 'more than 25 attempts');
    await server.start();
    await back(status);
    caller.subscribe('again', (message) => message.respond({ ok: true }), { queue: 'q' });
    expect((await caller.request('again', {}, { timeoutMs: 5_000 })).value()).toEqual({ ok: true });
  });

  it('is told of what it may never have got', async () => {
    const reported: unknown[] = [];
    const gate = await proxy();
    const sender = await bus({ servers: gate.url, onError: (error) => void reported.push(error) });
    const status = watch(sender);
    gate.blackHole();
    for (let n = 0; n < 5; n += 1) sender.publish('gone', { n });
    await lost(status);
    expect(reported).toContainEqual(
      expect.objectContaining({ code: 'unavailable', message: expect.stringContaining('5 messages') }),
    );
  });

  it('ends a bus that is drained or closed while it is away, without waiting for it', async () => {
    const [draining, closing] = [await bus(), await bus()];
    const statuses = [watch(draining), watch(closing)];
    await server.kill();
    await Promise.all(statuses.map(lost));
    draining.publish('never', {});
    await draining.drain({ timeoutMs: 50 });
    await closing.close();
    expect(() => draining.publish('a', {})).toThrow(expect.objectContaining({ code: 'closed' }));
  });
});

describe('a server that stands still', () => {
  it('for five seconds costs time-outs only', async () => {
    const host = await bus({ pingIntervalMs: 5_000 });
    const caller = await bus({ pingIntervalMs: 5_000 });
    const statuses = [watch(host), watch(caller)];
    host.subscribe('ask', (message) => message.respond(message.value()));
    await host.flush();
    server.freeze();
    await expect(caller.request('ask', { n: 1 }, { timeoutMs: 100 })).rejects.toMatchObject({ code: 'timed_out' });
    const patient = caller.request('ask', { n: 2 }, { timeoutMs: 20_000 });
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    server.thaw();
    expect((await patient).value()).toEqual({ n: 2 });
    expect(statuses.some((status) => saw(status, 'disconnected'))).toBe(false);
  });

  it('is left for dead and found again, even with megabytes unsent', async () => {
    const caller = await bus({ pendingBytes: 8 * 1024 * 1024 });
    const status = watch(caller);
    server.freeze();
    // More than the kernel buffers: the client's own way to break a connection would wait behind this for ever.
    const refused = (): void => {
      for (let n = 0; n < 100; n += 1) caller.publish('much', Buffer.alloc(512 * 1024));
    };
    expect(refused).toThrow(expect.objectContaining({ code: 'unavailable' }));
    await lost(status);
    server.thaw();
    await back(status);
    caller.subscribe('after', (message) => message.respond({ ok: true }));
    expect((await caller.request('after', {}, { timeoutMs: 5_000 })).value()).toEqual({ ok: true });
  });
});

describe('a network that', () => {
  it('swallows everything: the connection is given up and restored', async () => {
    const gate = await proxy();
    const caller = await bus({ servers: gate.url });
    const status = watch(caller);
    caller.subscribe('hole', (message) => message.respond({ ok: true }));
    await caller.flush();
    gate.blackHole();
    const reply = caller.request('hole', {});
    await expect(reply).rejects.toMatchObject({ code: 'unavailable' });
    await lost(status);
    gate.heal();
    await back(status);
    expect((await caller.request('hole', {}, { timeoutMs: 5_000 })).value()).toEqual({ ok: true });
  });

  it('cuts connections again and again: each request ends once, and the last ones succeed', async () => {
    const gate = await proxy();
    const host = await bus({ servers: gate.url });
    const caller = await bus({ servers: gate.url });
    host.subscribe('cut', (message) => message.respond(message.value()));
    await host.flush();
    const outcomes: string[] = [];
    for (let round = 0; round < 5; round += 1) {
      const replies = Array.from({ length: 20 }, (_, n) => caller.request('cut', { n }, { timeoutMs: 2_000 }));
      gate.cut();
      for (const reply of await Promise.allSettled(replies)) {
        outcomes.push(reply.status === 'fulfilled' ? 'ok' : String((reply.reason as { code: string }).code));
      }
    }
    expect(outcomes).toHaveLength(100);
    expect(new Set(outcomes)).toSatisfy((set: Set<string>) =>
      [...set].every((outcome) => ['ok', 'unavailable', 'timed_out', 'no_responder'].includes(outcome)),
    );
    await until(async () => {
      const reply = await caller.request('cut', { last: true }, { timeoutMs: 1_000 }).catch(() => undefined);
      return reply !== undefined;
    }, 'requests to succeed again');
  });

  it('is slow: replies come late, in order, and nothing is lost', async () => {
    const gate = await proxy();
    const caller = await bus({ servers: gate.url, pingIntervalMs: 2_000 });
    const seen: unknown[] = [];
    caller.subscribe('delayed', (message) => void seen.push(message.value()));
    await caller.flush();
    gate.delay(50);
    for (let n = 0; n < 50; n += 1) caller.publish('delayed', { n });
    const startedAt = performance.now();
    await caller.flush();
    expect(performance.now() - startedAt).toBeGreaterThan(90);
    expect(seen).toEqual(Array.from({ length: 50 }, (_, n) => ({ n })));
  });
});

describe('a reader that stalls', () => {
  it('is dropped by the server, comes back, and disturbs nobody', async () => {
    const gate = await proxy();
    const stalled = await bus({ servers: gate.url, pingIntervalMs: 5_000 });
    const brisk = await bus({ pingIntervalMs: 5_000 });
    const sender = await bus({ pingIntervalMs: 5_000 });
    const status = watch(stalled);
    let seen = 0;
    stalled.subscribe('flood', () => {});
    brisk.subscribe('flood', () => {
      seen += 1;
    });
    await Promise.all([stalled.flush(), brisk.flush()]);
    gate.stallReader();
    const chunk = 'x'.repeat(100_000);
    for (let n = 0; n < 300; n += 1) {
      sender.publish('flood', chunk);
      if (n % 10 === 9) await sender.flush();
    }
    await until(() => seen === 300, 'the other reader to have everything');
    await until(async () => {
      gate.heal();
      return saw(status, 'disconnected');
    }, 'the stalled reader to be dropped');
    await back(status);
    await stalled.flush();
  });
});

describe('the end of a connection', () => {
  it('is announced by a server in lame duck mode', async () => {
    const caller = await bus();
    const status = watch(caller);
    server.signal('SIGUSR2');
    await until(() => saw(status, 'lame_duck'), 'the announcement');
    expect(status.find(({ type }) => type === 'lame_duck')?.detail).toContain(String(server.port));
  });

  it('closes the socket of a server that does not even greet', async () => {
    const gate = await proxy();
    const caller = await bus({ servers: gate.url, connectTimeoutMs: 60_000 });
    const status = watch(caller);
    await gate.close();
    await lost(status);
    // From now on the same address leads to somebody who takes connections and says nothing.
    const sockets = new Set<Socket>();
    const mute = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => sockets.delete(socket));
      socket.resume();
    });
    await new Promise<void>((resolve) => mute.listen(gate.port, '127.0.0.1', resolve));
    await until(() => sockets.size > 0, 'an attempt to connect');
    await caller.close();
    await until(() => sockets.size === 0, 'the socket to be closed');
    await new Promise((resolve) => mute.close(resolve));
  });

  it('gives up waiting for a first server when told to, and takes one that comes late', async () => {
    await server.kill();
    const controller = new AbortController();
    const given = connectNats({
      servers: server.url,
      waitForServer: true,
      signal: controller.signal,
      reconnectMaxMs: 20,
    });
    const outcome = expect(given).rejects.toThrow('no longer');
    controller.abort(new Error('no longer'));
    await outcome;
    await expect(connectNats({ servers: server.url })).rejects.toMatchObject({ code: 'unavailable', retryable: true });
    const patient = connectNats({ servers: server.url, waitForServer: true, reconnectMaxMs: 50 });
    await server.start();
    const late = await patient;
    open.push(late);
    await late.flush();
  });
});
