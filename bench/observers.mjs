// What observers cost a call: ten that read, and ten of whom one has stopped reading its socket, in turns, on one server.
import { once } from 'node:events';
import { connect as openSocket } from 'node:net';
import { connect, connectNats, createMemoryBus, iModel, subjects } from '../dist/src/index.js';
import { median, percentile, row } from './report.mjs';
import { startServer } from './server.mjs';

const request = { messages: [{ role: 'user', content: 'Hello!' }] };
const rounds = 15;
const calls = 400;

async function p50(one) {
  const times = [];
  for (let n = 0; n < calls; n += 1) {
    const begin = process.hrtime.bigint();
    await one();
    times.push(Number(process.hrtime.bigint() - begin));
  }
  return percentile(times, 50);
}

/** Listens to every event, with nothing but a socket; one that stalls never reads what comes. */
async function observe(url, stalls) {
  const { hostname, port } = new URL(url);
  const socket = openSocket(Number(port), hostname);
  await once(socket, 'data');
  socket.write('CONNECT {"verbose":false}\r\nSUB imodel.bench.events.> 1\r\nPING\r\n');
  let isIn = false;
  socket.on('data', (data) => {
    if (data.includes('PING\r\n')) socket.write('PONG\r\n');
    isIn ||= data.includes('PONG\r\n');
  });
  while (!isIn) await once(socket, 'data');
  if (stalls) socket.pause();
  return () => socket.destroy();
}

async function overNats() {
  const server = await startServer();
  const model = new iModel({ id: 'bench', provider: 'scripted', text: 'Hello!' });
  const hostBus = await connectNats({ servers: server.url });
  const callerBus = await connectNats({ servers: server.url });
  model.serve(hostBus);
  await hostBus.flush();
  const remote = connect(callerBus).model('bench');
  const one = () => remote.invoke(request);
  await p50(one);
  const alone = await p50(one);
  const readers = [];
  for (let n = 0; n < 9; n += 1) readers.push(await observe(server.url, false));
  await p50(one);
  const ratios = [];
  const reading = [];
  for (let n = 0; n < rounds; n += 1) {
    const times = {};
    // In either order, so that a machine that grows faster or slower favours nobody.
    for (const stalls of n % 2 === 0 ? [false, true] : [true, false]) {
      const leave = await observe(server.url, stalls);
      times[stalls] = await p50(one);
      leave();
    }
    reading.push(times.false);
    ratios.push(times.true / times.false);
  }
  row('invoke over NATS, p50, ten observers', `${(median(reading) / alone).toFixed(2)} ×`, 'of one without any');
  row('  … one of whom has stalled', `${median(ratios).toFixed(3)} ×`, 'of that with ten that read: at most 1.05');
  for (const leave of readers) leave();
  await model.close();
  await Promise.all([hostBus.close(), callerBus.close()]);
  await server.close();
}

async function inMemory() {
  const bus = createMemoryBus();
  const model = new iModel({ id: 'bench', provider: 'scripted', text: 'Hello!' });
  model.serve(bus);
  const remote = connect(bus).model('bench');
  const one = () => remote.invoke(request);
  for (let n = 0; n < 9; n += 1) bus.subscribe(subjects.everyEvent('bench'), () => {});
  for (let n = 0; n < 20; n += 1) await p50(one);
  const ratios = [];
  for (let n = 0; n < rounds; n += 1) {
    const times = {};
    for (const stalls of n % 2 === 0 ? [false, true] : [true, false]) {
      const tenth = stalls ? () => new Promise(() => {}) : () => {};
      const subscription = bus.subscribe(subjects.everyEvent('bench'), tenth);
      times[stalls] = await p50(one);
      subscription.close();
    }
    ratios.push(times.true / times.false);
  }
  row(
    'invoke in memory, p50, ten observers, one of whom stalls',
    `${median(ratios).toFixed(3)} ×`,
    'of ten that do not: at most 1.05',
  );
  await model.close();
  await bus.close();
}

export async function observers() {
  await overNats();
  await inMemory();
}
