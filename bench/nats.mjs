// An iModel behind NATS beside a bare nats.js request of the same size, in turns, on one server.
import { connect as connectBare } from 'nats';
import { connect, connectNats, iModel } from '../dist/src/index.js';
import { median, percentile, row } from './report.mjs';
import { startServer } from './server.mjs';

const request = { messages: [{ role: 'user', content: 'Hello! Please tell me something about the sea.' }] };

async function rate(one, inFlight, calls) {
  let left = calls;
  const begin = process.hrtime.bigint();
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (left > 0) {
        left -= 1;
        await one();
      }
    }),
  );
  return calls / (Number(process.hrtime.bigint() - begin) / 1e9);
}

async function latencies(one, calls) {
  const out = [];
  for (let n = 0; n < calls; n += 1) {
    const begin = process.hrtime.bigint();
    await one();
    out.push(Number(process.hrtime.bigint() - begin) / 1e3);
  }
  return out;
}

export async function nats() {
  const server = await startServer();
  const model = new iModel({ id: 'bench', provider: 'scripted', text: 'Hello!', queueCapacity: 10_000 });
  const hostBus = await connectNats({ servers: server.url });
  const callerBus = await connectNats({ servers: server.url });
  const bareHost = await connectBare({ servers: server.url });
  const bareCaller = await connectBare({ servers: server.url });
  model.serve(hostBus);
  const remote = connect(callerBus).model('bench');
  // The bare responder answers with the same body, and both sides read and write JSON as they would have to.
  const reply = JSON.parse(JSON.stringify((await model.invoke(request)).toWire()));
  bareHost.subscribe('bare', {
    queue: 'bare',
    callback: (_error, message) => {
      message.json();
      message.respond(JSON.stringify(reply));
    },
  });
  await hostBus.flush();
  await bareHost.flush();
  const oneOurs = () => remote.invoke(request);
  const oneBare = async () => (await bareCaller.request('bare', JSON.stringify(request), { timeout: 10_000 })).json();

  const ratios = [];
  await rate(oneOurs, 64, 20_000);
  await rate(oneBare, 64, 20_000);
  // So many that what else the machine does during some of them changes little.
  for (let n = 0; n < 25; n += 1) ratios.push((await rate(oneOurs, 64, 10_000)) / (await rate(oneBare, 64, 10_000)));
  row(
    'invoke over NATS, 64 in flight, requests per second',
    `${median(ratios).toFixed(2)} ×`,
    'of a bare nats.js request: at least 1.2',
  );

  const p50 = [];
  for (let n = 0; n < 5; n += 1) {
    p50.push(percentile(await latencies(oneOurs, 500), 50) / percentile(await latencies(oneBare, 500), 50));
  }
  row('invoke over NATS, one at a time, p50', `${median(p50).toFixed(2)} ×`, 'of a bare nats.js request: at most 1.3');

  await model.close();
  await Promise.all([hostBus.close(), callerBus.close(), bareHost.close(), bareCaller.close()]);
  await server.close();
}
