import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Endpoint, Fields } from '../../src/endpoints/endpoint.ts';
import { matchEndpoint } from '../../src/providers/match.ts';
import { startUpstream, type Upstream } from '../../src/testing/upstream.ts';
import { brief, run } from './run.ts';

let upstream: Upstream;
let endpoint: Endpoint;

beforeEach(async () => {
  upstream = await startUpstream();
  endpoint = matchEndpoint('anthropic', 'chat', {
    baseUrl: `${upstream.url}/v1`,
    apiKey: 'sk-ant-0123456789',
    env: {},
    kwargs: { model: 'claude-sonnet-4-5' },
  });
});

afterEach(async () => {
  await endpoint.close();
  await upstream.close();
});

const messages = [{ role: 'user', content: 'hi' }];

const start = (more: Fields = {}) => ({
  type: 'message_start',
  message: {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'm',
    content: [],
    stop_reason: null,
    usage: { input_tokens: 69, cache_creation_input_tokens: 0, cache_read_input_tokens: 11, output_tokens: 2 },
    ...more,
  },
});
const open = (index: number, block: Fields) => ({ type: 'content_block_start', index, content_block: block });
const delta = (index: number, value: Fields) => ({ type: 'content_block_delta', index, delta: value });
const stop = (index: number) => ({ type: 'content_block_stop', index });
const finish = (reason: string) => ({
  type: 'message_delta',
  delta: { stop_reason: reason, stop_sequence: null },
  usage: { output_tokens: 53 },
});

async function stream(events: readonly Fields[], end = true) {
  upstream.handle(async (_request, reply) => {
    await reply.events(events, { named: true });
    if (end) reply.end();
  });
  return run(endpoint, { messages }, { stream: true });
}

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

describe('translation', () => {
  const wire = (request: Fields): Fields => endpoint.prepare({ max_tokens: 5, ...request });

  it('collects leading system and developer turns', () => {
    const request = {
      messages: [
        { role: 'system', content: 'sys' },
        { role: 'developer', content: [{ type: 'text', text: 'dev', cache_control: { type: 'ephemeral' } }] },
        { role: 'user', content: 'hi' },
        { role: 'system', content: 'later' },
      ],
      system: 'own',
    };
    const before = structuredClone(request);
    expect(wire(request)).toEqual({
      model: 'claude-sonnet-4-5',
      max_tokens: 5,
      system: [
        { type: 'text', text: 'own' },
        { type: 'text', text: 'sys' },
        { type: 'text', text: 'dev', cache_control: { type: 'ephemeral' } },
      ],
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'hi' },
            { type: 'text', text: 'later' },
          ],
        },
      ],
    });
    expect(request).toEqual(before);
  });

  it('translates tool calls, results and images', () => {
    const payload = wire({
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'look' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
          ],
        },
        {
          role: 'assistant',
          content: 'on it',
          tool_calls: [
            { id: 'a', type: 'function', function: { name: 'get', arguments: '{"x":1}' } },
            { id: 'b', type: 'function', function: { name: 'put', arguments: '' } },
          ],
        },
        { role: 'tool', tool_call_id: 'a', content: '1' },
        { role: 'tool', tool_call_id: 'b', content: [{ type: 'image_url', image_url: 'https://example.com/i.png' }] },
      ],
    });
    expect(payload.messages).toEqual([
      {
        role: 'user',
        content: [
          { type: 'text', text: 'look' },
          { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } },
        ],
      },
      {
        role: 'assistant',
        content: [
          { type: 'text', text: 'on it' },
          { type: 'tool_use', id: 'a', name: 'get', input: { x: 1 } },
          { type: 'tool_use', id: 'b', name: 'put', input: {} },
        ],
      },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 'a', content: '1' },
          {
            type: 'tool_result',
            tool_use_id: 'b',
            content: [{ type: 'image', source: { type: 'url', url: 'https://example.com/i.png' } }],
          },
        ],
      },
    ]);
  });

  it('keeps what is in the vendor’s own form, thinking and signatures included', () => {
    const own = [
      { role: 'user', content: 'q' },
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 't', signature: 's' },
          { type: 'redacted_thinking', data: 'd' },
          { type: 'tool_use', id: 'a', name: 'get', input: {} },
        ],
      },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content: 'r' }] },
    ];
    expect(wire({ messages: own }).messages).toEqual(own);
  });

  it('translates tools, choices, stops and limits', () => {
    const payload = endpoint.prepare({
      messages,
      max_completion_tokens: 7,
      stop: 'END',
      tools: [
        { type: 'function', function: { name: 'get', description: 'd', parameters: { type: 'object' }, strict: true } },
        { type: 'web_search_20250305', name: 'web_search' },
      ],
      tool_choice: 'required',
      parallel_tool_calls: false,
      cache_control: true,
      thinking: { type: 'adaptive' },
    });
    expect(payload).toEqual({
      model: 'claude-sonnet-4-5',
      messages,
      max_tokens: 7,
      stop_sequences: ['END'],
      tools: [
        { name: 'get', description: 'd', input_schema: { type: 'object' }, strict: true },
        { type: 'web_search_20250305', name: 'web_search' },
      ],
      tool_choice: { type: 'any', disable_parallel_tool_use: true },
      cache_control: { type: 'ephemeral' },
      thinking: { type: 'adaptive' },
    });
    const named = wire({ messages, tool_choice: { type: 'function', function: { name: 'get' } } });
    expect(named.tool_choice).toEqual({ type: 'tool', name: 'get' });
    expect(wire({ messages, tool_choice: 'none' }).tool_choice).toEqual({ type: 'none' });
    expect(wire({ messages, tool_choice: { type: 'auto' } }).tool_choice).toEqual({ type: 'auto' });
  });

  it.each([
    ['claude-opus-4-7-20251001', 128_000],
    ['claude-opus-5', 128_000],
    ['claude-sonnet-4-6', 128_000],
    ['claude-haiku-4-5', 64_000],
    ['claude-sonnet-4-20250514', 64_000],
    ['claude-opus-4-1', 32_000],
    ['claude-3-5-haiku-latest', 8_192],
    ['claude-3-opus', 4_096],
    ['unheard-of', 4_096],
  ])('lets %s answer with %i tokens when streaming', (model, limit) => {
    expect(endpoint.prepare({ messages, model, stream: true }).max_tokens).toBe(limit);
    expect(endpoint.prepare({ messages, model }).max_tokens).toBe(Math.min(limit, 21_333));
  });

  it('says what it cannot translate', () => {
    const request = { messages: [{ role: 'user', content: [{ type: 'input_audio', input_audio: {} }] }] };
    expect(() => wire(request)).toThrow(/no audio/);
  });
});

describe('streams', () => {
  it('reads thinking with its signature, a tool call and cumulative usage', async () => {
    const { chunks, reply } = await stream([
      start(),
      start(),
      open(0, { type: 'thinking', thinking: '', signature: '' }),
      { type: 'ping' },
      delta(0, { type: 'thinking_delta', thinking: 'Let me see' }),
      delta(0, { type: 'signature_delta', signature: 'Eq' }),
      delta(0, { type: 'signature_delta', signature: 'QB' }),
      stop(0),
      open(1, { type: 'text', text: '' }),
      delta(1, { type: 'text_delta', text: 'Hi' }),
      stop(1),
      open(2, { type: 'tool_use', id: 'toolu_1', name: 'get', input: {} }),
      delta(2, { type: 'input_json_delta', partial_json: '' }),
      delta(2, { type: 'input_json_delta', partial_json: '{"x":' }),
      delta(2, { type: 'input_json_delta', partial_json: '1}' }),
      stop(2),
      open(3, { type: 'tool_use', id: 'toolu_2', name: 'now', input: {} }),
      stop(3),
      finish('tool_use'),
      { type: 'message_stop' },
    ]);
    expect(chunks.map(brief)).toEqual([
      ['system'],
      ['thinking', 'Let me see'],
      ['thinking', '', { signature: 'EqQB' }],
      ['text', 'Hi'],
      ['tool delta', 'toolu_1', ''],
      ['tool delta', 'toolu_1', '{"x":'],
      ['tool delta', 'toolu_1', '1}'],
      ['tool', 'toolu_1', 'get', { x: 1 }],
      ['tool delta', 'toolu_2', ''],
      ['tool', 'toolu_2', 'now', {}],
      ['result', 'tool_calls'],
    ]);
    expect(reply?.view.usage).toMatchObject({
      inputTokens: 80,
      outputTokens: 53,
      totalTokens: 133,
      cachedInputTokens: 11,
    });
    expect(reply?.response).toMatchObject({
      id: 'msg_1',
      type: 'message',
      stop_reason: 'tool_use',
      content: [
        { type: 'thinking', thinking: 'Let me see', signature: 'EqQB' },
        { type: 'text', text: 'Hi' },
        { type: 'tool_use', id: 'toolu_1', name: 'get', input: { x: 1 } },
        { type: 'tool_use', id: 'toolu_2', name: 'now', input: {} },
      ],
      usage: { input_tokens: 69, output_tokens: 53 },
    });
    expect(upstream.requests[0]?.json()).toMatchObject({ stream: true });
  });

  it('reads redacted thinking, server tools, their results and citations', async () => {
    const { chunks, reply } = await stream([
      start(),
      open(0, { type: 'redacted_thinking', data: 'xyz' }),
      stop(0),
      open(1, { type: 'server_tool_use', id: 'srv_1', name: 'web_search', input: {} }),
      delta(1, { type: 'input_json_delta', partial_json: '{"query":"q"}' }),
      stop(1),
      open(2, {
        type: 'web_search_tool_result',
        tool_use_id: 'srv_1',
        content: [{ type: 'web_search_result', url: 'u' }],
      }),
      stop(2),
      open(3, {
        type: 'web_search_tool_result',
        tool_use_id: 'srv_2',
        content: { type: 'web_search_tool_result_error' },
      }),
      stop(3),
      open(4, { type: 'text', text: '' }),
      delta(4, { type: 'citations_delta', citation: { url: 'u' } }),
      delta(4, { type: 'text_delta', text: 'So' }),
      stop(4),
      finish('end_turn'),
      { type: 'message_stop' },
    ]);
    expect(chunks[1]).toMatchObject({ type: 'thinking', content: '', metadata: { redactedData: 'xyz' } });
    expect(chunks.filter(({ type }) => type === 'tool_use').at(-1)).toMatchObject({
      toolName: 'web_search',
      toolInput: { query: 'q' },
      metadata: { providerExecuted: true },
    });
    const results = chunks.filter(({ type }) => type === 'tool_result');
    expect(results.map(({ toolId, isError }) => [toolId, isError ?? false])).toEqual([
      ['srv_1', false],
      ['srv_2', true],
    ]);
    expect(reply?.view).toMatchObject({ text: 'So', toolUses: [], finishReason: 'stop' });
    expect(chunks.at(-1)?.metadata?.citations).toEqual([{ url: 'u' }]);
  });

  it('takes a message that begins with finished blocks', async () => {
    const content = [{ type: 'tool_use', id: 'a', name: 'get', input: { x: 1 } }];
    const { chunks } = await stream([start({ content }), finish('tool_use'), { type: 'message_stop' }]);
    expect(chunks.map(brief)).toContainEqual(['tool', 'a', 'get', { x: 1 }]);
  });

  it('ends well without message_stop when there was a stop reason', async () => {
    const { chunks } = await stream([
      start(),
      open(0, { type: 'text', text: '' }),
      delta(0, { type: 'text_delta', text: 'x' }),
      finish('max_tokens'),
    ]);
    expect(chunks.at(-1)?.metadata).toMatchObject({ finishReason: 'length', rawFinishReason: 'max_tokens' });
  });

  it('fails when the stream ends before a stop reason', async () => {
    const { chunks, error } = await stream([
      start(),
      open(0, { type: 'text', text: '' }),
      delta(0, { type: 'text_delta', text: 'x' }),
    ]);
    expect(error?.failure).toMatchObject({ code: 'unavailable', reason: 'stream_ended_early' });
    expect(chunks.map(({ type }) => type)).toEqual(['system', 'text', 'error']);
  });

  it('fails for an error event', async () => {
    const { chunks, error } = await stream(
      [start(), { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }],
      false,
    );
    expect(error?.failure).toMatchObject({ code: 'overloaded', retryable: true, reason: 'overloaded_error' });
    expect(chunks.map(({ type }) => type)).toEqual(['error']);
  });

  it('fails when another message begins inside one', async () => {
    const { error } = await stream([start(), start({ id: 'msg_2' })], false);
    expect(error?.code).toBe('unavailable');
  });
});
