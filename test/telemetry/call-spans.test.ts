import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { HookRegistry } from '../../src/hooks/registry.ts';
import { iModel } from '../../src/imodel.ts';
import type { IModelOptions } from '../../src/imodel-options.ts';
import { parseConfig } from '../../src/runtime/load-config.ts';
import type { UpstreamHandler } from '../../src/testing/upstream.ts';
import { chatModel, openUpstream } from '../gateway/open-gateway.ts';
import { collectSpans } from './collect-spans.ts';

const secret = 'a prompt that nobody may read';
const hello = { messages: [{ role: 'user', content: secret }], temperature: 0.5, max_tokens: 20, stop: 'END' };
const usage = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10, prompt_tokens_details: { cached_tokens: 2 } };
const reply = {
  id: 'chatcmpl-1',
  model: 'gpt-4.1-mini-2025-04-14',
  choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'an answer of its own' } }],
  usage,
};
const answers: UpstreamHandler = (_request, answer) => answer.json(reply);

/** An iModel that speaks to an upstream, gone when the test is over. */
async function open(handler: UpstreamHandler, options: Readonly<Record<string, unknown>> = {}) {
  const upstream = await openUpstream(handler);
  return { upstream, model: keep(chatModel(upstream, { id: 'gpt', ...options })) };
}

function keep(options: IModelOptions): iModel {
  const model = new iModel(options);
  onTestFinished(() => model.close());
  return model;
}

describe('the span of a call', () => {
  it('has the name, kind and attributes of the GenAI conventions, and one HTTP span for its attempt', async () => {
    const spans = collectSpans();
    const { model, upstream } = await open(answers);
    const call = await model.invoke(hello, { caller: 'tests' });
    const span = spans.named('chat gpt-4.1-mini');
    expect(span.kind).toBe(SpanKind.CLIENT);
    expect(span.status.code).toBe(SpanStatusCode.UNSET);
    expect(span.instrumentationScope.name).toBe('imodel');
    expect(span.attributes).toEqual({
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': 'gpt-4.1-mini',
      'gen_ai.request.temperature': 0.5,
      'gen_ai.request.max_tokens': 20,
      'gen_ai.request.stop_sequences': ['END'],
      'gen_ai.response.id': 'chatcmpl-1',
      'gen_ai.response.model': 'gpt-4.1-mini-2025-04-14',
      'gen_ai.response.finish_reasons': ['stop'],
      'gen_ai.usage.input_tokens': 7,
      'gen_ai.usage.output_tokens': 3,
      'gen_ai.usage.cache_read.input_tokens': 2,
      'server.address': '127.0.0.1',
      'server.port': upstream.port,
      'imodel.id': 'gpt',
      'imodel.call.id': call.id,
      'imodel.caller': 'tests',
      'imodel.status': 'completed',
      'imodel.attempts': 1,
    });
    expect(spans.below(span)).toEqual(['POST']);
    const attempt = spans.named('POST');
    expect(attempt.kind).toBe(SpanKind.CLIENT);
    expect(attempt.attributes).toEqual({
      'http.request.method': 'POST',
      'http.response.status_code': 200,
      'url.full': `${upstream.url}/v1/chat/completions`,
      'server.address': '127.0.0.1',
      'server.port': upstream.port,
      'imodel.attempt': 1,
    });
  });

  it('tells of several answers, and of what each protocol keeps in objects of its own', async () => {
    const spans = collectSpans();
    const choices = ['stop', 'length'].map((end, index) => ({ ...reply.choices[0], index, finish_reason: end }));
    const { model } = await open((_request, answer) => answer.json({ ...reply, choices }));
    await model.invoke({ ...hello, n: 2, reasoning_effort: 'low' });
    expect(spans.named('chat gpt-4.1-mini').attributes).toMatchObject({
      'gen_ai.request.choice.count': 2,
      'gen_ai.request.reasoning.level': 'low',
      'gen_ai.response.finish_reasons': ['stop', 'length'],
    });
    const output = [{ type: 'message', content: [{ type: 'output_text', text: '{}' }] }];
    const responses: UpstreamHandler = (_request, answer) => answer.json({ id: 'r', status: 'completed', output });
    const { model: other } = await open(responses, { endpoint: 'responses', model: 'gpt-5.1' });
    const format = { type: 'json_schema', name: 'a', schema: { type: 'object' } };
    await other.invoke({ input: secret, reasoning: { effort: 'high' }, text: { format } });
    expect(spans.named('chat gpt-5.1').attributes).toMatchObject({
      'gen_ai.request.reasoning.level': 'high',
      'gen_ai.output.type': 'json',
      'gen_ai.response.finish_reasons': ['stop'],
    });
  });

  it('holds no word of prompt and answer, and no key, unless that is switched on', async () => {
    const spans = collectSpans();
    const { model, upstream } = await open(answers);
    await model.invoke(hello);
    upstream.handle((_request, answer) => answer.json({ error: { message: `You said: ${secret}` } }, 400));
    await model.invoke(hello);
    const written = JSON.stringify(
      spans.all().map(({ name, attributes, events, status }) => [name, attributes, events, status]),
    );
    for (const word of [secret, 'an answer of its own', 'sk-upstream']) expect(written).not.toContain(word);
  });

  it.each([
    ['its option', { traceContent: true }, undefined],
    ['the environment', {}, 'true'],
    ['a value of later conventions', {}, 'SPAN_AND_EVENT'],
  ])('holds both once %s says so', async (_who, options, variable) => {
    if (variable !== undefined) vi.stubEnv('OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT', variable);
    onTestFinished(() => void vi.unstubAllEnvs());
    const spans = collectSpans();
    const { model } = await open(answers, options);
    await model.invoke(hello);
    const { attributes } = spans.named('chat gpt-4.1-mini');
    expect(JSON.parse(String(attributes['gen_ai.input.messages']))).toEqual([
      { role: 'user', parts: [{ type: 'text', content: secret }] },
    ]);
    expect(JSON.parse(String(attributes['gen_ai.output.messages']))).toEqual([
      { role: 'assistant', parts: [{ type: 'text', content: 'an answer of its own' }], finish_reason: 'stop' },
    ]);
  });

  it('says no to what the environment asks for where the option says no', async () => {
    vi.stubEnv('OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT', 'true');
    onTestFinished(() => void vi.unstubAllEnvs());
    const spans = collectSpans();
    const { model } = await open(answers, { traceContent: false });
    await model.invoke(hello);
    expect(spans.named('chat gpt-4.1-mini').attributes).not.toHaveProperty('gen_ai.input.messages');
  });

  it('tells of a stream when its first token came', async () => {
    const spans = collectSpans();
    const model = keep({ model: 'scripted/story', text: 'one two three', chunks: 3 });
    for await (const _chunk of model.stream({ messages: hello.messages })) void _chunk;
    const span = spans.named('chat story');
    expect(span.attributes).toMatchObject({ 'gen_ai.request.stream': true, 'imodel.status': 'completed' });
    expect(span.attributes['gen_ai.response.time_to_first_chunk']).toBeGreaterThanOrEqual(0);
    expect(span.events.map(({ name }) => name)).toEqual(['first_token']);
    expect(spans.below(span)).toEqual(['attempt']);
  });

  it('has a child for the wait in the queue, with its reason', async () => {
    const spans = collectSpans();
    const model = keep({ model: 'scripted/slow', delay_ms: 20, concurrencyLimit: 1 });
    await Promise.all([model.invoke({ prompt: 'one' }), model.invoke({ prompt: 'two' })]);
    model.pause();
    const paused = model.invoke({ prompt: 'three' });
    model.resume();
    await paused;
    const waits = spans.all().filter(({ name }) => name === 'queue');
    expect(waits.map(({ attributes }) => attributes['imodel.wait.reason'])).toEqual(['concurrency', 'paused']);
    const calls = spans.all().filter(({ name }) => name === 'chat slow');
    expect(calls.map(spans.below)).toEqual([['attempt'], ['queue', 'attempt'], ['queue', 'attempt']]);
  });

  it('has one child for each attempt, and says why it was made again', async () => {
    const spans = collectSpans();
    let asked = 0;
    const { model } = await open(
      (_request, answer) => {
        asked += 1;
        if (asked === 1) answer.json({ error: { message: 'busy' } }, 503);
        else answer.json(reply);
      },
      { retry: { maxRetries: 2, baseDelay: 0.001, jitter: false } },
    );
    await model.invoke(hello);
    const span = spans.named('chat gpt-4.1-mini');
    const attempts = spans.all().filter(({ name }) => name === 'POST');
    expect(attempts.map(({ attributes }) => attributes)).toMatchObject([
      { 'imodel.attempt': 1, 'http.response.status_code': 503, 'error.type': '503' },
      { 'imodel.attempt': 2, 'http.response.status_code': 200, 'http.request.resend_count': 1 },
    ]);
    expect(attempts.map(({ status }) => status.code)).toEqual([SpanStatusCode.ERROR, SpanStatusCode.UNSET]);
    expect(span.events).toMatchObject([{ name: 'retry', attributes: { 'error.type': 'overloaded' } }]);
    expect(span.attributes).toMatchObject({ 'imodel.attempts': 2, 'imodel.status': 'completed' });
    expect(span.status.code).toBe(SpanStatusCode.UNSET);
  });

  it('has no attempt where the cache answers', async () => {
    const spans = collectSpans();
    const { model } = await open(answers, { cache: { ttl: 60 } });
    for (let call = 0; call < 2; call += 1) await model.invoke({ ...hello, temperature: 0 });
    expect(spans.all().map(({ name }) => name)).toEqual(['POST', 'chat gpt-4.1-mini', 'chat gpt-4.1-mini']);
  });

  it('fails with the code of its failure', async () => {
    const spans = collectSpans();
    const { model } = await open((_request, answer) => answer.json({ error: { message: 'no' } }, 401), { retry: null });
    await model.invoke(hello);
    const span = spans.named('chat gpt-4.1-mini');
    expect(span.status).toEqual({ code: SpanStatusCode.ERROR, message: 'unauthorized' });
    expect(span.attributes).toMatchObject({
      'error.type': 'unauthorized',
      'imodel.status': 'failed',
      'gen_ai.response.finish_reasons': ['error'],
    });
    expect(spans.named('POST').attributes).toMatchObject({ 'http.response.status_code': 401, 'error.type': '401' });
  });

  it('ends when the call is cancelled: while it waits, and while its request is on the way', async () => {
    const spans = collectSpans();
    const { model, upstream } = await open(() => {}, { concurrencyLimit: 1 });
    const [running, waiting] = [new AbortController(), new AbortController()];
    const calls = [running, waiting].map(({ signal }) => model.invoke(hello, { signal }).catch(() => {}));
    await upstream.request(0);
    waiting.abort();
    running.abort();
    await Promise.all(calls);
    const found = spans.all().filter(({ name }) => name === 'chat gpt-4.1-mini');
    expect(found.map(({ attributes }) => attributes['error.type'])).toEqual(['cancelled', 'cancelled']);
    expect(found.map(spans.below)).toEqual([['queue'], ['POST']]);
    expect(spans.named('POST').attributes['error.type']).toBe('cancelled');
  });

  it('ends also for a call that a closed iModel refuses', async () => {
    const spans = collectSpans();
    const model = new iModel({ model: 'scripted/echo' });
    await model.close();
    await expect(model.invoke({ prompt: 'late' })).rejects.toMatchObject({ code: 'closed' });
    expect(spans.named('chat echo').attributes).toMatchObject({ 'error.type': 'closed', 'imodel.attempts': 0 });
  });

  it('has the span of the model that stands in as its child', async () => {
    const spans = collectSpans();
    const { model } = await open((_request, answer) => answer.json({}, 503), {
      retry: null,
      fallbacks: ['scripted/spare'],
    });
    expect((await model.invoke({ messages: hello.messages })).status).toBe('completed');
    const span = spans.named('chat gpt-4.1-mini');
    expect(spans.below(span)).toEqual(['POST', 'chat spare']);
    expect(span.events.map(({ name }) => name)).toEqual(['fallback']);
    expect(spans.below(spans.named('chat spare'))).toEqual(['attempt']);
  });

  it('has a child for each hook, and what a hook begins is below it too', async () => {
    const spans = collectSpans();
    const tracer = trace.getTracer('application');
    const registry = new HookRegistry({
      hooks: {
        pre_invocation: () => void tracer.startSpan('looked up').end(),
        post_invocation: () => {
          throw new Error('broken');
        },
      },
    });
    const model = keep({ model: 'scripted/echo', hookRegistry: registry });
    await model.invoke({ prompt: 'hello' });
    const span = spans.named('chat echo');
    expect(spans.below(span).sort()).toEqual(['attempt', 'hook post_invocation', 'hook pre_invocation', 'looked up']);
    const hook = spans.named('hook post_invocation');
    expect(hook.attributes).toMatchObject({ 'imodel.hook.status': 'aborted', 'error.type': 'vetoed' });
    expect(hook.status.code).toBe(SpanStatusCode.ERROR);
  });

  it('is a child of the span in which it was called, also where another call lets it start', async () => {
    const spans = collectSpans();
    const tracer = trace.getTracer('application');
    const model = keep({ model: 'scripted/slow', delay_ms: 5, concurrencyLimit: 1 });
    const ask = (name: string) =>
      tracer.startActiveSpan(name, async (span) => {
        await model.invoke({ prompt: name });
        span.end();
      });
    await Promise.all([ask('first'), ask('second')]);
    expect(spans.below(spans.named('first'))).toEqual(['chat slow']);
    expect(spans.below(spans.named('second'))).toEqual(['chat slow']);
    for (const attempt of spans.all().filter(({ name }) => name === 'attempt')) {
      const parent = spans.all().find((span) => span.spanContext().spanId === attempt.parentSpanContext?.spanId);
      expect(parent?.name).toBe('chat slow');
      expect(parent?.spanContext().traceId).toBe(attempt.spanContext().traceId);
    }
  });

  it('goes on with the trace that the caller names, its state included', async () => {
    const spans = collectSpans();
    const model = keep({ model: 'scripted/echo' });
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    await model.invoke({ prompt: 'hello' }, { traceparent, tracestate: 'vendor=1' });
    const span = spans.named('chat echo');
    expect(span.spanContext().traceId).toBe('4bf92f3577b34da6a3ce929d0e0e4736');
    expect(span.parentSpanContext?.spanId).toBe('00f067aa0ba902b7');
    expect(span.spanContext().traceState?.serialize()).toBe('vendor=1');
  });

  it('names itself to the vendor only where that is switched on', async () => {
    const spans = collectSpans();
    const [silent, telling] = [await open(answers), await open(answers, { traceVendor: true })];
    await silent.model.invoke(hello);
    expect(silent.upstream.requests[0]?.headers).not.toHaveProperty('traceparent');
    await telling.model.invoke(hello);
    const attempt = spans
      .all()
      .filter(({ name }) => name === 'POST')[1]
      ?.spanContext();
    expect(telling.upstream.requests[0]?.headers.traceparent).toBe(`00-${attempt?.traceId}-${attempt?.spanId}-01`);
  });

  it('is told of content and vendor by files and dicts too', async () => {
    const { models } = await parseConfig(
      'models: { gpt: { model: openai/gpt-4.1-mini, trace_content: true, trace_vendor: true } }',
      'models.yaml',
    );
    const model = keep({ ...models.gpt, apiKey: 'sk-upstream' });
    const dict = model.toDict();
    expect(dict.options).toEqual({ trace_content: true, trace_vendor: true });
    const read = iModel.fromDict(dict);
    onTestFinished(() => read.close());
    expect([read.toDict().options, read.live.recordsContent]).toEqual([dict.options, true]);
  });

  it('costs an application without a tracer nothing: the trace it names is passed on as it is', async () => {
    const { model, upstream } = await open(answers, { traceVendor: true });
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const call = await model.invoke(hello, { traceparent });
    expect(call.span).toBeNull();
    expect(upstream.requests[0]?.headers.traceparent).toBe(traceparent);
  });
});

describe('a tracer that fails', () => {
  const boom = () => {
    throw new Error('broken telemetry');
  };
  it.each([
    ['when a span begins', { onStart: boom, onEnd: () => {} }],
    ['when a span ends', { onStart: () => {}, onEnd: boom }],
  ])('%s harms no call', async (_when, processor) => {
    collectSpans({ ...processor, forceFlush: async () => {}, shutdown: async () => {} });
    const model = keep({ model: 'scripted/echo', failures: ['unavailable'], retry: { baseDelay: 0.001 } });
    expect((await model.invoke({ prompt: 'hello' })).status).toBe('completed');
    const read: unknown[] = [];
    for await (const chunk of model.stream({ prompt: 'hello' })) read.push(chunk.type);
    expect(read).toContain('result');
  });

  it('altogether harms no call', async () => {
    trace.setGlobalTracerProvider({ getTracer: boom });
    onTestFinished(() => trace.disable());
    const model = keep({ model: 'scripted/echo' });
    expect((await model.invoke({ prompt: 'hello' })).status).toBe('completed');
  });

  it('half way harms no call', async () => {
    const span = { spanContext: () => ({ traceId: '1'.repeat(32), spanId: '2'.repeat(16), traceFlags: 1 }) };
    trace.setGlobalTracerProvider({ getTracer: () => ({ startSpan: () => span, startActiveSpan: boom }) as never });
    onTestFinished(() => trace.disable());
    const model = keep({ model: 'scripted/echo' });
    expect((await model.invoke({ prompt: 'hello' })).status).toBe('completed');
  });
});
