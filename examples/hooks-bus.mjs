// Hooks that live elsewhere: a guard that refuses, a cache that answers for the vendor, a censor of streams. With NATS nothing changes.
import assert from 'node:assert/strict';
import { createCallCache, createMemoryBus, iModel, onHook } from 'imodel';

const bus = createMemoryBus();
const model = new iModel({
  id: 'demo',
  model: 'scripted/echo',
  // An iModel asks only what it was told to ask, in this order. Who must be asked and cannot be refuses the call; `open` passes it over.
  hooks: [
    { point: 'pre_invocation', name: 'guard' },
    { point: 'pre_invocation', name: 'cache', onFailure: 'open' },
    { point: 'post_invocation', name: 'cache', onFailure: 'open' },
    { point: 'chunk', mode: 'hold-all' },
  ],
});
model.serve(bus);

// Each of these could be a program of its own, in any language: docs/hooks.md shows what travels.
onHook(
  bus,
  'pre_invocation',
  ({ request }) =>
    JSON.stringify(request.messages).includes('password')
      ? { action: 'veto', reason: 'no passwords, please' }
      : { action: 'pass' },
  { name: 'guard' },
);
const cache = createCallCache(bus);
onHook(bus, 'chunk', ({ chunks }) => ({
  action: 'transform',
  chunks: chunks.map((chunk) => ({ ...chunk, content: chunk.content?.replace(/\d/g, '#') ?? null })),
}));

/** @param {string} content */
const ask = (content) => ({ messages: [{ role: 'user', content }] });

const refused = await model.invoke(ask('my password is 1234'));
assert.equal(refused.failure?.code, 'vetoed');

let text = '';
const stream = model.stream(ask('call 555-1234'));
for await (const chunk of stream) text += chunk.type === 'text' ? chunk.content : '';
assert.equal(text, 'call ###-####');
assert.equal(stream.call.text, text);

const first = await model.invoke(ask('hello'));
const again = await model.invoke(ask('hello'));
assert.deepEqual([again.text, cache.hits], [first.text, 1]);
console.log(refused.failure?.message, '|', text, '|', cache.hits, 'hit');
cache.close();
await model.close();
await bus.close();
