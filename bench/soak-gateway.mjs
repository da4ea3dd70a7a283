// The gateway of the soak: its callers have limits, everything that listens to it fails, and it tells how much memory it holds when it is asked.
import { trace } from '@opentelemetry/api';
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import { createKey, hashKey } from '../dist/src/callers/key.js';
import { createJsonLog } from '../dist/src/cli/json-log.js';
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
const failing = { onStart: () => {}, onEnd: sinkIsDown, forceFlush: async () => {}, shutdown: async () => {} };
trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [failing] }));
const runtime = await createRuntime({ models: { m: options } }, { onError: sinkIsDown });
const key = createKey();
// A window remembers each request for its length: it is short, so that it is full before memory is measured.
const limits = {
  limitRequests: 1_000_000,
  limitTokens: 1_000_000_000,
  interval: 3,
  concurrencyLimit: 40,
  operator: true,
};
const callers = { ci: { keyHashes: [hashKey(key)], ...limits } };
const gateway = await startGateway(runtime, { port: 0, callers }, { onError: sinkIsDown });
// Nobody reads stdout, and the pipe is broken.
const log = await createJsonLog([key]);
runtime.watchModels((each) => each.live.events.observe((_type, make, call) => log.event(make(), each, call)));
const [model] = runtime.models.values();
// An observer that throws is dropped, so there is always a next one.
setInterval(() => model.observe(sinkIsDown), 100).unref();
process.on('message', () => {
  const { running, queue, counters } = model.state;
  process.send({ heap: collectedHeap(), rss: process.memoryUsage().rss, running, waiting: queue.waiting, counters });
});
process.send({ port: gateway.port, headers: { authorization: `Bearer ${key}` } });
process.on('disconnect', () => process.exit(0));
