// Why did this call take so long, and where did its iModel stand meanwhile?
import assert from 'node:assert/strict';
import { explain, iModel, replay } from 'imodel';

const model = new iModel({ model: 'scripted/demo', text: 'hello', delayMs: 50, concurrencyLimit: 1, id: 'demo' });

const request = { messages: [{ role: 'user', content: 'hello' }] };
await Promise.all(['first', 'second', 'third'].map((callId) => model.invoke(request, { callId })));

const { waited, phases, ended } = explain(model.journal, 'third');
console.log('third waited for', waited, 'and was ended by its', ended?.by);
assert.deepEqual(Object.keys(waited), ['concurrency']);
assert.equal(ended?.by, 'endpoint');

const before = replay(model.journal, { until: phases[0]?.seq });
console.log('when it came:', before.mode, before.state.calls.map(({ id }) => id).join(', '));
assert.deepEqual(
  before.state.calls.map(({ id }) => id),
  ['first', 'second', 'third'],
);

assert.equal(replay(model.journal).state.counters.completed, 3);

await model.close();
