// A call is taken back: its connection is closed before it counts as cancelled.
import assert from 'node:assert/strict';
import { IModelError, iModel } from 'imodel';

const model = new iModel({ model: 'scripted/slow', delay_ms: 60_000 });
const controller = new AbortController();
setTimeout(() => controller.abort(), 50);

await assert.rejects(
  model.invoke({ messages: [{ role: 'user', content: 'hello' }] }, { signal: controller.signal }),
  (error) => IModelError.is(error) && error.code === 'cancelled',
);
assert.equal(model.state.counters.cancelled, 1);
console.log('cancelled; nothing runs any more:', model.status);
await model.close();
