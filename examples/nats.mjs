// A model that is served in one place and called from another, through a NATS server: NATS_URL, or the one on this machine.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { connect, connectNats, createRuntime } from 'imodel';

const servers = process.env.NATS_URL || 'nats://127.0.0.1:4222';
const id = `example-${randomUUID()}`;

// Here it is hosted. This would be a process of its own: `imodel serve`.
const runtime = await createRuntime({ models: { [id]: { model: 'scripted/echo' } }, nats: { servers } });

// There it is called.
const bus = await connectNats({ servers });
const model = connect(bus).model(id);
const stream = model.stream('one two three');
for await (const chunk of stream) {
  if (chunk.type === 'text') process.stdout.write(chunk.content ?? '');
}
console.log();
assert.equal(stream.call?.text, 'one two three');
assert.equal((await model.state()).counters.completed, 1);

await bus.close();
await runtime.close({ drain: true });
