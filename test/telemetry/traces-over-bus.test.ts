import { fileURLToPath } from 'node:url';
import { SpanKind, trace } from '@opentelemetry/api';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import type { Bus } from '../../src/bus/bus.ts';
import { createMemoryBus } from '../../src/bus/memory.ts';
import { iModel } from '../../src/imodel.ts';
import { createEndpoint } from '../../src/providers/create.ts';
import { connect } from '../../src/runtime/remote/remote-model.ts';
import { serveEndpoint } from '../../src/runtime/serving/serve-endpoint.ts';
import { startNode } from '../cli/program.ts';
import { openUpstream } from '../gateway/open-gateway.ts';
import { connectTestBus, uniqueId } from '../integration/connect-test-bus.ts';
import { collectSpans } from './collect-spans.ts';

const prompt = { messages: [{ role: 'user', content: 'hello' }] };

function keep<T extends { close(): unknown }>(thing: T): T {
  onTestFinished(async () => void (await thing.close()));
  return thing;
}

/** Runs something in a span of the application's own. */
async function asApplication<T>(run: () => Promise<T>): Promise<T> {
  return trace.getTracer('application').startActiveSpan('application', async (span) => {
    try {
      return await run();
    } finally {
      span.end();
    }
  });
}

const buses: [string, () => Bus | Promise<Bus>][] = [
  ['memory', () => createMemoryBus()],
  ['NATS', () => connectTestBus()],
];

describe.each(buses)('a trace over %s', (_name, open) => {
  it('goes from the caller over the request to the call and its attempt', async () => {
    const spans = collectSpans();
    const bus = keep(await open());
    const id = uniqueId();
    const model = keep(new iModel({ id, model: 'scripted/echo' }));
    model.serve(bus);
    await bus.flush();
    const remote = connect(bus).model(id);
    await asApplication(async () => {
      await remote.invoke(prompt);
      for await (const _chunk of remote.stream(prompt)) void _chunk;
    });
    const top = spans.named('application');
    expect(spans.below(top)).toEqual([`invoke ${id}`, `stream ${id}`]);
    for (const name of [`invoke ${id}`, `stream ${id}`]) {
      const request = spans.named(name);
      expect(request.kind).toBe(SpanKind.CLIENT);
      expect(spans.below(request)).toEqual(['chat echo']);
    }
    for (const span of spans.all()) expect(span.spanContext().traceId).toBe(top.spanContext().traceId);
  });

  it('is none that happens to be active where a call without one is heard', async () => {
    const spans = collectSpans();
    const id = uniqueId();
    const model = keep(new iModel({ id, model: 'scripted/echo' }));
    const caller = keep(await open());
    await asApplication(async () => {
      const host = caller.maxPayloadBytes === Number.POSITIVE_INFINITY ? caller : keep(await open());
      model.serve(host);
      await host.flush();
    });
    await caller.request(`imodel.${id}.invoke`, prompt, { timeoutMs: 5_000 });
    expect(spans.named('chat echo').parentSpanContext).toBeUndefined();
  });

  it('tells of a call that failed or that nobody took', async () => {
    const spans = collectSpans();
    const bus = keep(await open());
    const id = uniqueId();
    const model = keep(new iModel({ id, model: 'scripted/echo', failures: ['rejected'], retry: null }));
    model.serve(bus);
    await bus.flush();
    await connect(bus).model(id).invoke(prompt);
    expect(spans.named(`invoke ${id}`).attributes).toMatchObject({ 'imodel.id': id, 'error.type': 'rejected' });
    await expect(connect(bus).model('nobody').invoke(prompt)).rejects.toMatchObject({ code: 'no_responder' });
    expect(spans.named('invoke nobody').attributes).toMatchObject({ 'error.type': 'no_responder' });
  });

  it('goes on where an endpoint of another process makes the attempt', async () => {
    const spans = collectSpans();
    const bus = keep(await open());
    const name = uniqueId();
    const upstream = await openUpstream((_request, reply) =>
      reply.json({ choices: [{ index: 0, message: { role: 'assistant', content: 'yes' }, finish_reason: 'stop' }] }),
    );
    const options = { provider: 'openai', model: 'gpt-4.1-mini', apiKey: 'sk-upstream', baseUrl: `${upstream.url}/v1` };
    const endpoint = keep(createEndpoint({ ...options, traceVendor: true }));
    keep(serveEndpoint(endpoint, name, bus));
    await bus.flush();
    const model = keep(new iModel({ model: 'openai/gpt-4.1-mini', endpoint: 'remote', endpointName: name, bus }));
    expect((await model.invoke(prompt)).text).toBe('yes');
    const call = spans.named('chat gpt-4.1-mini');
    expect(spans.below(call)).toEqual(['attempt']);
    expect(spans.below(spans.named('attempt'))).toEqual(['POST']);
    const { traceId, spanId } = spans.named('POST').spanContext();
    expect(upstream.requests[0]?.headers.traceparent).toBe(`00-${traceId}-${spanId}-01`);
  });
});

interface SpanLine {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId?: string;
}

it('one trace holds the spans of two processes with a NATS server between them', async () => {
  const spans = collectSpans();
  const upstream = await openUpstream((_request, reply) => reply.json({ choices: [] }));
  const [servers, id] = [inject('natsUrl'), uniqueId()];
  const program = fileURLToPath(new URL('traced-host.mjs', import.meta.url));
  const host = startNode([program, servers, id, `${upstream.url}/v1`]);
  await host.until(/ready/);
  const bus = keep(await connectTestBus());
  const own = keep(new iModel({ provider: 'openai', endpoint: 'remote', endpointName: `${id}-endpoint`, bus }));
  await asApplication(async () => {
    await connect(bus).model(id).invoke(prompt);
    await own.invoke(prompt);
  });
  await host.until(/"name":"chat echo"[\s\S]*"name":"POST"/);
  host.child.kill();
  const theirs = host
    .stdout()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line): SpanLine => JSON.parse(line));
  const { traceId } = spans.named('application').spanContext();
  for (const span of theirs) expect(span.traceId).toBe(traceId);
  const of = (name: string) => theirs.find((span) => span.name === name);
  expect(of('chat echo')?.parentId).toBe(spans.named(`invoke ${id}`).spanContext().spanId);
  expect(of('POST')?.parentId).toBe(spans.named('attempt').spanContext().spanId);
});
