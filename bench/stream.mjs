// Streams of an iModel behind NATS beside bare nats.js messages of the same bodies, in turns, on one server.
import { connect as connectSocket } from 'node:net';
import { connect as connectBare } from 'nats';
import { connect, connectNats, iModel } from '../dist/src/index.js';
import { median, percentile, row } from './report.mjs';
import { startServer } from './server.mjs';

const chunks = 20_000;
const rounds = 3;
const request = { messages: [{ role: 'user', content: 'Tell me something about the sea.' }] };
const script = { ...request, text: 'sea '.repeat(chunks / 4), chunks };

/** Seconds something takes. */
async function seconds(work) {
  const begin = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - begin) / 1e9;
}

/** Reads a stream to its end. */
async function readAll(stream) {
  let count = 0;
  for await (const chunk of stream) if (chunk.type === 'text') count += 1;
  if (count !== chunks) throw new Error(`${count} of ${chunks} chunks came`);
}

/** Sends the same bodies with the bare client. */
async function bareFlood(sender, receiver) {
  const last = `{"seq":${chunks},"type":"text","content":"s","is_delta":true,"kind":"chunk"}`;
  const done = new Promise((resolve) => {
    const subscription = receiver.subscribe('bench.bare.chunks', {
      callback: (_error, message) => {
        if (JSON.parse(message.string()).seq !== chunks) return;
        subscription.unsubscribe();
        resolve();
      },
    });
  });
  await receiver.flush();
  for (let seq = 1; seq < chunks; seq += 1) {
    sender.publish(
      'bench.bare.chunks',
      JSON.stringify({ seq, type: 'text', content: 's', is_delta: true, kind: 'chunk' }),
    );
    // A stream hears acknowledgements now and then; a loop that never does hogs the process of both ends.
    if (seq % 256 === 0) await sender.flush();
  }
  sender.publish('bench.bare.chunks', last);
  await done;
}

/** An observer that asks for everything and reads nothing. */
function stalledObserver(url, subject) {
  const { hostname, port } = new URL(url);
  const socket = connectSocket(Number(port), hostname);
  socket.on('error', () => {});
  socket.write(`CONNECT {"verbose":false}\r\nSUB ${subject} 1\r\nPING\r\n`);
  return new Promise((resolve) => {
    socket.on('data', (data) => {
      if (!String(data).includes('PONG')) return;
      socket.pause();
      resolve(socket);
    });
  });
}

async function latencies(one, calls) {
  const out = [];
  for (let index = 0; index < calls; index += 1) out.push((await seconds(one)) * 1e6);
  return out;
}

async function measureFanOut(server, remote) {
  const observers = await connectBare({ servers: server.url });
  const base = chunks / (await seconds(() => readAll(remote.stream(script, { credit: 256 }))));
  for (const count of [1, 10, 100]) {
    const subscriptions = Array.from({ length: count - 1 }, () =>
      observers.subscribe('imodel.bench.chunks.*', { callback: () => {} }),
    );
    await observers.flush();
    const stalled = await stalledObserver(server.url, 'imodel.bench.chunks.*');
    const rate = chunks / (await seconds(() => readAll(remote.stream(script, { credit: 256 }))));
    for (const subscription of subscriptions) subscription.unsubscribe();
    stalled.destroy();
    const others = count === 1 ? 'one stalled observer' : `${count} observers, one of them stalled`;
    row(
      `stream with credit, ${others}`,
      `${Math.round(rate)}/s`,
      `the reader gets all; ${(rate / base).toFixed(2)} x of none`,
    );
  }
  await observers.close();
}

async function measureRequests(remote, caller) {
  const bare = () => caller.request('bench.bare.request', JSON.stringify(request), { timeout: 10_000 });
  const ours = () => remote.invoke(request);
  const times = { bare: [], ours: [] };
  await latencies(ours, 500);
  for (let round = 0; round < rounds; round += 1) {
    times.bare.push(...(await latencies(bare, 1_000)));
    times.ours.push(...(await latencies(ours, 1_000)));
  }
  for (const p of [50, 99]) {
    const [plain, over] = [percentile(times.bare, p), percentile(times.ours, p)];
    row(
      `invoke over NATS, p${p}`,
      `${over.toFixed(0)} µs`,
      `bare request ${plain.toFixed(0)} µs, ${(over / plain).toFixed(2)} x`,
    );
  }
}

/** Chunk throughput with and without credit, fan-out, and single requests. */
export async function stream() {
  const server = await startServer();
  const model = new iModel({ id: 'bench', provider: 'scripted' });
  const hostBus = await connectNats({ servers: server.url });
  const callerBus = await connectNats({ servers: server.url });
  const bareHost = await connectBare({ servers: server.url });
  const bareCaller = await connectBare({ servers: server.url });
  bareHost.subscribe('bench.bare.request', { callback: (_error, message) => message.respond(message.data) });
  const served = model.serve(hostBus);
  await Promise.all([hostBus.flush(), bareHost.flush()]);
  const remote = connect(callerBus).model('bench');

  const rates = { bare: [], credited: [], open: [] };
  await readAll(remote.stream(script, { credit: 256 }));
  for (let round = 0; round < rounds; round += 1) {
    rates.bare.push(chunks / (await seconds(() => bareFlood(bareHost, bareCaller))));
    rates.credited.push(chunks / (await seconds(() => readAll(remote.stream(script, { credit: 256 })))));
    rates.open.push(chunks / (await seconds(() => readAll(remote.stream(script, { credit: 0 })))));
  }
  const [bare, credited, open] = [rates.bare, rates.credited, rates.open].map(median);
  row('bare nats.js, the same bodies', `${Math.round(bare)}/s`, '(the base of the next lines)');
  row('chunks with credit 256', `${Math.round(credited)}/s`, `${(credited / bare).toFixed(2)} x of bare messages`);
  row('chunks without credit', `${Math.round(open)}/s`, `${(open / bare).toFixed(2)} x of bare messages`);
  await measureFanOut(server, remote);
  await measureRequests(remote, bareCaller);

  served.close();
  await model.close();
  await Promise.all([hostBus.close(), callerBus.close(), bareHost.close(), bareCaller.close()]);
  await server.close();
}
