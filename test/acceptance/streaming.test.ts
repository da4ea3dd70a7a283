import { describe, expect, it } from 'vitest';
import { type Chunk, iModel } from '../../src/index.ts';
import { startUpstream, type Upstream, type UpstreamHandler } from '../../src/testing/upstream.ts';
import { readAll, rejection, textOf, timedModel } from './timed-endpoint.ts';

const messages = [{ role: 'user', content: 'hello' }];

/** An iModel on a loopback host that speaks OpenAI's protocol. */
function loopbackModel(upstream: Upstream, options: Record<string, unknown> = {}): iModel {
  return new iModel({ provider: 'local', baseUrl: upstream.url, model: 'm', retry: null, ...options });
}

const textEvent = (content: string) => ({ id: 'c', model: 'm', choices: [{ index: 0, delta: { content } }] });
const stopEvent = { id: 'c', choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] };
const usageEvent = { id: 'c', choices: [], usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 } };

/** Answers with one complete stream. */
const answerWith =
  (...texts: string[]): UpstreamHandler =>
  async (_request, reply) => {
    await reply.events([...texts.map(textEvent), stopEvent, usageEvent, '[DONE]']);
    reply.end();
  };

describe('streaming', () => {
  it('59. given three chunks, then they arrive in order, status completed, duration set; a second stream is a conflict, and no request', async () => {
    const { model, endpoint, clock } = timedModel();
    const stream = model.stream({ chunks: ['a', 'b', 'c'], takesMs: 100 });
    const reading = readAll(stream);
    await clock.advance(300);
    const { chunks, error } = await reading;
    expect(error).toBeNull();
    expect(chunks.map(({ type, content }) => [type, content])).toEqual([
      ['text', 'a'],
      ['text', 'b'],
      ['text', 'c'],
      ['result', undefined],
    ]);
    expect(stream.call).toMatchObject({ status: 'completed', duration: 0.3, text: 'abc' });
    expect(stream.call.timing.firstChunkAt).toBe(100);
    expect(await stream.next()).toEqual({ value: undefined, done: true });
    expect(() => model.stream(stream.call)).toThrow(expect.objectContaining({ code: 'conflict' }));
    expect(endpoint.starts).toHaveLength(1);
  });

  it('60. given `for await (const c of await model.stream(...))` and without the inner await, then both work', async () => {
    const { model } = timedModel();
    const texts: string[] = [];
    for await (const chunk of await model.stream({ chunks: ['with'] })) texts.push(chunk.content ?? '');
    for await (const chunk of model.stream({ chunks: ['without'] })) texts.push(chunk.content ?? '');
    expect(texts).toEqual(['with', '', 'without', '']);
  });

  it('60. given two reads at the same time, then each gets a chunk of its own', async () => {
    const { model, clock } = timedModel();
    const stream = model.stream({ chunks: ['a', 'b'], takesMs: 100 });
    const reads = [stream.next(), stream.next(), stream.next(), stream.next()];
    await clock.advance(200);
    const results = await Promise.all(reads);
    expect(results.map(({ value, done }) => [value?.content ?? value?.type, done])).toEqual([
      ['a', false],
      ['b', false],
      ['result', false],
      [undefined, true],
    ]);
  });

  it('61. given limit_requests=1 per 30 s, then the second stream does not start before 30', async () => {
    const { model, endpoint, clock } = timedModel({ limitRequests: 1, interval: 30 });
    const both = [model.stream({ chunks: ['a'] }), model.stream({ chunks: ['b'] })].map(readAll);
    await clock.advance(29_999);
    expect(endpoint.startSeconds).toEqual([0]);
    await clock.advance(1);
    expect((await Promise.all(both)).map(({ chunks }) => textOf(chunks))).toEqual(['a', 'b']);
    expect(endpoint.startSeconds).toEqual([0, 30]);
  });

  it('62. given a stream finished, when invoke follows, then it completes and exactly one request was made for it', async () => {
    await using upstream = await startUpstream(answerWith('hi'));
    await using model = loopbackModel(upstream);
    const stream = model.stream({ messages });
    expect(textOf((await readAll(stream)).chunks)).toBe('hi');
    upstream.handle((_request, reply) => reply.json({ choices: [{ message: { content: 'one' } }] }));
    expect(await model.invoke({ messages })).toMatchObject({ status: 'completed', text: 'one' });
    expect(stream.call.status).toBe('completed');
    expect(upstream.requests.map((request) => request.json().stream)).toEqual([true, undefined]);
    expect(upstream.accepted).toBe(1);
  });

  it("63. given a stream in progress, when invoke runs, then the stream's request count stays 1", async () => {
    const { model, endpoint, clock } = timedModel();
    const reading = readAll(model.stream({ name: 'stream', chunks: ['a', 'b'], takesMs: 1_000 }));
    await clock.advance(1_000);
    expect(await model.invoke({ name: 'invoke' })).toMatchObject({ status: 'completed' });
    expect(endpoint.running).toBe(1);
    await clock.advance(1_000);
    expect(textOf((await reading).chunks)).toBe('ab');
    expect(endpoint.names).toEqual(['stream', 'invoke']);
  });

  it('64. given HTTP 401 on open, then the iterator throws with status 401, zero chunks, call failed', async () => {
    await using upstream = await startUpstream((_request, reply) =>
      reply.json({ error: { message: 'Incorrect API key provided', type: 'invalid_request_error' } }, 401),
    );
    await using model = loopbackModel(upstream, { apiKey: 'sk-wrong-key' });
    const stream = model.stream({ messages });
    const { chunks, error } = await readAll(stream);
    expect(chunks).toEqual([]);
    expect(error).toMatchObject({
      failure: { code: 'unauthorized', status: 401, retryable: false },
      call: stream.call,
    });
    expect(stream.call).toMatchObject({ status: 'failed', error });
    expect(upstream.requests).toHaveLength(1);
  });

  it('65. given a drop after one chunk, then that chunk, then a throw; no replay', async () => {
    await using upstream = await startUpstream(async (_request, reply) => {
      await reply.events([textEvent('one')]);
      reply.cut();
    });
    await using model = loopbackModel(upstream, { retry: {} });
    const stream = model.stream({ messages });
    const { chunks, error } = await readAll(stream);
    expect(textOf(chunks)).toBe('one');
    expect(error).toMatchObject({ code: 'unavailable', retryable: true, call: stream.call });
    expect(stream.call).toMatchObject({ status: 'failed', text: 'one' });
    expect(upstream.requests).toHaveLength(1);
  });

  it('66. given `break` after one chunk with concurrency 1, then the next call starts at once; call cancelled; socket closed', async () => {
    await using upstream = await startUpstream(async (request, reply) => {
      if (request.json().stream === true) await reply.events([textEvent('one')]);
      else reply.json({ choices: [] });
    });
    await using model = loopbackModel(upstream, { concurrencyLimit: 1 });
    const stream = model.stream({ messages });
    const next = model.invoke({ messages });
    for await (const { type } of stream) {
      if (type === 'text') break;
    }
    expect(model.state.queue.waiting).toBe(0);
    expect(stream.call).toMatchObject({ status: 'cancelled', failure: { code: 'cancelled' } });
    expect(await next).toMatchObject({ status: 'completed' });
    await (await upstream.request(0)).closed;
    expect(upstream.connections).toBe(1);
  });

  it('66. given a reader that leaves, then its slot is free in the same instant', async () => {
    const { model, endpoint, clock } = timedModel({ concurrencyLimit: 1 });
    const stream = model.stream({ name: 'left', chunks: ['a', 'b'], takesMs: 1_000 });
    const next = model.invoke({ name: 'next' });
    const first = stream.next();
    await clock.advance(1_000);
    expect(await first).toMatchObject({ value: { content: 'a' } });
    await stream.return();
    expect(await next).toMatchObject({ status: 'completed', timing: { startedAt: 1_000 } });
    expect(endpoint.startSeconds).toEqual([0, 1]);
    expect(stream.call.status).toBe('cancelled');
    expect(clock.timers).toBe(0);
  });

  it("67. given a 503 before the first byte then success, then the consumer sees only the second attempt's chunks", async () => {
    await using upstream = await startUpstream((_request, reply) => {
      upstream.handle(answerWith('second'));
      reply.json({ error: { message: 'overloaded' } }, 503);
    });
    await using model = loopbackModel(upstream, { retry: { baseDelay: 0.01 } });
    const stream = model.stream({ messages });
    const { chunks, error } = await readAll(stream);
    expect(error).toBeNull();
    expect(textOf(chunks)).toBe('second');
    expect(chunks.map(({ type }) => type)).toEqual(['system', 'text', 'result']);
    expect(stream.call).toMatchObject({ status: 'completed', attempts: 2 });
    expect(upstream.requests).toHaveLength(2);
  });

  it('68. given a finished stream, then response holds the joined text and usage', async () => {
    await using upstream = await startUpstream(answerWith('Hel', 'lo'));
    await using model = loopbackModel(upstream);
    const stream = model.stream({ messages });
    await readAll(stream);
    expect(stream.call.response).toMatchObject({
      choices: [{ message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 },
    });
    expect(stream.call).toMatchObject({
      status: 'completed',
      text: 'Hello',
      finishReason: 'stop',
      usage: { inputTokens: 3, outputTokens: 4, totalTokens: 7 },
    });
  });

  it('69. given a usage-only event, then a result chunk with usage', async () => {
    await using upstream = await startUpstream(answerWith('a'));
    await using model = loopbackModel(upstream);
    const { chunks } = await readAll(model.stream({ messages }));
    expect(chunks.map(({ type }) => type)).toEqual(['system', 'text', 'result']);
    expect(chunks.at(-1)?.metadata).toMatchObject({ usage: { totalTokens: 7 }, finishReason: 'stop' });
  });

  it('69. given an SSE error object, then an error chunk, then a throw', async () => {
    await using upstream = await startUpstream(async (_request, reply) => {
      await reply.events([textEvent('a'), { error: { message: 'it broke', type: 'server_error', code: '500' } }]);
      reply.end();
    });
    await using model = loopbackModel(upstream);
    const stream = model.stream({ messages });
    const { chunks, error } = await readAll(stream);
    expect(chunks.map(({ type, content }) => [type, content])).toEqual([
      ['system', undefined],
      ['text', 'a'],
      ['error', expect.stringContaining('it broke')],
    ]);
    expect(error).toMatchObject({ message: expect.stringContaining('it broke'), call: { status: 'failed' } });
    expect(error).toBe(stream.call.error);
  });

  it('70. given five streams and concurrency 2, then never more than two at once, all finish', async () => {
    const { model, endpoint, clock } = timedModel({ concurrencyLimit: 2 });
    const streams = Array.from({ length: 5 }, (_, n) => model.stream({ chunks: [String(n), '.'], takesMs: 500 }));
    const readings = streams.map(readAll);
    await clock.advance(3_000);
    const texts = (await Promise.all(readings)).map(({ chunks }) => textOf(chunks));
    expect(texts).toEqual(['0.', '1.', '2.', '3.', '4.']);
    expect(streams.map(({ call }) => call.status)).toEqual(Array(5).fill('completed'));
    expect(endpoint.mostRunning).toBe(2);
    expect(endpoint.startSeconds).toEqual([0, 0, 1, 1, 2]);
    expect(clock.timers).toBe(0);
  });

  it('71. given a stream-marked call passed to invoke, then chunks are aggregated', async () => {
    await using upstream = await startUpstream(answerWith('to', 'gether'));
    await using model = loopbackModel(upstream);
    const call = model.createApiCalling({ messages, stream: true });
    expect(await model.invoke(call)).toBe(call);
    expect(call).toMatchObject({ status: 'completed', text: 'together', usage: { totalTokens: 7 } });
    expect(call.response).toMatchObject({
      choices: [{ message: { content: 'together' } }],
      usage: { total_tokens: 7 },
    });
    expect(upstream.requests.map((request) => request.json().stream)).toEqual([true]);
  });
});

describe('backpressure and the chunks of a stream', () => {
  it('70. given a reader that pauses, then the upstream is held back, and nothing is lost', async () => {
    // Far more than the sockets and the buffer can hold.
    const texts = Array.from({ length: 20_000 }, (_, n) => `${n} ${'x'.repeat(200)} `);
    let written = 0;
    await using upstream = await startUpstream(async (_request, reply) => {
      reply.open();
      for (const text of texts) {
        if (reply.raw.destroyed) return;
        const took = reply.raw.write(`data: ${JSON.stringify(textEvent(text))}\n\n`);
        written += 1;
        if (!took) await new Promise((resolve) => reply.raw.once('drain', resolve));
      }
      await reply.events([stopEvent, '[DONE]']);
      reply.end();
    });
    await using model = loopbackModel(upstream);
    const stream = model.stream({ messages });
    const first: (Chunk | undefined)[] = [(await stream.next()).value, (await stream.next()).value];
    await standstill(() => written);
    expect(written).toBeLessThan(texts.length);
    const { chunks } = await readAll(stream);
    expect(textOf([...first.filter((chunk) => chunk !== undefined), ...chunks])).toBe(texts.join(''));
  });

  it('59. given a streaming function, then its result takes the place of a chunk, and what it throws fails the call', async () => {
    const upper = timedModel({
      streamingProcessFunc: ({ content, ...chunk }: Chunk) =>
        typeof content === 'string' ? { ...chunk, content: content.toUpperCase() } : null,
    });
    expect(textOf((await readAll(upper.model.stream({ chunks: ['a', 'b'] }))).chunks)).toBe('AB');

    const cause = new Error('cannot read this');
    const broken = timedModel({
      streamingProcessFunc: () => {
        throw cause;
      },
    });
    const stream = broken.model.stream({ chunks: ['a', 'b'], takesMs: 1_000 });
    const reading = readAll(stream);
    await broken.clock.advance(1_000);
    const { chunks, error } = await reading;
    expect(chunks).toEqual([]);
    expect(error).toMatchObject({ message: expect.stringContaining('cannot read this'), call: stream.call });
    expect(stream.call.status).toBe('failed');
    expect(broken.endpoint.running).toBe(0);
  });

  it('57. given a signal, then a stream ends as cancelled after the chunks that came before', async () => {
    const { model, clock } = timedModel();
    const controller = new AbortController();
    const stream = model.stream({ chunks: ['a', 'b'], takesMs: 1_000 }, { signal: controller.signal });
    const reading = readAll(stream);
    await clock.advance(1_500);
    controller.abort('enough');
    const { chunks, error } = await reading;
    expect(textOf(chunks)).toBe('a');
    expect(error).toMatchObject({ code: 'cancelled', cause: 'enough' });
    expect((await rejection(model.invoke(stream.call))).call).toBe(stream.call);
  });
});

/** Resolves when a number has stopped changing. */
async function standstill(read: () => number): Promise<void> {
  for (let before = -1, same = 0; same < 5; ) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    same = read() === before ? same + 1 : 0;
    before = read();
  }
}
