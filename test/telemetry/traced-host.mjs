// Serves an iModel and an endpoint on a NATS server, with a tracer of its own; writes each span that has ended as a line of JSON.
import { trace } from '@opentelemetry/api';
import { BasicTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { connectNats, iModel } from '../../dist/src/index.js';
import { serveEndpoint } from '../../dist/src/runtime/serving/serve-endpoint.js';

const [servers, id, upstreamUrl] = process.argv.slice(2);
const exporter = {
  export(spans, done) {
    for (const span of spans) {
      const { traceId, spanId } = span.spanContext();
      process.stdout.write(
        `${JSON.stringify({ name: span.name, traceId, spanId, parentId: span.parentSpanContext?.spanId })}\n`,
      );
    }
    done({ code: 0 });
  },
  shutdown: async () => {},
};
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
trace.setGlobalTracerProvider(provider);

const bus = await connectNats({ servers });
const model = new iModel({ id, model: 'scripted/echo' });
model.serve(bus);
const upstream = new iModel({ provider: 'openai', model: 'gpt-4.1-mini', apiKey: 'sk-upstream', baseUrl: upstreamUrl });
serveEndpoint(upstream.endpoint, `${id}-endpoint`, bus);
await bus.flush();
process.stdout.write('ready\n');
