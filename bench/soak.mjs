// Many requests through the gateway, half of them aborted, while logs, traces, observers and scrapes fail: what stays in memory?
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { Connection } from './gateway-client.mjs';
import { row } from './report.mjs';

const total = Number(process.env.SOAK_REQUESTS ?? 200_000);
const workers = 48;
const samples = 30;
const mebibyte = 1_024 * 1_024;

async function start(file, ...args) {
  // Nobody reads what it prints.
  const child = fork(new URL(file, import.meta.url).pathname, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  child.stdout.destroy();
  child.stderr.destroy();
  const [{ port, headers = {} }] = await once(child, 'message');
  return { child, front: { url: `http://127.0.0.1:${port}`, headers } };
}

/** What the gateway holds after a full collection. */
async function memory({ child }) {
  child.send('memory');
  const [held] = await once(child, 'message');
  return held;
}

/** A request whose caller leaves after so many milliseconds: before its answer, or in the middle of it. */
async function abort(front, stream, afterMs) {
  const connection = new Connection(front);
  const sent = connection.send(stream).catch(() => {});
  if (afterMs > 0) await Promise.race([sent, new Promise((resolve) => setTimeout(resolve, afterMs))]);
  connection.close();
}

/** A scrape that breaks off before its end. */
function breakScrape({ url, headers: { authorization } }) {
  const { port } = new URL(url);
  const socket = connect(Number(port), '127.0.0.1', () => {
    const head = `GET /metrics HTTP/1.1\r\nhost: localhost\r\nauthorization: ${authorization}\r\n\r\n`;
    socket.write(head, () => socket.resetAndDestroy());
  });
  socket.on('error', () => {});
}

async function work(front, count) {
  let left = count;
  const worker = async (index) => {
    let connection = new Connection(front);
    for (let n = index; left > 0; n += 1) {
      left -= 1;
      if (n % 2 === 0) await connection.send(false);
      else await abort(front, n % 4 === 1, (n * 7) % 23);
      if (n % 500 === 0) {
        connection.close();
        connection = new Connection(front);
      }
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: workers }, (_value, index) => worker(index)));
}

/** The slope of a line through points, by least squares. */
function slope(points) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [x, y] = [mean(points.map(([at]) => at)), mean(points.map(([, value]) => value))];
  const over = points.reduce((sum, [at, value]) => sum + (at - x) * (value - y), 0);
  return over / points.reduce((sum, [at]) => sum + (at - x) ** 2, 0);
}

const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function soak() {
  const upstream = await start('./gateway-upstream.mjs');
  const gateway = await start('./soak-gateway.mjs', upstream.front.url);
  const scrapes = setInterval(() => breakScrape(gateway.front), 250);
  await work(gateway.front, total / 20);
  await rest(2_000);
  const idle = await memory(gateway);
  const begin = performance.now();
  const points = [];
  for (let sample = 0; sample < samples; sample += 1) {
    await work(gateway.front, total / samples);
    points.push([(performance.now() - begin) / 60_000, (await memory(gateway)).heap / mebibyte]);
  }
  clearInterval(scrapes);
  await rest(2_000);
  const after = await memory(gateway);
  const { counters } = after;
  row(
    'gateway, soak',
    `${total} requests`,
    `${counters.cancelled} calls taken back, ${counters.completed} completed, ${counters.failed} failed`,
  );
  row('gateway, slope of the collected heap', `${slope(points).toFixed(2)} MiB/min`, 'below 1');
  row(
    'gateway, heap after it',
    `${(after.heap / idle.heap).toFixed(2)} x of idle`,
    `at most 1.2; ${(after.heap / mebibyte).toFixed(1)} MiB; resident ${(after.rss / idle.rss).toFixed(2)} x`,
  );
  row('gateway, calls left', after.running + after.waiting, 'none');
  gateway.child.disconnect();
  upstream.child.disconnect();
}
