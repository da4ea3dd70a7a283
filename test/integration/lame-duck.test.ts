import { createServer } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { connectNats } from '../../src/bus/nats.ts';
import type { NatsBus } from '../../src/index.ts';
import { type PrivateServer, startServer, until } from './private-server.ts';
import { serveScripted } from './served-model.ts';

/** Two ports that were free a moment ago. */
async function freePorts(): Promise<readonly [number, number]> {
  const probes = [createServer(), createServer()];
  const ports = await Promise.all(
    probes.map(
      (probe) =>
        new Promise<number>((resolve) => {
          probe.listen(0, '127.0.0.1', () => {
            const address = probe.address();
            resolve(typeof address === 'object' && address !== null ? address.port : 0);
          });
        }),
    ),
  );
  await Promise.all(probes.map((probe) => new Promise((resolve) => probe.close(resolve))));
  return ports as [number, number];
}

/** Two servers that know each other. */
async function startPair(): Promise<readonly [PrivateServer, PrivateServer]> {
  const [first, second] = await freePorts();
  const member = (name: string, own: number, other: number): Promise<PrivateServer> =>
    startServer(
      `server_name: ${name}\ncluster { name: pair, listen: "127.0.0.1:${own}", routes: ["nats://127.0.0.1:${other}"] }`,
    );
  const pair = [await member('first', first, second), await member('second', second, first)] as const;
  onTestFinished(async () => {
    await Promise.all(pair.map((server) => server.stop()));
  });
  return pair;
}

it('a server that shuts down in lame duck mode hands its connections to the other, and every call is answered once', async () => {
  const [leaving, staying] = await startPair();
  // Both know of both, and begin at the one that will leave.
  const open = (options = {}): Promise<NatsBus> =>
    connectNats({ servers: leaving.url, reconnectMaxMs: 150, ...options });
  await using served = await serveScripted(async (options) => ({
    host: await open(options),
    caller: await open(options),
  }));
  const heard: string[] = [];
  const listen = async ({ status }: NatsBus): Promise<void> => {
    for await (const { type } of status) heard.push(type);
  };
  void listen(served.host as NatsBus);
  void listen(served.caller as NatsBus);
  const times = (type: string): number => heard.filter((other) => other === type).length;
  const outcomes: string[] = [];
  let sent = 0;
  let going = true;
  const callers = Array.from({ length: 4 }, async () => {
    while (going) {
      sent += 1;
      outcomes.push((await served.remote.invoke({ messages: [{ role: 'user', content: 'hello' }] })).status);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });
  await until(() => outcomes.length > 20, 'the first calls');
  leaving.signal('SIGUSR2');
  await until(() => times('lame_duck') === 2, 'both to be told');
  await until(() => times('disconnected') >= 2 && times('connected') >= 2, 'both to have moved', 25_000);
  const moved = outcomes.length;
  await until(() => outcomes.length > moved + 20, 'calls over the other server');
  going = false;
  await Promise.all(callers);
  expect(new Set(outcomes)).toEqual(new Set(['completed']));
  expect(outcomes).toHaveLength(sent);
  expect(served.model.state.counters).toMatchObject({ submitted: sent, completed: sent });
  await leaving.kill();
  expect((await served.remote.invoke('over the one that stays')).status).toBe('completed');
  expect(staying.port).not.toBe(leaving.port);
});
