// How close to its limit an iModel gets without ever being refused, against an upstream that counts by its own clock: node bench/window.mjs,
// after npm run build. 20 per second, 200 calls, cold connections; the ideal is what a perfect limiter with no delay would take.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { iModel } from '../dist/src/index.js';
import { row } from './report.mjs';

const child = fork(new URL('./enforcing-upstream.mjs', import.meta.url).pathname);
const [{ port }] = await once(child, 'message');
const url = `http://127.0.0.1:${port}`;
const request = { messages: [{ role: 'user', content: 'hello' }] };

const patterns = {
  'a burst of 200': { idealMs: 9_000, first: 200, rest: 0 },
  '1 and, at 0.9 s, 199': { idealMs: 9_900, first: 1, rest: 199 },
};

for (const delayed of ['request', 'response']) {
  for (const [shortest, longest] of [
    [0, 40],
    [20, 40],
  ]) {
    for (const [pattern, { idealMs, first, rest }] of Object.entries(patterns)) {
      const host = `${delayed}-${shortest}-${longest}-${first}`;
      const tookMs = await run(host, first, rest);
      const seen = (await (await fetch(`${url}/report`)).json()).find(({ name }) => name === host);
      row(
        `${pattern}, ${shortest} to ${longest} ms ${delayed} delay`,
        `${(tookMs / idealMs).toFixed(3)} × ideal`,
        `at most 1.04; ${seen.refused} refused, at most ${seen.mostInWindow} of 20 in a window`,
      );
    }
  }
}
child.disconnect();

async function run(host, first, rest) {
  const model = new iModel({
    provider: 'local',
    baseUrl: `${url}/${host}`,
    model: 'm',
    limitRequests: 20,
    interval: 1,
    queueCapacity: 200,
  });
  const begin = performance.now();
  const calls = Array.from({ length: first }, () => model.invoke(request));
  if (rest > 0) {
    await new Promise((resolve) => setTimeout(resolve, 900));
    for (let n = 0; n < rest; n += 1) calls.push(model.invoke(request));
  }
  await Promise.all(calls);
  const tookMs = performance.now() - begin;
  await model.close();
  return tookMs;
}
