import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { iModel } from '../../src/index.ts';
import { startUpstream, type Upstream } from '../../src/testing/upstream.ts';
import { readAll } from './timed-endpoint.ts';

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[48][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const messages = [{ role: 'user', content: 'hello' }];
const retry = { maxRetries: 3, baseDelay: 0.01, maxDelay: 0.01 };
const answer = { choices: [{ message: { content: 'hi' }, finish_reason: 'stop' }] };

let upstream: Upstream;
beforeEach(async () => {
  upstream = await startUpstream();
});
afterEach(() => upstream.close());

/** The values of a header, request by request. */
const sent = (name: string): unknown[] => upstream.requests.map(({ headers }) => headers[name]);

describe('idempotency keys', () => {
  const openai = (options: object = {}): iModel =>
    new iModel({ model: 'openai/gpt-4.1', baseUrl: upstream.url, apiKey: 'sk-of-nobody', retry, ...options });

  it('are the same for all attempts of a call, and others for another call', async () => {
    upstream.handle((_request, reply) => {
      if (upstream.requests.length % 3 === 0) reply.json(answer);
      else reply.json({ error: { message: 'try again' } }, 500);
    });
    await using model = openai();
    const call = await model.invoke({ messages });
    const { call: streamed } = await readThrough(model);
    expect([call.attempts, streamed.attempts]).toEqual([3, 3]);
    expect(sent('idempotency-key')).toEqual([...Array(3).fill(call.id), ...Array(3).fill(streamed.id)]);
    expect(call.id).toMatch(uuid);
  });

  it('follow from the id where the caller chose it, in every process alike', async () => {
    upstream.handle((_request, reply) => reply.json(answer));
    for (const callId of ['order-17', 'order-18', 'order-17']) {
      await using model = openai();
      await model.invoke({ messages }, { callId });
    }
    const [first, second, again] = sent('idempotency-key');
    expect(first).toMatch(uuid);
    expect(second).toMatch(uuid);
    expect(second).not.toBe(first);
    expect(again).toBe(first);
  });

  it('give way to one that the caller sends', async () => {
    upstream.handle((_request, reply) => reply.json(answer));
    await using model = openai({ headers: { 'Idempotency-Key': 'my own' } });
    await model.invoke({ messages });
    expect(sent('idempotency-key')).toEqual(['my own']);
  });

  it.each([
    'groq/llama-3.3-70b-versatile',
    'anthropic/claude-sonnet-4-5',
    'deepseek/deepseek-chat',
    'gemini/gemini-2.5-flash',
  ])('are not sent to vendors that take none: %s', async (name) => {
    upstream.handle((_request, reply) => reply.json(answer));
    await using model = new iModel({ model: name, baseUrl: upstream.url, apiKey: 'sk-of-nobody' });
    await model.invoke({ messages });
    expect(upstream.requests).toHaveLength(1);
    expect(Object.keys(upstream.requests[0]?.headers ?? {}).filter((header) => /idempot/.test(header))).toEqual([]);
  });

  it('keep a crawl whose answer was lost from being begun and paid twice', async () => {
    const begun = new Set<unknown>();
    upstream.handle(({ headers }, reply) => {
      const key = headers['x-idempotency-key'];
      if (begun.has(key)) {
        reply.json({ success: false, error: 'Idempotency key already used' }, 409);
        return;
      }
      begun.add(key);
      reply.cut();
    });
    await using model = new iModel({
      provider: 'firecrawl',
      endpoint: 'crawl',
      baseUrl: upstream.url,
      apiKey: 'fc-of-nobody',
      retry,
    });
    const { failure, attempts } = await model.invoke({ url: 'https://example.com' });
    expect(failure).toMatchObject({ code: 'rejected', retryable: false, status: 409 });
    expect(attempts).toBe(2);
    expect(begun.size).toBe(1);
    expect([...begun][0]).toMatch(uuid);
  });
});

async function readThrough(model: iModel) {
  const stream = model.stream({ messages });
  expect((await readAll(stream)).error).toBeNull();
  return stream;
}
