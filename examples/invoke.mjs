// One call: the request goes out, the call comes back when it has ended.
import assert from 'node:assert/strict';
import { iModel } from 'imodel';

const model = new iModel({ model: 'scripted/echo' });
const call = await model.invoke({ messages: [{ role: 'user', content: 'hello' }] });

assert.equal(call.status, 'completed');
assert.equal(call.text, 'hello');
console.log(call.text, call.usage);
await model.close();
