// Our gateway before the upstream, in a process of its own.
import { startGateway } from '../dist/src/gateway/gateway.js';
import { createRuntime } from '../dist/src/runtime/runtime.js';

const runtime = await createRuntime({
  models: {
    m: { provider: 'openai', model: 'm', apiKey: 'bench', baseUrl: `${process.argv[2]}/v1`, queueCapacity: 10_000 },
  },
});
const gateway = await startGateway(runtime, { port: 0 });
process.send({ port: gateway.port });
process.on('disconnect', () => process.exit(0));
