import { describe, expect, it } from 'vitest';
import { chat, messages, upstream } from './openai-chat-upstream.ts';
import { run } from './run.ts';

describe('one-shot', () => {
  it('posts the payload with a bearer key and reads the reply', async () => {
    const body = {
      id: 'c1',
      object: 'chat.completion',
      model: 'gpt-4o-mini',
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: 'Hello',
            tool_calls: [{ id: 'call_a', type: 'function', function: { name: 'get', arguments: '{"x":1}' } }],
          },
          finish_reason: 'tool_calls',
        },
      ],
      usage: {
        prompt_tokens: 9,
        completion_tokens: 7,
        total_tokens: 16,
        prompt_tokens_details: { cached_tokens: 4 },
        completion_tokens_details: { reasoning_tokens: 3 },
      },
    };
    upstream.handle((_request, reply) =>
      reply.json(body, 200, { 'x-ratelimit-remaining-requests': '9', 'x-ratelimit-reset-requests': '1s' }),
    );
    const { reply, events, limits } = await run(chat({ temperature: 0.5 }), { messages });
    expect(upstream.requests[0]?.path).toBe('/v1/chat/completions');
    expect(upstream.requests[0]?.headers.authorization).toBe('Bearer sk-test-0123456789');
    expect(upstream.requests[0]?.json()).toEqual({ model: 'gpt-4o-mini', messages, temperature: 0.5 });
    expect(reply?.response).toEqual(body);
    expect(reply?.view).toEqual({
      text: 'Hello',
      thinking: '',
      toolUses: [{ id: 'call_a', name: 'get', input: { x: 1 } }],
      finishReason: 'tool_calls',
      usage: {
        inputTokens: 9,
        outputTokens: 7,
        totalTokens: 16,
        cachedInputTokens: 4,
        reasoningTokens: 3,
        raw: body.usage,
      },
    });
    expect(events).toEqual(['sent', 'answered']);
    expect(limits[0]?.requests?.remaining).toBe(9);
  });

  it('takes any success with JSON, and 204 as null', async () => {
    upstream.handle((_request, reply) => reply.json({ choices: [{ message: { content: 'x' } }] }, 201));
    expect((await run(chat(), { messages })).reply?.view.text).toBe('x');
    upstream.handle((_request, reply) => void reply.raw.writeHead(204).end());
    expect((await run(chat(), { messages })).reply?.response).toBe(null);
    expect(upstream.requests).toHaveLength(2);
  });

  it('fails for a success that is no JSON, with an excerpt', async () => {
    upstream.handle((_request, reply) => reply.text(`<html>${'x'.repeat(500)}`));
    const { error } = await run(chat(), { messages });
    const excerpt = `<html>${'x'.repeat(194)}`;
    expect(error?.failure).toMatchObject({ code: 'malformed', retryable: false, excerpt });
  });

  it('fails for a success whose body is an error', async () => {
    upstream.handle((_request, reply) => reply.json({ error: { message: 'No credits', code: 402 } }));
    expect((await run(chat(), { messages })).error?.failure).toMatchObject({ code: 'rejected', reason: '402' });
  });

  it('maps an error reply, without the key', async () => {
    upstream.handle((_request, reply) =>
      reply.json(
        { error: { message: 'Incorrect API key provided: sk-test-0123456789', code: 'invalid_api_key' } },
        401,
        {
          'x-request-id': 'req_9',
        },
      ),
    );
    const { error } = await run(chat(), { messages });
    expect(error?.failure).toMatchObject({
      code: 'unauthorized',
      status: 401,
      reason: 'invalid_api_key',
      requestId: 'req_9',
    });
    expect(JSON.stringify(error)).not.toContain('sk-test-0123456789');
  });

  it('refuses a redirect', async () => {
    upstream.handle((_request, reply) => void reply.raw.writeHead(307, { location: 'http://10.0.0.1/' }).end());
    const { error } = await run(chat(), { messages });
    expect(error?.failure).toMatchObject({ code: 'rejected', status: 307 });
    expect(error?.message).toContain('redirect');
  });

  it('never sends what belongs to streams', async () => {
    await run(chat(), { messages, stream: true, stream_options: { include_usage: true } });
    expect(upstream.requests[0]?.json()).toEqual({ model: 'gpt-4o-mini', messages });
  });
});
