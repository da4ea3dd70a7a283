// Ten calls at once, of which four may start in any half second and two may run together: the rest wait in order.
import assert from 'node:assert/strict';
import { iModel } from 'imodel';

const model = new iModel({
  model: 'scripted/echo',
  limitRequests: 4,
  interval: 0.5,
  concurrencyLimit: 2,
  delay_ms: 10,
});
const startedAt = performance.now();
const calls = await Promise.all(Array.from({ length: 10 }, (_, index) => model.invoke({ prompt: `call ${index}` })));
const seconds = (performance.now() - startedAt) / 1_000;

const starts = calls.map(({ timing }) => timing.startedAt ?? 0);
assert.deepEqual(
  starts,
  [...starts].sort((a, b) => a - b),
);
// Ten calls at four in a window need two more windows after the first.
assert.ok(seconds >= 1, `took ${seconds} s`);
console.log(`10 calls in ${seconds.toFixed(2)} s, started ${starts.map((at) => Math.round(at - (starts[0] ?? 0)))} ms`);
await model.close();
