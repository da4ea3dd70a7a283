// Hooks see and change calls: one refuses, one keeps a log, one rewrites the stream.
import assert from 'node:assert/strict';
import { HookRegistry, iModel } from 'imodel';

/** @type {string[]} */
const log = [];
const hooks = new HookRegistry({
  pre_invocation: (call) => {
    const text = JSON.stringify(call.payload.messages);
    if (text.includes('password')) throw new Error('no passwords, please');
  },
  post_invocation: (call) => log.push(`${call.outcome}: ${call.usage?.totalTokens ?? 0} tokens`),
  streamHandlers: { text: (_call, _key, chunk) => ({ ...chunk, content: chunk.content?.toUpperCase() ?? '' }) },
});
const model = new iModel({ model: 'scripted/echo', hookRegistry: hooks });
/** @param {string} content */
const ask = (content) => ({ messages: [{ role: 'user', content }] });

const refused = await model.invoke(ask('my password is 1234'));
assert.equal(refused.status, 'failed');
assert.equal(refused.failure?.code, 'vetoed');

await model.invoke(ask('hello'));
let text = '';
for await (const chunk of model.stream(ask('good day'))) text += chunk.type === 'text' ? chunk.content : '';
assert.equal(text, 'GOOD DAY');
assert.equal(log.length, 2);
console.log(refused.failure?.message, log, text);
await model.close();
