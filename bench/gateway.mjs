// Our gateway beside Portkey's and a bare node:http proxy, all before the same upstream, in turns.
import { fork } from 'node:child_process';
import { Connection } from './gateway-client.mjs';
import { startOurs } from './gateway-ours.mjs';
import { startPortkey } from './portkey.mjs';
import { median, percentile, row } from './report.mjs';

const rounds = 3;
/** Of the requests at one connection, of which the first thousands after streams are slower for whoever compiles as it goes. */
const latencyRounds = 7;
/** Of streams that begin at once, whose times differ most. */
const burstRounds = 5;
const pieces = 64;

/** Starts a part of the bench in a process of its own. */
function start(file, ...args) {
  const child = fork(new URL(file, import.meta.url).pathname, args);
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`${file} ended with ${code}`)));
    child.once('message', ({ port }) =>
      resolve({
        url: `http://127.0.0.1:${port}`,
        headers: { authorization: 'Bearer bench' },
        close: () => child.disconnect(),
      }),
    );
  });
}

/** The numbers in the pieces of a stream, in the order of their coming. */
function numbers(text) {
  return [...text.matchAll(/"content":"(\d+) "/g)].map(([, number]) => Number(number));
}

async function latencies(front, count) {
  const connection = new Connection(front);
  const times = [];
  for (let index = 0; index < count; index += 1) times.push((await connection.send(false)).first);
  connection.close();
  return times;
}

async function rate(front, connections, ms) {
  const end = performance.now() + ms;
  let count = 0;
  const begin = performance.now();
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const connection = new Connection(front);
      while (performance.now() < end) {
        await connection.send(false);
        count += 1;
      }
      connection.close();
    }),
  );
  return count / ((performance.now() - begin) / 1_000);
}

/** Milliseconds to the first piece of each of so many streams at once; every stream must be whole. */
async function firstPieces(front, count) {
  const connections = Array.from({ length: count }, () => new Connection(front));
  await Promise.all(connections.map((connection) => connection.send(false)));
  const streams = await Promise.all(connections.map((connection) => connection.send(true)));
  for (const connection of connections) connection.close();
  for (const { text } of streams) {
    const seen = numbers(text);
    if (seen.length !== pieces || seen.some((number, index) => number !== index)) {
      throw new Error(`A stream of ${seen.length} pieces, or not in their order`);
    }
  }
  return streams.map(({ first }) => first);
}

/** Runs a measurement for each front in turns, so that whatever else the machine does hits all alike. */
async function inTurns(fronts, measure, turns = rounds) {
  const results = Object.fromEntries(Object.keys(fronts).map((name) => [name, []]));
  for (let round = 0; round < turns; round += 1) {
    for (const [name, front] of Object.entries(fronts)) results[name].push(...[await measure(front)].flat());
  }
  return results;
}

/** Prints what each front adds to the upstream's own time, at the middle. */
function printAdded(name, { direct, ours, portkey, bare }, promise) {
  const added = (times) => Math.max(0.001, median(times) - median(direct));
  const [us, them, least] = [ours, portkey, bare].map(added);
  row(
    name,
    `${us.toFixed(2)} ms`,
    `${(us / them).toFixed(2)} x of Portkey's ${them.toFixed(2)} ms, ${promise}; a bare proxy ${least.toFixed(2)} ms`,
  );
}

export async function gateway() {
  const upstream = await start('./gateway-upstream.mjs');
  const fronts = {
    direct: upstream,
    ours: await startOurs(upstream.url),
    portkey: await startPortkey(upstream.url),
    bare: await start('./gateway-bare.mjs', upstream.url),
  };
  const { direct: _direct, ...proxies } = fronts;
  // All of them need many requests until they are as fast as they will be.
  await inTurns(fronts, (front) => rate(front, 16, 1_500));
  await inTurns(fronts, (front) => firstPieces(front, 32));

  printAdded(
    'gateway, added p50 at one connection',
    await inTurns(fronts, (front) => latencies(front, 700), latencyRounds),
    'at most 0.5',
  );
  const rates = await inTurns(proxies, (front) => rate(front, 64, 2_500));
  const [ours, portkey, bare] = [rates.ours, rates.portkey, rates.bare].map(median);
  const beside = `${(ours / portkey).toFixed(1)} x of Portkey's ${Math.round(portkey)}/s, at least 5; a bare proxy ${(bare / portkey).toFixed(1)} x`;
  row('gateway, requests at 64 connections', `${Math.round(ours)}/s`, beside);
  for (const count of [8, 128]) {
    const times = await inTurns(fronts, (front) => firstPieces(front, count), burstRounds);
    printAdded(`gateway, added time to first token, ${count} streams`, times, 'at most 0.15');
  }
  const times = await firstPieces(fronts.ours, 512);
  row(
    'gateway, 512 streams of 64 pieces at once',
    'none lost',
    `all in order; first token p99 ${percentile(times, 99).toFixed(0)} ms`,
  );
  for (const front of Object.values(fronts)) front.close();
}
