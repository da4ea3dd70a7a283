// From the caller's abort to the upstream seeing its socket closed, in process and across NATS.
import { connect, connectNats, iModel } from '../dist/src/index.js';
import { percentile, row } from './report.mjs';
import { startServer } from './server.mjs';
import { startUpstream } from './upstream.mjs';

const messages = [{ role: 'user', content: 'Hello!' }];
const rounds = 100;

export async function cancel() {
  const closed = new Map();
  const seen = new Map();
  const upstream = await startUpstream((message) => {
    if (message.seen === undefined) closed.get(message.hang)?.(message.closedAt);
    else seen.get(message.seen)?.();
  });
  const server = await startServer();
  const bus = await connectNats({ servers: server.url });
  const callerBus = await connectNats({ servers: server.url });
  // The upstream tells calls apart by a header, so each has an iModel of its own behind the same actor code.
  const modelFor = (hang) =>
    new iModel({
      id: hang,
      provider: 'bench',
      baseUrl: `${upstream.url}/v1`,
      apiKey: 'bench',
      model: 'm',
      headers: { 'x-hang': hang },
    });

  const measure = async (name, begin) => {
    const times = [];
    for (let n = 0; n < rounds; n += 1) {
      const hang = `${name.replace(/[^a-z]+/gi, '-')}-${n}`;
      const model = modelFor(hang);
      const controller = new AbortController();
      const gone = new Promise((resolve) => closed.set(hang, resolve));
      const arrived = new Promise((resolve) => seen.set(hang, resolve));
      const ended = begin(model, hang, controller.signal).catch(() => {});
      await arrived;
      await new Promise((resolve) => setTimeout(resolve, 5));
      const abortedAt = performance.timeOrigin + performance.now();
      controller.abort();
      times.push((await gone) - abortedAt);
      await ended;
      await model.close();
    }
    const text = `p50 ${percentile(times, 50).toFixed(1)}, p99 ${percentile(times, 99).toFixed(1)} ms`;
    row(`cancel to closed socket, ${name}`, text, 'at most 5 and 50 ms');
  };
  const read = async (stream) => {
    for await (const _chunk of stream);
  };
  await measure('invoke, in process', (model, _hang, signal) => model.invoke({ messages }, { signal }));
  await measure('stream, in process', (model, _hang, signal) => read(model.stream({ messages }, { signal })));
  const remote = async (model, hang) => {
    model.serve(bus);
    await bus.flush();
    return connect(callerBus).model(hang);
  };
  await measure('invoke, over NATS', async (model, hang, signal) =>
    (await remote(model, hang)).invoke({ messages }, { signal }),
  );
  await measure('stream, over NATS', async (model, hang, signal) =>
    read((await remote(model, hang)).stream({ messages }, { signal })),
  );

  await Promise.all([bus.close(), callerBus.close()]);
  await server.close();
  upstream.close();
}
