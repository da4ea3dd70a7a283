// One call, read while it comes. Its text, usage and response stand in `call` when the loop has ended.
import assert from 'node:assert/strict';
import { iModel } from 'imodel';

const model = new iModel({ model: 'scripted/story', text: 'Once upon a time.', chunk_delay_ms: 20 });
const stream = model.stream({ messages: [{ role: 'user', content: 'A story, please.' }] });
for await (const chunk of stream) {
  if (chunk.type === 'text') process.stdout.write(chunk.content ?? '');
}
console.log();

assert.equal(stream.call.text, 'Once upon a time.');
assert.equal(stream.call.finishReason, 'stop');
await model.close();
