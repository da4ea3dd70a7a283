// What calls leave behind in the heap: while they wait, and after a million of them.
import { iModel } from '../dist/src/index.js';
import { collectedHeap, row } from './report.mjs';

/** Bytes of heap per waiting call of a whole iModel: row, record, promise and the checked copy of its request. */
async function bytesPerWaiting(count) {
  const model = new iModel({
    provider: 'scripted',
    text: 'Hello!',
    delayMs: 3_600_000,
    concurrencyLimit: 1,
    queueCapacity: count + 1,
  });
  const requests = Array.from({ length: count }, (_, n) => ({ messages: [{ role: 'user', content: `number ${n}` }] }));
  const before = collectedHeap();
  const calls = requests.map((request) => model.invoke(request));
  const bytes = (collectedHeap() - before) / count;
  const copies = requests.map((request) => structuredClone(request));
  const payload = (collectedHeap() - before) / count - bytes;
  const ended = Promise.allSettled(calls);
  await model.close({ drain: false });
  await ended;
  return { bytes, payload, kept: copies.length };
}

/** Heap after a million calls, 64 in flight, beside the heap after the first 100,000. */
async function growth() {
  const model = new iModel({ provider: 'scripted', text: 'Hello!', queueCapacity: 1_000 });
  const request = { messages: [{ role: 'user', content: 'Hello!' }] };
  const run = async (calls) => {
    let left = calls;
    const caller = async () => {
      while (left > 0) {
        left -= 1;
        await model.invoke(request);
      }
    };
    await Promise.all(Array.from({ length: 64 }, caller));
    return collectedHeap();
  };
  const first = await run(100_000);
  const last = await run(900_000);
  await model.close();
  return { first, last };
}

export async function heap() {
  const { bytes, payload } = await bytesPerWaiting(20_000);
  row(
    'heap per waiting call of an iModel, beside its payload',
    `${(bytes - payload).toFixed(0)} bytes`,
    `at most 1,000; with the checked copy of the payload ${bytes.toFixed(0)}`,
  );
  const { first, last } = await growth();
  const megabytes = (value) => (value / 2 ** 20).toFixed(1);
  row(
    'heap after 1,000,000 calls',
    `${(last / first).toFixed(3)} ×`,
    `of that after 100,000: flat (${megabytes(first)} and ${megabytes(last)} MiB)`,
  );
}
