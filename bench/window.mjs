// How close to its limit an iModel gets without ever being refused, against an upstream that counts 20 per second by its own clock, 20 ms
// away with 20 ms of jitter, over cold connections. The ideal is what a limiter would take that knows the upstream's clock.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { iModel } from '../dist/src/index.js';
import { row } from './report.mjs';

const delayMs = { shortest: 0, longest: 40 };
const patterns = {
  'a burst of 200': { windowsMs: 9_000, first: 200, rest: 0 },
  '1 and, at 0.9 s, 199': { windowsMs: 9_900, first: 1, rest: 199 },
};
const request = { messages: [{ role: 'user', content: 'hello' }] };

export async function window() {
  const child = fork(new URL('./enforcing-upstream.mjs', import.meta.url).pathname);
  const [{ port }] = await once(child, 'message');
  const url = `http://127.0.0.1:${port}`;
  for (const delayed of ['request', 'response']) {
    for (const [pattern, { windowsMs, first, rest }] of Object.entries(patterns)) {
      const host = `${delayed}-${delayMs.shortest}-${delayMs.longest}-${first}`;
      const tookMs = await serve(`${url}/${host}`, first, rest);
      const seen = (await (await fetch(`${url}/report`)).json()).find(({ name }) => name === host);
      const idealMs = windowsMs + (delayMs.shortest + delayMs.longest) / 2;
      row(
        `20 per second, ${pattern}, ${delayed} delay`,
        `${(tookMs / idealMs).toFixed(3)} × ideal`,
        `at most 1.04; ${seen.refused} refused (none), ${seen.mostInWindow} in a window (20)`,
      );
    }
  }
  child.disconnect();
}

async function serve(baseUrl, first, rest) {
  const limits = { limitRequests: 20, interval: 1, queueCapacity: 200, retry: null };
  const model = new iModel({ provider: 'local', baseUrl, model: 'm', ...limits });
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
