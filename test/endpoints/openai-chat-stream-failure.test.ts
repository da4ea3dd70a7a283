import { describe, expect, it } from 'vitest';
import { chat, messages, piece, upstream } from './openai-chat-upstream.ts';
import { run } from './run.ts';

describe('streams', () => {
  it.each([
    ['as the first event', [], ['error']],
    ['in the middle', [piece({ content: 'Hi' })], ['system', 'text', 'error']],
  ])('ends with an error chunk and a rejection when the vendor reports one %s', async (_name, before, types) => {
    upstream.handle(async (_request, reply) => {
      await reply.events([
        ...before,
        { error: { message: 'The server had an error', type: 'server_error', code: null } },
      ]);
    });
    const { chunks, error } = await run(chat(), { messages }, { stream: true });
    expect(chunks.map(({ type }) => type)).toEqual(types);
    expect(error?.failure).toMatchObject({ code: 'unavailable', retryable: true });
    expect(chunks.at(-1)).toMatchObject({
      isError: true,
      metadata: { failure: error?.failure, retryable: true, type: 'unavailable' },
    });
    await (await upstream.request(0)).closed;
  });

  it.each([
    ['ends without a finish reason', (reply: { end(): void; cut(): void }) => reply.end(), 'stream_ended_early'],
    ['is cut off', (reply: { end(): void; cut(): void }) => reply.cut(), undefined],
  ])('fails when the stream %s', async (_name, stop, reason) => {
    upstream.handle(async (_request, reply) => {
      await reply.events([piece({ content: 'Hi' })]);
      stop(reply);
    });
    const { chunks, error, reply } = await run(chat(), { messages }, { stream: true });
    expect(reply).toBe(null);
    expect(chunks.map(({ type }) => type)).toEqual(['system', 'text', 'error']);
    expect(error?.failure).toMatchObject({
      code: 'unavailable',
      retryable: true,
      ...(reason === undefined ? {} : { reason }),
    });
  });

  it('fails for an event that is no JSON', async () => {
    upstream.handle((_request, reply) => reply.events([piece({ content: 'Hi' }), '{"broken']));
    const { error } = await run(chat(), { messages }, { stream: true });
    expect(error?.failure).toMatchObject({ code: 'malformed', excerpt: '{"broken' });
  });

  it('rejects without a chunk when the stream is refused', async () => {
    upstream.handle((_request, reply) => reply.json({ error: { message: 'Slow down' } }, 429, { 'retry-after': '2' }));
    const { chunks, error } = await run(chat(), { messages }, { stream: true });
    expect(chunks).toEqual([]);
    expect(error?.failure).toMatchObject({ code: 'rate_limited', retryAfterMs: 2_000 });
  });

  it('rejects with the signal’s reason after the socket is closed, without an error chunk', async () => {
    upstream.handle((_request, reply) => reply.events([piece({ content: 'Hi' })]));
    const abort = new AbortController();
    const { chunks, error } = await run(
      chat(),
      { messages },
      {
        stream: true,
        signal: abort.signal,
        onChunk: ({ type }) => {
          if (type === 'text') abort.abort(new (class extends Error {})('gone'));
        },
      },
    ).catch((reason: Error) => ({ chunks: [], error: reason }));
    expect(error?.message).toBe('gone');
    expect(chunks).toEqual([]);
    await (await upstream.request(0)).closed;
  });
});
