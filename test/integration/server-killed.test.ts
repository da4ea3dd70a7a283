import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectNats } from '../../src/bus/nats.ts';
import { IModelError } from '../../src/errors.ts';
import { type PrivateServer, startServer, until } from './private-server.ts';
import { type Served, serveScripted } from './served-model.ts';
import { startProxy, type TcpProxy } from './tcp-proxy.ts';

/** Connections that notice a dead peer soon, and are back soon. */
const impatient = { reconnectMaxMs: 150, pingIntervalMs: 300, connectTimeoutMs: 1_000 } as const;

const rounds = 10;
const hello = { messages: [{ role: 'user', content: 'hello' }] };
const chunks = 60;

let server: PrivateServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

/** A served iModel; `callerPort` puts something between the caller and the server. */
function serve(callerPort: number = server.port): Promise<Served> {
  return serveScripted(async (options) => ({
    host: await connectNats({ servers: server.url, ...impatient, ...options }),
    caller: await connectNats({ servers: `nats://127.0.0.1:${callerPort}`, ...impatient, ...options }),
  }));
}

/** What the caller of one call sees, and when. */
interface Outcome {
  readonly callId: string;
  readonly result: string;
  readonly settledAt: number;
}

/** Runs one call and tells how it ended for its caller. A stream that ends well has every chunk. */
async function run(
  { remote }: Served,
  streamed: boolean,
  request: Readonly<Record<string, unknown>>,
): Promise<Outcome> {
  const callId = randomUUID();
  const settled = (result: string): Outcome => ({ callId, result, settledAt: Date.now() });
  try {
    if (!streamed) return settled((await remote.invoke({ ...hello, ...request }, { callId })).status);
    const stream = remote.stream({ ...hello, ...request }, { callId });
    let pieces = 0;
    for await (const chunk of stream) if (chunk.type === 'text') pieces += 1;
    return settled(pieces === request.chunks ? 'completed' : `${pieces} chunks`);
  } catch (error) {
    if (!IModelError.is(error)) throw error;
    return settled(error.code);
  }
}

/** No call is sent twice, and none goes on when its caller is gone. */
function expectNothingLeft({ endpoint }: Served, outcomes: readonly Outcome[]): void {
  expect(new Set(endpoint.started).size).toBe(endpoint.started.length);
  for (const { callId, settledAt } of outcomes) {
    if (endpoint.started.includes(callId)) expect((endpoint.endedAt.get(callId) ?? 0) - settledAt).toBeLessThan(1_000);
  }
}

async function expectServes({ remote, endpoint, faults }: Served): Promise<void> {
  await until(() => endpoint.running.size === 0, 'the upstream calls to end', 1_500);
  expect((await remote.invoke(hello, { timeoutMs: 10_000 })).text).toBe('hello');
  const unexpected = faults.filter((fault) => !IModelError.is(fault) || fault.failure.source !== 'bus');
  expect(unexpected).toEqual([]);
}

describe('a server that is killed and started again', () => {
  it('in the middle of 100 invokes and 20 streams, ten times over, leaves each with one outcome', async () => {
    await using served = await serve();
    const seen: Outcome[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const outcomes = Array.from({ length: 120 }, (_, index) =>
        index < 100
          ? run(served, false, { delay_ms: 5 * index })
          : run(served, true, { chunks, chunk_delay_ms: index % 10 }),
      );
      // A different moment each time: before the requests are taken, while they run, while they end.
      await new Promise((resolve) => setTimeout(resolve, 40 * round));
      await server.kill();
      await new Promise((resolve) => setTimeout(resolve, 20 * round));
      await server.start();
      const settled = await Promise.all(outcomes);
      await until(() => served.endpoint.running.size === 0, 'the upstream calls to end', 1_500);
      expectNothingLeft(served, settled);
      await expectServes(served);
      seen.push(...settled);
    }
    expect(seen).toHaveLength(1_200);
    // Every call is named, every message numbered: a server that comes back costs nobody anything.
    expect([...new Set(seen.map(({ result }) => result))]).toEqual(['completed']);
  }, 120_000);

  it('stands still for five seconds, and every call goes on', async () => {
    await using served = await serve();
    const outcomes = [run(served, false, { delay_ms: 500 }), run(served, true, { chunks, chunk_delay_ms: 20 })];
    await until(() => served.endpoint.running.size === 2);
    server.freeze();
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    server.thaw();
    const settled = await Promise.all(outcomes);
    expect(settled.map(({ result }) => result)).toEqual(['completed', 'completed']);
    expectNothingLeft(served, settled);
    await expectServes(served);
  }, 60_000);
});

describe('a bad network between caller and server', () => {
  const cases: readonly [string, (proxy: TcpProxy) => void][] = [
    ['cuts every connection', (proxy) => proxy.cut()],
    [
      'swallows everything for a while',
      (proxy) => {
        proxy.blackHole();
        setTimeout(() => {
          proxy.heal();
          proxy.cut();
        }, 1_500);
      },
    ],
    ['delays every piece by 100 ms', (proxy) => proxy.delay(100)],
  ];

  it.each(cases)(
    'that %s costs no call',
    async (_what, harm) => {
      const proxy = await startProxy(server.port);
      try {
        await using served = await serve(proxy.port);
        const outcomes = Array.from({ length: 20 }, (_, index) =>
          index % 2 === 0
            ? run(served, false, { delay_ms: 100 * index })
            : run(served, true, { chunks, chunk_delay_ms: index }),
        );
        await until(() => served.endpoint.started.length === 20);
        harm(proxy);
        const settled = await Promise.all(outcomes);
        expect(new Set(settled.map(({ result }) => result))).toEqual(new Set(['completed']));
        proxy.delay(0);
        expectNothingLeft(served, settled);
        await expectServes(served);
      } finally {
        await proxy.close();
      }
    },
    60_000,
  );

  it('that swallows everything for good ends the calls of the caller that is out of reach', async () => {
    const proxy = await startProxy(server.port);
    try {
      await using served = await serve(proxy.port);
      const stop = new AbortController();
      const invoked = served.remote.invoke({ ...hello, delay_ms: 60_000 }, { signal: stop.signal }).catch(String);
      const streamed = (async () => {
        for await (const _chunk of served.remote.stream({ ...hello, delay_ms: 60_000 }, { idleTimeoutMs: 2_000 }));
      })().catch(String);
      await until(() => served.endpoint.running.size === 2);
      // From then on the host knows who listens to the call that is not streamed.
      const shown = new Set<string>();
      const watch = served.host.subscribe(`imodel.${served.id}.chunks.*`, ({ subject }) => void shown.add(subject));
      await until(() => shown.size === 2);
      watch.close();
      proxy.blackHole();
      await expect(streamed).resolves.toContain('IModelError');
      stop.abort();
      await expect(invoked).resolves.toContain('IModelError');
      proxy.cut();
      await until(() => served.endpoint.running.size === 0, 'the upstream calls to end', 15_000);
      proxy.heal();
      await expectServes(served);
    } finally {
      await proxy.close();
    }
  }, 60_000);
});
