// Everything by message: a request to a subject, events on others. The bus is in memory; with NATS nothing changes.
import assert from 'node:assert/strict';
import { connect, createMemoryBus, iModel, subjects } from 'imodel';

const bus = createMemoryBus();
const model = new iModel({ id: 'demo', model: 'scripted/echo' });
model.serve(bus);

/** @type {string[]} */
const events = [];
bus.subscribe(subjects.everyEvent('demo'), (message) => {
  events.push(message.subject);
});

// As any NATS client would, without this package ...
const reply = await bus.request('imodel.demo.invoke', { messages: [{ role: 'user', content: 'hello' }] });
assert.equal(/** @type {{ text: string }} */ (reply.value()).text, 'hello');
// ... and with it, as if the model were here. A plain text is one user message.
const call = await connect(bus).model('demo').invoke('hello again');
assert.equal(call.text, 'hello again');

await bus.flush();
const perCall = ['created', 'pre_invocation', 'answered', 'post_invocation'];
assert.deepEqual(
  events,
  [...perCall, ...perCall].map((type) => `imodel.demo.events.${type}`),
);
console.log(events.join('\n'));
await model.close();
await bus.close();
