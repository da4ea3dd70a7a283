#!/usr/bin/env node
// Plays one recorded case of a command-line agent: its lines in their time, its error output, its end, and what it did on signals.
//
// REPLAY_CASE      <folder>/<case> below test/fixtures/cli
// REPLAY_SPEED     1 is the original pace, 0 (the default) as fast as it goes
// REPLAY_CHUNK     bytes of one write to stdout; 0 (the default) writes whole lines
// REPLAY_SIGNALS   1 stops where the recorded signal came, and waits for a real one
// REPLAY_LOG       a file that gets one JSON line: argv, stdin, environment, pid, working folder
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const env = process.env;
const [folder, name] = env.REPLAY_CASE.split('/');
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'fixtures', 'cli', folder);
const recorded = JSON.parse(readFileSync(join(root, 'cases.json'), 'utf8'))[name];
const speed = Number(env.REPLAY_SPEED ?? 0);
const chunkBytes = Number(env.REPLAY_CHUNK ?? 0);
const waitsForSignal = env.REPLAY_SIGNALS === '1';

const read = (ending) => (existsSync(join(root, name + ending)) ? readFileSync(join(root, name + ending), 'utf8') : '');
const lines = read('.ndjson')
  .split('\n')
  .filter((line) => line !== '');

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
if (env.REPLAY_LOG) {
  const stdin = Buffer.concat(chunks).toString('utf8');
  appendFileSync(
    env.REPLAY_LOG,
    `${JSON.stringify({ argv: process.argv.slice(2), stdin, env, pid: process.pid, cwd: process.cwd() })}\n`,
  );
}

process.stderr.write(read('.stderr.txt'));

const signalled = recorded.signals?.[0];
// What the program still said after the signal: an aborted answer, and what followed it.
const cut = lines.findIndex((line) => line.includes('"aborted":true'));
const before = waitsForSignal && cut !== -1 ? lines.slice(0, cut) : lines;

const timesOf = lines.map((line) => Date.parse(/"timestamp":"([^"]+)"/.exec(line)?.[1] ?? '') || null);
const first = timesOf.find((time) => time !== null) ?? null;
let elapsed = 0;
for (const [index, line] of before.entries()) {
  const time = timesOf[index];
  const due = first !== null && time !== null ? time - first : (recorded.wallMs * (index + 1)) / (lines.length + 1);
  if (speed > 0 && due > elapsed) {
    await sleep((due - elapsed) / speed);
    elapsed = due;
  }
  await write(`${line}\n`);
}

if (waitsForSignal && signalled !== undefined) {
  const swallowed = folder === 'gemini' && name === `${signalled.signal.toLowerCase()}-stream`;
  const keepAlive = setInterval(() => {}, 1_000);
  await new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT']) {
      process.on(signal, () => {
        // The launcher of Gemini CLI lets the answer go on to its end.
        if (!swallowed) resolve();
      });
    }
  });
  clearInterval(keepAlive);
  for (const signal of ['SIGTERM', 'SIGINT']) process.removeAllListeners(signal);
  for (const line of lines.slice(before.length)) await write(`${line}\n`);
}
if (recorded.exitSignal !== null) {
  process.kill(process.pid, recorded.exitSignal);
  await sleep(10_000);
}
if (recorded.exitCode === null) await new Promise(() => setInterval(() => {}, 1_000));
process.exitCode = recorded.exitCode;

async function write(text) {
  const bytes = Buffer.from(text);
  const size = chunkBytes > 0 ? chunkBytes : bytes.length;
  for (let from = 0; from < bytes.length; from += size) {
    if (!process.stdout.write(bytes.subarray(from, from + size)))
      await new Promise((resolve) => process.stdout.once('drain', resolve));
    if (chunkBytes > 0) await new Promise((resolve) => setImmediate(resolve));
  }
}
