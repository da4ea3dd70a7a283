import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, streamText, type ToolSet, tool } from 'ai';
import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { anthropicModel, chatModel, openGateway, openUpstream } from './open-gateway.ts';

const messages = [{ role: 'user' as const, content: 'hello' }];

const anthropicAnswer = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude-sonnet-4-5-20250929',
  content: [
    { type: 'thinking', thinking: 'Well.', signature: 'sig' },
    { type: 'text', text: 'Let me look.' },
    { type: 'tool_use', id: 'toolu_1', name: 'weather', input: { city: 'Riga' } },
  ],
  stop_reason: 'tool_use',
  stop_sequence: null,
  usage: { input_tokens: 10, cache_read_input_tokens: 4, output_tokens: 6 },
};

const anthropicEvents = [
  { type: 'message_start', message: { ...anthropicAnswer, content: [], stop_reason: null } },
  { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '', signature: '' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'Well.' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'signature_delta', signature: 'sig' } },
  { type: 'content_block_stop', index: 0 },
  { type: 'content_block_start', index: 1, content_block: { type: 'text', text: '' } },
  { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'Let me ' } },
  { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'look.' } },
  { type: 'content_block_stop', index: 1 },
  {
    type: 'content_block_start',
    index: 2,
    content_block: { type: 'server_tool_use', id: 'srv', name: 'web_search', input: {} },
  },
  { type: 'content_block_delta', index: 2, delta: { type: 'input_json_delta', partial_json: '{"query":"x"}' } },
  { type: 'content_block_stop', index: 2 },
  {
    type: 'content_block_start',
    index: 3,
    content_block: { type: 'tool_use', id: 'toolu_1', name: 'weather', input: {} },
  },
  { type: 'content_block_delta', index: 3, delta: { type: 'input_json_delta', partial_json: '{"city":' } },
  { type: 'content_block_delta', index: 3, delta: { type: 'input_json_delta', partial_json: '"Riga"}' } },
  { type: 'content_block_stop', index: 3 },
  { type: 'message_delta', delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 6 } },
  { type: 'message_stop' },
];

const weatherTool = {
  type: 'function' as const,
  function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
};

function chatEvents(): unknown[] {
  const frame = { id: 'c1', object: 'chat.completion.chunk', created: 5, model: 'gpt-4.1-mini-2025' };
  const event = (delta: object, finish: string | null = null) => ({
    ...frame,
    choices: [{ index: 0, delta, finish_reason: finish }],
  });
  return [
    event({ role: 'assistant', content: '' }),
    event({ content: 'Hel' }),
    event({ content: 'lo' }),
    event({}, 'stop'),
    { ...frame, choices: [], usage: { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 } },
    '[DONE]',
  ];
}

describe('a one-shot completion', () => {
  it('is what the vendor answered, for a vendor of the same protocol', async () => {
    const answer = {
      id: 'c1',
      object: 'chat.completion',
      created: 5,
      model: 'gpt-4.1-mini-2025',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'hi', annotations: [] },
          finish_reason: 'stop',
          logprobs: { content: [] },
        },
      ],
      usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2, prompt_tokens_details: { cached_tokens: 0 } },
      system_fingerprint: 'fp',
    };
    const upstream = await openUpstream((_request, reply) => reply.json(answer));
    const { openai } = await openGateway({ gpt: chatModel(upstream) });
    const { _request_id: id, ...completion } = await openai.chat.completions.create({
      model: 'gpt',
      messages,
      seed: 7,
      logprobs: true,
    });
    expect(completion).toEqual(answer);
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect(upstream.requests[0]?.json()).toEqual({ model: 'gpt-4.1-mini', messages, seed: 7, logprobs: true });
  });

  it('speaks for an Anthropic model: tools, reasoning, images, usage and stop reason', async () => {
    const upstream = await openUpstream((_request, reply) => reply.json(anthropicAnswer));
    const { openai } = await openGateway({ claude: anthropicModel(upstream) });
    const { data, response } = await openai.chat.completions
      .create({
        model: 'claude',
        temperature: 1.5,
        user: 'u1',
        seed: 7,
        max_completion_tokens: 50,
        reasoning_effort: 'low',
        response_format: { type: 'json_schema', json_schema: { name: 'a', schema: { type: 'object' } } },
        tools: [weatherTool],
        tool_choice: 'required',
        messages: [
          { role: 'system', content: 'Be brief.' },
          {
            role: 'user',
            content: [
              { type: 'text', text: 'see' },
              { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
            ],
          },
          {
            role: 'assistant',
            content: null,
            tool_calls: [{ id: 't0', type: 'function', function: { name: 'weather', arguments: '{"city":"Oslo"}' } }],
          },
          { role: 'tool', tool_call_id: 't0', content: 'cold' },
        ],
      })
      .withResponse();
    expect(data).toMatchObject({
      object: 'chat.completion',
      model: 'claude-sonnet-4-5-20250929',
      choices: [
        {
          index: 0,
          finish_reason: 'tool_calls',
          message: {
            role: 'assistant',
            content: 'Let me look.',
            reasoning_content: 'Well.',
            tool_calls: [
              { id: 'toolu_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Riga"}' } },
            ],
          },
        },
      ],
      usage: { prompt_tokens: 14, completion_tokens: 6, total_tokens: 20, prompt_tokens_details: { cached_tokens: 4 } },
    });
    expect(response.headers.get('imodel-dropped-fields')).toBe('seed');
    expect(upstream.requests[0]?.json()).toEqual({
      model: 'claude-sonnet-4-5',
      max_tokens: 50,
      temperature: 1,
      metadata: { user_id: 'u1' },
      output_config: { effort: 'low', format: { type: 'json_schema', schema: { type: 'object' } } },
      system: [{ type: 'text', text: 'Be brief.' }],
      tools: [{ name: 'weather', input_schema: weatherTool.function.parameters }],
      tool_choice: { type: 'any' },
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'see' },
            { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } },
          ],
        },
        { role: 'assistant', content: [{ type: 'tool_use', id: 't0', name: 'weather', input: { city: 'Oslo' } }] },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 't0', content: 'cold' }] },
      ],
    });
  });

  it('finds its iModel by id, by the vendor’s name and by provider and name', async () => {
    const { openai } = await openGateway({ one: { model: 'scripted/first' }, two: { model: 'scripted/second' } });
    for (const model of ['two', 'second', 'scripted/second']) {
      const { model: answered } = await openai.chat.completions.create({ model, messages });
      expect(answered).toBe('second');
    }
  });

  it('refuses what its iModel cannot do, and takes none of its own switches from a caller', async () => {
    const upstream = await openUpstream((_request, reply) => reply.json(anthropicAnswer));
    const { post } = await openGateway({ claude: anthropicModel(upstream), scripted: { model: 'scripted/echo' } });
    for (const [model, field, value] of [
      ['claude', 'n', 2],
      ['claude', 'logprobs', true],
      ['claude', 'audio', {}],
      ['claude', 'passthrough', true],
      ['claude', 'headers', { a: 'b' }],
      ['claude', 'nonsense', 1],
      ['claude', 'temperature', 3],
      ['scripted', 'messages', 'hello'],
      ['scripted', 'stream', 'yes'],
      ['scripted', 'n', 2],
      ['scripted', 'logprobs', true],
    ] as const) {
      const response = await post('/v1/chat/completions', { model, messages, [field]: value });
      const { error } = (await response.json()) as { error: Record<string, unknown> };
      expect([response.status, error.type, error.param, error.code]).toEqual([
        400,
        'invalid_request_error',
        field,
        'invalid_request',
      ]);
    }
    expect(upstream.requests).toHaveLength(0);
  });
});

describe('a streamed completion', () => {
  it('arrives as OpenAI’s own would, with usage when asked for', async () => {
    const upstream = await openUpstream(async (_request, reply) => {
      await reply.events(chatEvents());
      reply.end();
    });
    const { openai } = await openGateway({ gpt: chatModel(upstream) });
    const request = { model: 'gpt', messages, stream: true } as const;
    const deltas = [];
    for await (const chunk of await openai.chat.completions.create({
      ...request,
      stream_options: { include_usage: true },
    })) {
      expect(chunk).toMatchObject({ id: 'c1', object: 'chat.completion.chunk', model: 'gpt-4.1-mini-2025' });
      deltas.push(chunk.choices[0]?.delta ?? chunk.usage);
    }
    const usage = { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 };
    expect(deltas).toEqual([{ role: 'assistant', content: '' }, { content: 'Hel' }, { content: 'lo' }, {}, usage]);
    const stream = openai.chat.completions.stream({ ...request });
    expect(await stream.finalContent()).toBe('Hello');
    expect(await stream.totalUsage()).toMatchObject({ total_tokens: 0 });
    expect(upstream.requests[1]?.json()).toMatchObject({ stream: true, stream_options: { include_usage: true } });
  });

  it('carries an Anthropic model’s tool calls and reasoning, but none of the tools that Anthropic runs itself', async () => {
    const upstream = await openUpstream(async (_request, reply) => {
      await reply.events(anthropicEvents, { named: true });
      reply.end();
    });
    const { openai, post } = await openGateway({ claude: anthropicModel(upstream) });
    const stream = openai.chat.completions.stream({
      model: 'claude',
      messages,
      tools: [weatherTool],
      stream_options: { include_usage: true },
    });
    const completion = await stream.finalChatCompletion();
    expect(completion).toMatchObject({
      model: 'claude-sonnet-4-5-20250929',
      choices: [
        {
          finish_reason: 'tool_calls',
          message: {
            content: 'Let me look.',
            tool_calls: [
              { id: 'toolu_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Riga"}' } },
            ],
          },
        },
      ],
      usage: { prompt_tokens: 14, completion_tokens: 6 },
    });
    const text = await (await post('/v1/chat/completions', { model: 'claude', messages, stream: true })).text();
    expect(text).toContain('{"reasoning_content":"Well."}');
    expect(text).not.toContain('web_search');
    expect(text).not.toContain('"usage"');
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  });

  it('serves the AI SDK: text, tools and streams', async () => {
    const upstream = await openUpstream(async (request, reply) => {
      if (request.json().stream !== true) return reply.json(anthropicAnswer);
      await reply.events(anthropicEvents, { named: true });
      reply.end();
    });
    const { url } = await openGateway({ claude: anthropicModel(upstream), echo: { model: 'scripted/echo' } });
    const provider = createOpenAICompatible({ name: 'imodel', baseURL: `${url}/v1`, includeUsage: true });
    const plain = await generateText({ model: provider('echo'), prompt: 'one two' });
    expect([plain.text, plain.finishReason, plain.usage.outputTokens]).toEqual(['one two', 'stop', 2]);
    // Its own types do not fit each other where an absent option is none that is undefined.
    const tools = { weather: tool({ inputSchema: z.object({ city: z.string() }) }) } as ToolSet;
    for (const result of [
      await generateText({ model: provider('claude'), prompt: 'weather?', tools }),
      streamText({ model: provider('claude'), prompt: 'weather?', tools }),
    ]) {
      expect(await result.text).toBe('Let me look.');
      expect(await result.reasoningText).toBe('Well.');
      expect(await result.toolCalls).toMatchObject([{ toolName: 'weather', input: { city: 'Riga' } }]);
      expect(await result.finishReason).toBe('tool-calls');
      expect((await result.usage).inputTokens).toBe(14);
    }
  });

  it('ends in an error event when the upstream is cut off, never in a clean end', async () => {
    const upstream = await openUpstream(async (_request, reply) => {
      await reply.events(chatEvents().slice(0, 2));
      reply.cut();
    });
    const { openai, post } = await openGateway({ gpt: chatModel(upstream) });
    const seen: string[] = [];
    const read = async () => {
      for await (const { choices } of await openai.chat.completions.create({ model: 'gpt', messages, stream: true })) {
        seen.push(choices[0]?.delta.content ?? '');
      }
    };
    await expect(read()).rejects.toMatchObject({ type: 'server_error', code: 'unavailable' });
    expect(seen).toEqual(['', 'Hel']);
    const response = await post('/v1/chat/completions', { model: 'gpt', messages, stream: true });
    const text = await response.text();
    expect(text).not.toContain('[DONE]');
    expect(text.trimEnd().split('\n\n').at(-1)).toMatch(/^id: 3\ndata: \{"error":/);
  });

  it('is an answer with a status when it fails before its first chunk', async () => {
    const failures = [{ code: 'rate_limited', retryAfterMs: 1_500, message: 'slow down' }];
    const { openai } = await openGateway({ demo: { model: 'scripted/echo', failures, retry: null } });
    const failed = openai.chat.completions.create({ model: 'demo', messages, stream: true });
    const error = await failed.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OpenAI.RateLimitError);
    const { headers } = error as InstanceType<typeof OpenAI.RateLimitError>;
    expect([headers.get('retry-after'), headers.get('retry-after-ms'), headers.get('x-should-retry')]).toEqual([
      '2',
      '1500',
      'true',
    ]);
  });

  it('says that it lives while its call is silent', async () => {
    const { post } = await openGateway({ slow: { model: 'scripted/echo', delayMs: 400 } }, { keepAlive: 0.1 });
    const text = await (await post('/v1/chat/completions', { model: 'slow', messages, stream: true })).text();
    expect(text.startsWith(': still here\n\n')).toBe(true);
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  });

  it('reaches a slow reader whole, and holds its upstream back meanwhile', async () => {
    const { url, runtime } = await openGateway({
      long: { model: 'scripted/echo', text: 'x'.repeat(64), chunks: 60_000 },
    });
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'long', messages, stream: true }),
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(runtime.models.get('long')?.state.running).toBe(1);
    const text = await response.text();
    expect(text.match(/"content":"x"/g)).toHaveLength(60_000);
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  });
});
