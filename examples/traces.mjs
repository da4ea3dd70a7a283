// Where an application collects traces, each call is a span by the GenAI conventions. Here they are kept in memory; in yours they go to an
// exporter, registered in the same way.
import assert from 'node:assert/strict';
import { trace } from '@opentelemetry/api';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { iModel } from 'imodel';

const exporter = new InMemorySpanExporter();
trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));

const model = new iModel({
  model: 'scripted/demo',
  text: 'Hello from a queue.',
  failures: ['unavailable', null],
  retry: { baseDelay: 0.01 },
});
await model.invoke({ messages: [{ role: 'user', content: 'hello' }] });
await model.close();

const spans = exporter.getFinishedSpans();
for (const { name, attributes } of spans) console.log(name, attributes['error.type'] ?? 'ok');

const call = spans.find(({ name }) => name === 'chat demo');
assert.equal(call?.attributes['gen_ai.usage.output_tokens'], 5);
assert.equal(call?.attributes['imodel.attempts'], 2);
assert.deepEqual(
  call?.events.map(({ name }) => name),
  ['retry'],
);
// Its prompt is its own.
assert.ok(!JSON.stringify(spans.map(({ attributes }) => attributes)).includes('hello'));
