// Fifty callers of one iModel while its vendor refuses everything with 429 for 30 s: how often it is asked once it has said Retry-After, per call.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { iModel } from '../dist/src/index.js';
import { row } from './report.mjs';

const stormSeconds = 30;
const callers = { atOnce: 25, later: 25 };
/** What the vendor says each time. */
const says = { 'how long it still lasts': 'rest', 'always 1 s': '1', 'always 2 s': '2', 'always 10 s': '10' };
/** So long what was written before Retry-After was known may take to arrive. In milliseconds. */
const travelMs = 20;
const request = { messages: [{ role: 'user', content: 'hello' }] };

export async function storm() {
  const child = fork(new URL('./storm-upstream.mjs', import.meta.url).pathname);
  const [{ port }] = await once(child, 'message');
  const url = `http://127.0.0.1:${port}`;
  const storms = Object.entries(says).map(([name, retryAfter]) => ({
    name,
    path: `${stormSeconds}-${retryAfter}`,
  }));
  const rides = await Promise.all(storms.map(({ path }) => ride(`${url}/${path}`)));
  const report = await (await fetch(`${url}/report`)).json();
  for (const [index, { name, path }] of storms.entries()) {
    const { knownAt, seconds } = rides[index];
    const { arrivals } = report.find((storm) => storm.name === path);
    const offered = arrivals.filter(({ at }) => at > knownAt + travelMs);
    const tooEarly = offered.filter(({ at, wantedAt }) => at < wantedAt);
    row(
      `storm of ${stormSeconds} s, 50 callers, the vendor says ${name}`,
      `${(offered.length / (callers.atOnce + callers.later)).toFixed(2)} per call`,
      `at most 1.2; ${tooEarly.length} too early (none), all served after ${seconds.toFixed(1)} s`,
    );
  }
  child.disconnect();
}

/** Calls half of them at once and half in the next ten seconds. @returns When Retry-After was known, and seconds until all were served. */
async function ride(baseUrl) {
  const model = new iModel({ provider: 'local', baseUrl, model: 'm' });
  const begin = performance.now();
  let knownAt = Number.POSITIVE_INFINITY;
  model.observe(({ type, at }) => {
    if (type === 'retrying') knownAt = Math.min(knownAt, at);
  });
  const calls = Array.from({ length: callers.atOnce }, () => model.invoke(request));
  for (let n = 0; n < callers.later; n += 1) {
    await new Promise((resolve) => setTimeout(resolve, 10_000 / callers.later));
    calls.push(model.invoke(request));
  }
  for (const { status, failure } of await Promise.all(calls)) {
    if (status !== 'completed') throw new Error(`A call ended as ${status}: ${failure?.message}`);
  }
  const seconds = (performance.now() - begin) / 1_000;
  await model.close();
  return { knownAt, seconds };
}
