import { SpanKind, trace } from '@opentelemetry/api';
import { expect, it } from 'vitest';
import { createMemoryBus } from '../../src/bus/memory.ts';
import { iModel } from '../../src/imodel.ts';
import { collectSpans } from '../telemetry/collect-spans.ts';
import { openGateway, openRequest, until } from './open-gateway.ts';

const path = '/v1/chat/completions';
const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;
const messages = [{ role: 'user', content: 'hello' }];

it("a caller's trace goes on over the gateway to the call, streamed or not", async () => {
  const spans = collectSpans();
  const { post } = await openGateway({ demo: { model: 'scripted/echo' } });
  for (const stream of [false, true]) {
    const response = await post(path, { model: 'demo', messages, stream }, { traceparent, tracestate: 'vendor=1' });
    await response.text();
  }
  await until(() => spans.all().length === 6);
  const requests = spans.all().filter(({ kind }) => kind === SpanKind.SERVER);
  expect(requests).toHaveLength(2);
  for (const request of requests) {
    expect(request.name).toBe(`POST ${path}`);
    expect(request.parentSpanContext?.spanId).toBe('00f067aa0ba902b7');
    expect(request.attributes).toMatchObject({ 'http.route': path, 'http.response.status_code': 200 });
    expect(spans.below(request)).toEqual(['chat echo']);
  }
  for (const span of spans.all()) expect(span.spanContext().traceId).toBe(traceId);
});

it('a request without a trace begins one, also where the gateway was opened within a span', async () => {
  const spans = collectSpans();
  await trace.getTracer('application').startActiveSpan('opening', async (span) => {
    const { post } = await openGateway({ demo: { model: 'scripted/echo' } });
    await post(path, { model: 'demo', messages });
    span.end();
  });
  await until(() => spans.all().some(({ kind }) => kind === SpanKind.SERVER));
  expect(spans.named(`POST ${path}`).parentSpanContext).toBeUndefined();
  expect(spans.below(spans.named(`POST ${path}`))).toEqual(['chat echo']);
});

it('a trace that is none is ignored', async () => {
  const spans = collectSpans();
  const { post } = await openGateway({ demo: { model: 'scripted/echo' } });
  for (const bad of ['nonsense', `ff-${traceId}-00f067aa0ba902b7-01`, `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`]) {
    expect((await post(path, { model: 'demo', messages }, { traceparent: bad })).status).toBe(200);
  }
  await until(() => spans.all().length === 9);
  for (const { kind, parentSpanContext } of spans.all()) {
    if (kind === SpanKind.SERVER) expect(parentSpanContext).toBeUndefined();
  }
});

it('a caller that leaves and a request that is refused have spans too', async () => {
  const spans = collectSpans();
  const { url, post, runtime } = await openGateway({ demo: { model: 'scripted/slow', delay_ms: 60_000 } });
  const { request } = openRequest(url + path, { model: 'demo', messages });
  await until(() => runtime.models.get('demo')?.state.running === 1);
  request.destroy();
  expect((await post(path, { model: 'nobody', messages })).status).toBe(404);
  await until(() => spans.all().filter(({ kind }) => kind === SpanKind.SERVER).length === 2);
  const ends = spans.all().filter(({ kind }) => kind === SpanKind.SERVER);
  expect(
    ends.map(({ attributes }) => attributes['error.type'] ?? attributes['http.response.status_code']).sort(),
  ).toEqual([404, 'cancelled']);
  await until(() => spans.all().some(({ name }) => name === 'chat slow'));
  expect(spans.named('chat slow').attributes['error.type']).toBe('cancelled');
});

it('a call to an iModel of another process has one span of the model, on its host', async () => {
  const spans = collectSpans();
  const bus = createMemoryBus();
  const elsewhere = new iModel({ id: 'far', model: 'scripted/echo' });
  elsewhere.serve(bus);
  const { post } = await openGateway({ demo: { model: 'scripted/echo' } }, {}, { bus });
  expect((await post(path, { model: 'far', messages }, { traceparent })).status).toBe(200);
  await until(() => spans.all().some(({ kind }) => kind === SpanKind.SERVER));
  expect(spans.below(spans.named(`POST ${path}`))).toEqual(['invoke far']);
  expect(spans.below(spans.named('invoke far'))).toEqual(['chat echo']);
  await elsewhere.close();
});

it('without a tracer the events of a call name the trace of its caller', async () => {
  const { post, runtime } = await openGateway({ demo: { model: 'scripted/echo' } });
  const heard: unknown[] = [];
  runtime.models.get('demo')?.observe((event) => heard.push(event.traceparent));
  await post(path, { model: 'demo', messages }, { traceparent });
  await post(path, { model: 'demo', messages }, { traceparent: 'nonsense' });
  expect(new Set(heard)).toEqual(new Set([traceparent, undefined]));
});
