import Anthropic from '@anthropic-ai/sdk';
import { describe, expect, it } from 'vitest';
import type { UpstreamReply } from '../../src/testing/upstream.ts';
import { anthropicModel, chatModel, openGateway, openUpstream } from './open-gateway.ts';

const messages = [{ role: 'user' as const, content: 'hello' }];
const common = { max_tokens: 100, messages };

function clientOf(url: string): Anthropic {
  return new Anthropic({ baseURL: url, apiKey: 'unused', maxRetries: 0 });
}

const chatFrame = { id: 'c1', object: 'chat.completion.chunk', created: 5, model: 'gpt-4.1-mini-2025' };

function delta(fields: object, finish: string | null = null) {
  return { ...chatFrame, choices: [{ index: 0, delta: fields, finish_reason: finish }] };
}

function toolDelta(index: number, fields: object) {
  return delta({ tool_calls: [{ index, ...fields }] });
}

const chatToolStream = [
  delta({ role: 'assistant', content: '', reasoning_content: 'Hm.' }),
  delta({ content: 'Both:' }),
  toolDelta(0, { id: 'a', type: 'function', function: { name: 'first', arguments: '' } }),
  toolDelta(0, { function: { arguments: '{"x":' } }),
  toolDelta(1, { id: 'b', type: 'function', function: { name: 'second', arguments: '{"y":2' } }),
  toolDelta(0, { function: { arguments: '1}' } }),
  toolDelta(1, { function: { arguments: '}' } }),
  delta({}, 'tool_calls'),
  {
    ...chatFrame,
    choices: [],
    usage: { prompt_tokens: 9, completion_tokens: 5, total_tokens: 14, prompt_tokens_details: { cached_tokens: 2 } },
  },
  '[DONE]',
];

async function streamOut(reply: UpstreamReply, events: Iterable<unknown>): Promise<void> {
  await reply.events(events, { named: true });
  reply.end();
}

const nativeMessage = {
  id: 'msg_vendor',
  type: 'message',
  role: 'assistant',
  model: 'claude-sonnet-4-5-20250929',
  content: [
    { type: 'thinking', thinking: 'Well.', signature: 'sig' },
    { type: 'redacted_thinking', data: 'secret' },
    { type: 'server_tool_use', id: 'srv', name: 'web_search', input: { query: 'x' } },
    {
      type: 'web_search_tool_result',
      tool_use_id: 'srv',
      content: [{ type: 'web_search_result', url: 'https://a.example' }],
    },
    { type: 'text', text: 'Done.' },
    { type: 'tool_use', id: 'toolu_1', name: 'now', input: {} },
  ],
  stop_reason: 'tool_use',
  stop_sequence: null,
  usage: { input_tokens: 7, cache_read_input_tokens: 3, output_tokens: 4, service_tier: 'standard' },
};

const nativeEvents = [
  {
    type: 'message_start',
    message: {
      ...nativeMessage,
      content: [],
      stop_reason: null,
      usage: { input_tokens: 7, cache_read_input_tokens: 3, output_tokens: 1, service_tier: 'standard' },
    },
  },
  { type: 'ping' },
  { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '', signature: '' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'Well.' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'signature_delta', signature: 'sig' } },
  { type: 'content_block_stop', index: 0 },
  { type: 'content_block_start', index: 1, content_block: { type: 'redacted_thinking', data: 'secret' } },
  { type: 'content_block_stop', index: 1 },
  {
    type: 'content_block_start',
    index: 2,
    content_block: { type: 'server_tool_use', id: 'srv', name: 'web_search', input: {} },
  },
  { type: 'content_block_delta', index: 2, delta: { type: 'input_json_delta', partial_json: '{"query":"x"}' } },
  { type: 'content_block_stop', index: 2 },
  { type: 'content_block_start', index: 3, content_block: nativeMessage.content[3] },
  { type: 'content_block_stop', index: 3 },
  { type: 'content_block_start', index: 4, content_block: { type: 'text', text: '' } },
  { type: 'content_block_delta', index: 4, delta: { type: 'text_delta', text: 'Do' } },
  { type: 'content_block_delta', index: 4, delta: { type: 'text_delta', text: 'ne.' } },
  { type: 'content_block_stop', index: 4 },
  { type: 'content_block_start', index: 5, content_block: { type: 'tool_use', id: 'toolu_1', name: 'now', input: {} } },
  { type: 'content_block_stop', index: 5 },
  { type: 'message_delta', delta: { stop_reason: 'tool_use', stop_sequence: null }, usage: { output_tokens: 4 } },
  { type: 'message_stop' },
];

describe('messages for a model of Anthropic’s', () => {
  it('are handed through untouched, both ways', async () => {
    const upstream = await openUpstream((_request, reply) => reply.json(nativeMessage));
    const { url } = await openGateway({ claude: anthropicModel(upstream) });
    const request = {
      max_tokens: 2_000,
      top_k: 5,
      thinking: { type: 'enabled' as const, budget_tokens: 1_024 },
      system: [{ type: 'text' as const, text: 'Be brief.', cache_control: { type: 'ephemeral' as const } }],
      tools: [{ type: 'web_search_20250305' as const, name: 'web_search' as const }],
      messages: [
        { role: 'user' as const, content: 'a' },
        {
          role: 'assistant' as const,
          content: [
            { type: 'thinking' as const, thinking: 't', signature: 's' },
            { type: 'text' as const, text: 'b' },
          ],
        },
        { role: 'user' as const, content: 'c' },
      ],
    };
    const { _request_id: id, ...message } = await clientOf(url).messages.create({ model: 'claude', ...request });
    expect(message).toEqual(nativeMessage);
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect(upstream.requests[0]?.json()).toEqual({ model: 'claude-sonnet-4-5', ...request });
  });

  it('stream as Anthropic’s own do: signatures, its own tools and usage included', async () => {
    const upstream = await openUpstream((_request, reply) => streamOut(reply, nativeEvents));
    const { url } = await openGateway({ claude: anthropicModel(upstream) });
    const stream = clientOf(url).messages.stream({ model: 'claude', ...common });
    const types: string[] = [];
    stream.on('streamEvent', ({ type }) => types.push(type));
    const { usage: _usage, ...message } = nativeMessage;
    const seen = await stream.finalMessage();
    expect(seen).toMatchObject(message);
    expect(seen.usage).toMatchObject({ input_tokens: 7, cache_read_input_tokens: 3, output_tokens: 4 });
    expect(types.filter((type) => type === 'content_block_start')).toHaveLength(6);
    expect(types.filter((type) => type === 'content_block_stop')).toHaveLength(6);
    expect([types[0], types.at(-2), types.at(-1)]).toEqual(['message_start', 'message_delta', 'message_stop']);
  });
});

describe('messages for a model of another protocol', () => {
  it('are translated: system, images, documents, tools, results and choices', async () => {
    const answer = {
      model: 'gpt-4.1-mini-2025',
      choices: [
        {
          index: 0,
          finish_reason: 'tool_calls',
          message: {
            role: 'assistant',
            content: 'Looking.',
            reasoning_content: 'Hm.',
            tool_calls: [{ id: 'c1', type: 'function', function: { name: 'weather', arguments: '{"city":"Riga"}' } }],
          },
        },
      ],
      usage: { prompt_tokens: 9, completion_tokens: 5, total_tokens: 14, prompt_tokens_details: { cached_tokens: 2 } },
    };
    const upstream = await openUpstream((_request, reply) => reply.json(answer));
    const { url } = await openGateway({ gpt: chatModel(upstream) });
    const schema = { type: 'object' as const, properties: { city: { type: 'string' } } };
    // The newest models take none, and so the client has no names for them.
    const sampling = { temperature: 0.5, top_k: 5 };
    const { data, response } = await clientOf(url)
      .messages.create({
        model: 'gpt',
        max_tokens: 64,
        ...sampling,
        stop_sequences: ['END'],
        metadata: { user_id: 'u1' },
        system: [
          { type: 'text', text: 'One.' },
          { type: 'text', text: 'Two.' },
        ],
        tools: [{ name: 'weather', description: 'd', input_schema: schema }],
        tool_choice: { type: 'any', disable_parallel_tool_use: true },
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'see' },
              { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } },
              { type: 'image', source: { type: 'url', url: 'https://a.example/b.png' } },
              {
                type: 'document',
                title: 'a.pdf',
                source: { type: 'base64', media_type: 'application/pdf', data: 'BBBB' },
              },
            ],
          },
          {
            role: 'assistant',
            content: [
              { type: 'thinking', thinking: 't', signature: 's' },
              { type: 'text', text: 'Asking.' },
              { type: 'tool_use', id: 't0', name: 'weather', input: { city: 'Oslo' } },
            ],
          },
          {
            role: 'user',
            content: [
              { type: 'tool_result', tool_use_id: 't0', content: [{ type: 'text', text: 'cold' }] },
              { type: 'text', text: 'and now?' },
            ],
          },
        ],
      })
      .withResponse();
    expect(upstream.requests[0]?.json()).toEqual({
      model: 'gpt-4.1-mini',
      max_tokens: 64,
      temperature: 0.5,
      stop: ['END'],
      user: 'u1',
      tools: [{ type: 'function', function: { name: 'weather', description: 'd', parameters: schema } }],
      tool_choice: 'required',
      parallel_tool_calls: false,
      messages: [
        { role: 'system', content: 'One.\n\nTwo.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'see' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
            { type: 'image_url', image_url: { url: 'https://a.example/b.png' } },
            { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,BBBB' } },
          ],
        },
        {
          role: 'assistant',
          content: 'Asking.',
          tool_calls: [{ id: 't0', type: 'function', function: { name: 'weather', arguments: '{"city":"Oslo"}' } }],
        },
        { role: 'tool', tool_call_id: 't0', content: 'cold' },
        { role: 'user', content: [{ type: 'text', text: 'and now?' }] },
      ],
    });
    expect(response.headers.get('imodel-dropped-fields')).toBe('top_k');
    expect(data).toEqual({
      id: expect.stringMatching(/^msg_[0-9a-f]{32}$/),
      type: 'message',
      role: 'assistant',
      model: 'gpt-4.1-mini-2025',
      content: [
        { type: 'thinking', thinking: 'Hm.', signature: '' },
        { type: 'text', text: 'Looking.' },
        { type: 'tool_use', id: 'c1', name: 'weather', input: { city: 'Riga' } },
      ],
      stop_reason: 'tool_use',
      stop_sequence: null,
      usage: { input_tokens: 7, cache_creation_input_tokens: 0, cache_read_input_tokens: 2, output_tokens: 5 },
    });
  });

  it('stream block by block, however the upstream mixes its tool calls', async () => {
    const upstream = await openUpstream((_request, reply) => streamOut(reply, chatToolStream));
    const { url } = await openGateway({ gpt: chatModel(upstream) });
    const stream = clientOf(url).messages.stream({ model: 'gpt', ...common });
    const open: number[] = [];
    stream.on('streamEvent', (event) => {
      if (event.type === 'content_block_start') open.push(event.index);
      if (event.type === 'content_block_delta') expect(open).toEqual([event.index]);
      if (event.type === 'content_block_stop') expect(open.pop()).toBe(event.index);
    });
    const message = await stream.finalMessage();
    expect(message).toMatchObject({
      model: 'gpt-4.1-mini-2025',
      content: [
        { type: 'thinking', thinking: 'Hm.' },
        { type: 'text', text: 'Both:' },
        { type: 'tool_use', id: 'a', name: 'first', input: { x: 1 } },
        { type: 'tool_use', id: 'b', name: 'second', input: { y: 2 } },
      ],
      stop_reason: 'tool_use',
      usage: { input_tokens: 7, cache_read_input_tokens: 2, output_tokens: 5 },
    });
  });

  it.each([
    ['stop', 'end_turn'],
    ['length', 'max_tokens'],
    ['content_filter', 'refusal'],
  ])('say %s as %s', async (finish, stopReason) => {
    const upstream = await openUpstream((request, reply) =>
      request.json().stream === true
        ? streamOut(reply, [delta({ content: 'x' }), delta({}, finish), '[DONE]'])
        : reply.json({ choices: [{ index: 0, message: { content: 'x' }, finish_reason: finish }] }),
    );
    const { url } = await openGateway({ gpt: chatModel(upstream) });
    const client = clientOf(url);
    expect((await client.messages.create({ model: 'gpt', ...common })).stop_reason).toBe(stopReason);
    expect((await client.messages.stream({ model: 'gpt', ...common }).finalMessage()).stop_reason).toBe(stopReason);
  });

  it('are refused where they hold what only Anthropic has', async () => {
    const { url } = await openGateway({ demo: { model: 'scripted/echo' } });
    for (const [path, fields] of [
      ['tools', { tools: [{ type: 'web_search_20250305', name: 'web_search' }] }],
      ['mcp_servers', { mcp_servers: [{ type: 'url', url: 'https://a.example', name: 'a' }] }],
      ['messages', { messages: [{ role: 'user', content: [{ type: 'search_result', title: 'a' }] }] }],
      ['messages', { messages: [{ role: 'assistant', content: [{ type: 'server_tool_use', id: 'a' }] }] }],
      ['max_tokens', { max_tokens: 'many' }],
      ['tool_choice', { tool_choice: { type: 'some' } }],
      ['nonsense', { nonsense: 1 }],
    ] as const) {
      const response = await fetch(`${url}/v1/messages`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'demo', ...common, ...fields }),
      });
      const body = (await response.json()) as { error: { message: string } };
      expect([response.status, body]).toEqual([
        400,
        { type: 'error', error: { type: 'invalid_request_error', message: expect.any(String) } },
      ]);
      expect(body.error.message).toMatch(path === 'messages' ? /type/ : new RegExp(path === 'tools' ? 'tool' : path));
    }
  });
});

describe('a failure of messages', () => {
  it('has the status and the words that Anthropic’s client knows', async () => {
    const failures = ['unauthorized', 'rate_limited', 'overloaded', 'unavailable', 'context_overflow'];
    const { url } = await openGateway({ demo: { model: 'scripted/echo', failures, retry: null } });
    const client = clientOf(url);
    const seen: unknown[] = [];
    for (const _code of failures) {
      const error: unknown = await client.messages.create({ model: 'demo', ...common }).catch((thrown) => thrown);
      if (error instanceof Anthropic.APIError) seen.push([error.status, error.type]);
    }
    expect(seen).toEqual([
      [401, 'authentication_error'],
      [429, 'rate_limit_error'],
      [503, 'overloaded_error'],
      [502, 'api_error'],
      [400, 'invalid_request_error'],
    ]);
    await expect(client.messages.create({ model: 'none', ...common })).rejects.toBeInstanceOf(Anthropic.NotFoundError);
  });

  it('is an error event once the answer has begun', async () => {
    const failures = [{ code: 'overloaded', afterChunks: 1 }];
    const { url } = await openGateway({ demo: { model: 'scripted/echo', text: 'a b c', failures, retry: null } });
    const stream = clientOf(url).messages.stream({ model: 'demo', ...common });
    const texts: string[] = [];
    stream.on('text', (text) => texts.push(text));
    await expect(stream.finalMessage()).rejects.toMatchObject({ type: 'overloaded_error' });
    expect(texts).toEqual(['a']);
  });

  it('lists the iModels for Anthropic’s client too', async () => {
    const { url } = await openGateway({ demo: { model: 'scripted/echo' } });
    const { data } = await clientOf(url).models.list();
    expect(data).toMatchObject([{ id: 'demo', type: 'model', display_name: 'scripted/echo' }]);
  });
});
