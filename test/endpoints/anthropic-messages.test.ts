import { describe, expect, it } from 'vitest';
import { endpoint, messages, upstream } from './anthropic-upstream.ts';
import { run } from './run.ts';

describe('requests', () => {
  it('posts with the key in x-api-key and the version, and reads the reply', async () => {
    const body = {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'claude-sonnet-4-5',
      content: [
        { type: 'thinking', thinking: 'Hm', signature: 's' },
        { type: 'text', text: 'Hello ' },
        { type: 'text', text: 'you' },
        { type: 'tool_use', id: 't1', name: 'get', input: { x: 1 } },
      ],
      stop_reason: 'tool_use',
      usage: { input_tokens: 10, cache_creation_input_tokens: 2, cache_read_input_tokens: 3, output_tokens: 5 },
    };
    upstream.handle((_request, reply) => reply.json(body));
    const { reply } = await run(endpoint, { messages });
    const [request] = upstream.requests;
    expect(request?.path).toBe('/v1/messages');
    expect(request?.headers['x-api-key']).toBe('sk-ant-0123456789');
    expect(request?.headers['anthropic-version']).toBe('2023-06-01');
    expect(request?.headers.authorization).toBe(undefined);
    expect(request?.json()).toEqual({ model: 'claude-sonnet-4-5', messages, max_tokens: 21_333 });
    expect(reply?.response).toEqual(body);
    expect(reply?.view).toEqual({
      text: 'Hello you',
      thinking: 'Hm',
      toolUses: [{ id: 't1', name: 'get', input: { x: 1 } }],
      finishReason: 'tool_calls',
      usage: {
        inputTokens: 15,
        outputTokens: 5,
        totalTokens: 20,
        cachedInputTokens: 3,
        cacheWriteTokens: 2,
        raw: body.usage,
      },
    });
  });

  it.each([
    [429, 'rate_limit_error', 'rate_limited'],
    [529, 'overloaded_error', 'overloaded'],
    [400, 'invalid_request_error', 'rejected'],
    [401, 'authentication_error', 'unauthorized'],
    [402, 'billing_error', 'rejected'],
    [413, 'request_too_large', 'rejected'],
    [500, 'api_error', 'unavailable'],
    [504, 'timeout_error', 'unavailable'],
  ])('maps %i %s to %s', async (status, type, code) => {
    upstream.handle((_request, reply) =>
      reply.json({ type: 'error', error: { type, message: 'm' }, request_id: 'req_1' }, status),
    );
    expect((await run(endpoint, { messages })).error?.failure).toMatchObject({
      code,
      status,
      reason: type,
      requestId: 'req_1',
    });
  });

  it('reports an overlong prompt with both counts', async () => {
    const error = { type: 'invalid_request_error', message: 'prompt is too long: 210000 tokens > 200000 maximum' };
    upstream.handle((_request, reply) => reply.json({ type: 'error', error }, 400));
    expect((await run(endpoint, { messages })).error?.failure).toMatchObject({
      code: 'context_overflow',
      tokens: 210_000,
      limit: 200_000,
    });
  });
});
