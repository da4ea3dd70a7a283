// The bus beside its plain alternatives, in ratios of one run: node bench/bus.mjs [NATS url], after npm run build.
// Without a url it starts the nats-server program on a free port.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { connect } from 'nats';
import { createMemoryBus } from '../dist/src/bus/memory.js';
import { connectNats } from '../dist/src/bus/nats.js';
import { percentile, row } from './report.mjs';

const rounds = 5;
const body = { messages: [{ role: 'user', content: 'x'.repeat(200) }] };
const text = JSON.stringify(body);

const server = process.argv[2] === undefined ? await startServer() : { url: process.argv[2], stop: () => {} };
try {
  await measureMemory();
  await measureRequests();
} finally {
  server.stop();
}

async function measureMemory() {
  const bus = createMemoryBus();
  let seen = 0;
  bus.subscribe('bench.publish', () => {
    seen += 1;
  });
  const perMillisecond = await best(async () => {
    const startedAt = performance.now();
    for (let index = 0; index < 1_000_000; index += 1) bus.publish('bench.publish', body);
    await bus.flush();
    return 1_000_000 / (performance.now() - startedAt);
  });
  if (seen !== rounds * 1_000_000) throw new Error(`${seen} messages arrived`);
  row('memory bus, publishes to one subscriber', `${(perMillisecond / 1_000).toFixed(1)} M/s`, 'at least 1 M/s');
  await bus.close();
}

async function measureRequests() {
  const bare = await connect({ servers: server.url, waitOnFirstConnect: true });
  const bareHost = await connect({ servers: server.url, waitOnFirstConnect: true });
  bareHost.subscribe('bench.bare', { callback: (_error, message) => message.respond(message.data) });
  const ours = await connectNats({ servers: server.url });
  const host = await connectNats({ servers: server.url });
  host.subscribe('bench.ours', (message) => message.respond(message.value()), { queue: 'bench' });
  ours.subscribe('bench.local', (message) => message.respond(message.value()), { queue: 'bench' });
  await Promise.all([bareHost.flush(), host.flush(), ours.flush()]);

  const askBare = async () => JSON.parse((await bare.request('bench.bare', text, { timeout: 10_000 })).string());
  const askAcross = async () => (await ours.request('bench.ours', body, { timeoutMs: 10_000 })).value();
  // The same peer for both, so that only the asking side differs.
  const askPeer = async () => (await ours.request('bench.bare', body, { timeoutMs: 10_000 })).value();
  const askLocal = async () => (await ours.request('bench.local', body, { timeoutMs: 10_000 })).value();

  for (const ask of [askBare, askPeer, askAcross, askLocal]) await flood(ask, 5_000);
  const rates = { bare: 0, peer: 0, across: 0, local: 0 };
  const latencies = { bare: [], across: [] };
  // Interleaved, so that a noisy moment hits all.
  for (let round = 0; round < rounds; round += 1) {
    rates.bare = Math.max(rates.bare, await flood(askBare, 20_000));
    rates.peer = Math.max(rates.peer, await flood(askPeer, 20_000));
    rates.across = Math.max(rates.across, await flood(askAcross, 20_000));
    rates.local = Math.max(rates.local, await flood(askLocal, 20_000));
    latencies.bare.push(...(await oneByOne(askBare, 1_000)));
    latencies.across.push(...(await oneByOne(askAcross, 1_000)));
  }
  row('nats.js request and reply, 64 in flight', `${Math.round(rates.bare)}/s`, '(the base of the next lines)');
  row('bus request to the same peer, 64 in flight', ratio(rates.peer, rates.bare), 'at least 1.2 x');
  row('bus request, bus on both ends, 64 in flight', ratio(rates.across, rates.bare), 'at least 1.2 x');
  row('bus request, delivered in process, 64 in flight', ratio(rates.local, rates.bare), 'no trip to the server');
  const [plain, over] = [latencies.bare, latencies.across];
  row('bus request, p50 at 1 in flight', ratio(percentile(over, 50), percentile(plain, 50)), 'at most 1.3 x');
  row('bus request, p99 at 1 in flight', ratio(percentile(over, 99), percentile(plain, 99)), '');
  await Promise.all([bare.close(), bareHost.close(), ours.close(), host.close()]);
}

async function flood(ask, count) {
  let left = count;
  const startedAt = performance.now();
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      await ask();
    }
  };
  await Promise.all(Array.from({ length: 64 }, worker));
  return (count / (performance.now() - startedAt)) * 1_000;
}

async function oneByOne(ask, count) {
  const times = [];
  for (let index = 0; index < count; index += 1) {
    const startedAt = performance.now();
    await ask();
    times.push(performance.now() - startedAt);
  }
  return times;
}

async function best(measure) {
  let result = 0;
  for (let round = 0; round < rounds; round += 1) result = Math.max(result, await measure());
  return result;
}

function ratio(value, base) {
  return `${(value / base).toFixed(2)} x`;
}

async function startServer() {
  const probe = createServer();
  await once(probe.listen(0, '127.0.0.1'), 'listening');
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  const path = `${process.env.PATH}:/usr/sbin`;
  const child = spawn('nats-server', ['-a', '127.0.0.1', '-p', String(port)], { stdio: 'ignore', env: { PATH: path } });
  return { url: `nats://127.0.0.1:${port}`, stop: () => child.kill() };
}
