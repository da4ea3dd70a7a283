// A large body there, as numbered parts beside JetStream's object store (put, get and delete), on one server in turns.
import { Objm } from '@nats-io/obj';
import { connectNats } from '../dist/src/index.js';
import { median, row } from './report.mjs';
import { startServer } from './server.mjs';

async function time(act) {
  const begin = performance.now();
  await act();
  return performance.now() - begin;
}

export async function bodies() {
  const server = await startServer({ jetStream: true });
  const sender = await connectNats({ servers: server.url });
  const receiver = await connectNats({ servers: server.url });
  receiver.subscribe('body', (message) => message.respond(message.value().length));
  await receiver.flush();
  const settings = { storage: 'memory', ttl: 60_000_000_000 };
  const store = await new Objm(sender.connection).create('bodies', settings);
  const copy = await new Objm(receiver.connection).open('bodies');
  for (const megabytes of [1.5, 8, 32]) {
    const text = 'x'.repeat(megabytes * 1_000_000);
    const bytes = Buffer.from(text);
    const parts = [];
    const objects = [];
    for (let n = 0; n < 7; n += 1) {
      parts.push(await time(() => sender.request('body', text, { timeoutMs: 60_000 })));
      objects.push(
        await time(async () => {
          await store.putBlob({ name: 'body' }, bytes);
          await copy.getBlob('body');
          await store.delete('body');
        }),
      );
    }
    row(
      `a body of ${megabytes} MB in numbered parts`,
      `${median(parts).toFixed(0)} ms`,
      `${(median(objects) / median(parts)).toFixed(1)} × faster than the object store in memory`,
    );
  }
  await Promise.all([sender.close(), receiver.close()]);
  await server.close();
}
