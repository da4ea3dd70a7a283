// The gateway of the soak: everything that listens to it fails, and it tells how much memory it holds when it is asked.
import { startGateway } from '../dist/src/gateway/gateway.js';
import { createRuntime } from '../dist/src/runtime/runtime.js';
import { collectedHeap } from './report.mjs';

const sinkIsDown = () => {
  throw new Error('The sink is down');
};

const options = {
  provider: 'openai',
  model: 'm',
  apiKey: 'bench',
  baseUrl: `${process.argv[2]}/v1`,
  queueCapacity: 10_000,
};
const runtime = await createRuntime({ models: { m: options } }, { onError: sinkIsDown });
const gateway = await startGateway(runtime, { port: 0 }, { onError: sinkIsDown });
const [model] = runtime.models.values();
// An observer that throws is dropped, so there is always a next one.
setInterval(() => model.observe(sinkIsDown), 100).unref();
process.on('message', () => {
  const { running, queue, counters } = model.state;
  process.send({ heap: collectedHeap(), rss: process.memoryUsage().rss, running, waiting: queue.waiting, counters });
});
process.send({ port: gateway.port });
process.on('disconnect', () => process.exit(0));
