import { describe, expect, it } from 'vitest';
import { anthropicModel, chatModel, openGateway, openUpstream } from './open-gateway.ts';

const frame = { id: 'c1', object: 'chat.completion.chunk', created: 5, model: 'gpt-4.1-mini-2025' };

function delta(fields: object, finish: string | null = null) {
  return { ...frame, choices: [{ index: 0, delta: fields, finish_reason: finish }] };
}

const chatStream = [
  delta({ role: 'assistant', content: '', reasoning_content: 'Hm.' }),
  delta({ content: 'Let me ' }),
  delta({ content: 'look.' }),
  delta({ tool_calls: [{ index: 0, id: 'a', type: 'function', function: { name: 'first', arguments: '{"x":' } }] }),
  delta({ tool_calls: [{ index: 1, id: 'b', type: 'function', function: { name: 'second', arguments: '' } }] }),
  delta({ tool_calls: [{ index: 0, function: { arguments: '1}' } }] }),
  delta({}, 'tool_calls'),
  {
    ...frame,
    choices: [],
    usage: { prompt_tokens: 9, completion_tokens: 5, total_tokens: 14, prompt_tokens_details: { cached_tokens: 2 } },
  },
  '[DONE]',
];

const output = [
  { type: 'reasoning', summary: [{ type: 'summary_text', text: 'Hm.' }] },
  { type: 'message', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text: 'Let me look.' }] },
  { type: 'function_call', call_id: 'a', name: 'first', arguments: '{"x":1}' },
  { type: 'function_call', call_id: 'b', name: 'second', arguments: '{}' },
];

const schema = { type: 'object', properties: { city: { type: 'string' } } };

describe('responses for a model of another protocol', () => {
  it('are translated: items, tools, formats, efforts and limits', async () => {
    const upstream = await openUpstream((_request, reply) =>
      reply.json({
        model: 'gpt-4.1-mini-2025',
        choices: [
          {
            index: 0,
            finish_reason: 'tool_calls',
            message: {
              content: 'Let me look.',
              reasoning_content: 'Hm.',
              tool_calls: [
                { id: 'a', type: 'function', function: { name: 'first', arguments: '{"x":1}' } },
                { id: 'b', type: 'function', function: { name: 'second', arguments: '' } },
              ],
            },
          },
        ],
        usage: {
          prompt_tokens: 9,
          completion_tokens: 5,
          total_tokens: 14,
          prompt_tokens_details: { cached_tokens: 2 },
        },
      }),
    );
    const { openai } = await openGateway({ gpt: chatModel(upstream) });
    const { data, response } = await openai.responses
      .create({
        model: 'gpt',
        instructions: 'Be brief.',
        store: false,
        max_output_tokens: 64,
        reasoning: { effort: 'low' },
        text: { format: { type: 'json_schema', name: 'a', schema, strict: true } },
        tools: [{ type: 'function', name: 'first', description: 'd', parameters: schema, strict: false }],
        tool_choice: { type: 'function', name: 'first' },
        input: [
          {
            role: 'user',
            content: [
              { type: 'input_text', text: 'see' },
              { type: 'input_image', image_url: 'data:image/png;base64,AAAA', detail: 'low' },
            ],
          },
          { type: 'reasoning', id: 'rs_1', summary: [] },
          { role: 'assistant', content: 'Asking.' },
          { type: 'function_call', call_id: 't0', name: 'first', arguments: '{"x":0}' },
          { type: 'function_call_output', call_id: 't0', output: 'cold' },
        ],
      })
      .withResponse();
    expect(upstream.requests[0]?.json()).toEqual({
      model: 'gpt-4.1-mini',
      max_tokens: 64,
      reasoning_effort: 'low',
      response_format: { type: 'json_schema', json_schema: { name: 'a', schema, strict: true } },
      tools: [{ type: 'function', function: { name: 'first', description: 'd', parameters: schema, strict: false } }],
      tool_choice: { type: 'function', function: { name: 'first' } },
      messages: [
        { role: 'system', content: 'Be brief.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'see' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA', detail: 'low' } },
          ],
        },
        {
          role: 'assistant',
          content: 'Asking.',
          tool_calls: [{ id: 't0', type: 'function', function: { name: 'first', arguments: '{"x":0}' } }],
        },
        { role: 'tool', tool_call_id: 't0', content: 'cold' },
      ],
    });
    expect(data).toMatchObject({
      object: 'response',
      status: 'completed',
      model: 'gpt-4.1-mini-2025',
      output,
      output_text: 'Let me look.',
    });
    expect(data.usage).toMatchObject({
      input_tokens: 9,
      input_tokens_details: { cached_tokens: 2 },
      output_tokens: 5,
      total_tokens: 14,
    });
    expect(response.headers.get('imodel-dropped-fields')).toBe('store');
  });

  it('stream item by item, as the client puts them together', async () => {
    const upstream = await openUpstream(async (_request, reply) => {
      await reply.events(chatStream);
      reply.end();
    });
    const { openai } = await openGateway({ gpt: chatModel(upstream) });
    const stream = openai.responses.stream({ model: 'gpt', input: 'hello' });
    const types: string[] = [];
    const numbers: number[] = [];
    for await (const event of stream) {
      types.push(event.type);
      numbers.push(event.sequence_number);
    }
    expect(numbers).toEqual(numbers.map((_number, index) => index));
    expect(types.slice(0, 2)).toEqual(['response.created', 'response.in_progress']);
    expect(types.filter((type) => type === 'response.output_item.added')).toHaveLength(4);
    expect(types.filter((type) => type === 'response.output_item.done')).toHaveLength(4);
    expect(types.at(-1)).toBe('response.completed');
    const response = await stream.finalResponse();
    expect(response).toMatchObject({ status: 'completed', output, usage: { input_tokens: 9, output_tokens: 5 } });
  });

  it('tell that an answer was cut short', async () => {
    const upstream = await openUpstream(async (request, reply) => {
      if (request.json().stream !== true) {
        return reply.json({
          content: [{ type: 'text', text: 'x' }],
          stop_reason: 'max_tokens',
          usage: { input_tokens: 1, output_tokens: 1 },
        });
      }
      await reply.events([delta({ content: 'x' }), delta({}, 'length'), '[DONE]']);
      reply.end();
    });
    const { openai } = await openGateway({ gpt: chatModel(upstream), claude: anthropicModel(upstream) });
    const short = { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } };
    expect(await openai.responses.create({ model: 'claude', input: 'hello' })).toMatchObject(short);
    expect(await openai.responses.stream({ model: 'gpt', input: 'hello' }).finalResponse()).toMatchObject(short);
  });

  it('end in an error event when the upstream is cut off', async () => {
    const upstream = await openUpstream(async (_request, reply) => {
      await reply.events(chatStream.slice(0, 2));
      reply.cut();
    });
    const { openai } = await openGateway({ gpt: chatModel(upstream) });
    const types: string[] = [];
    const read = async () => {
      const stream = await openai.responses.create({ model: 'gpt', input: 'hello', stream: true });
      for await (const { type } of stream) types.push(type);
    };
    await expect(read()).rejects.toMatchObject({ code: 'unavailable', type: 'server_error' });
    expect(types).toContain('response.output_text.delta');
    expect(types).not.toContain('response.completed');
  });

  it('are refused where they need what only OpenAI keeps or runs', async () => {
    const { post } = await openGateway({ demo: { model: 'scripted/echo' } });
    for (const [param, value] of [
      ['previous_response_id', 'resp_1'],
      ['conversation', 'conv_1'],
      ['background', true],
      ['tools', [{ type: 'web_search' }]],
      ['input', [{ type: 'item_reference', id: 'a' }]],
      ['input', [{ role: 'user', content: [{ type: 'input_audio' }] }]],
      ['input', 5],
      ['nonsense', 1],
    ] as const) {
      const response = await post('/v1/responses', { model: 'demo', input: 'hello', [param]: value });
      const { error } = (await response.json()) as { error: Record<string, unknown> };
      expect([response.status, error.param]).toEqual([400, param]);
    }
  });
});

describe('responses for a model that speaks their protocol', () => {
  it('are handed through, one-shot and streamed', async () => {
    const answer = {
      id: 'resp_vendor',
      object: 'response',
      status: 'completed',
      model: 'gpt-4.1-mini-2025',
      output: [
        {
          type: 'message',
          id: 'msg_1',
          role: 'assistant',
          status: 'completed',
          content: [{ type: 'output_text', text: 'Hi', annotations: [] }],
        },
      ],
      usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2 },
    };
    const upstream = await openUpstream(async (request, reply) => {
      if (request.json().stream !== true) return reply.json(answer);
      const events = [
        { type: 'response.created', response: { ...answer, status: 'in_progress', output: [] } },
        { type: 'response.output_text.delta', item_id: 'msg_1', output_index: 0, content_index: 0, delta: 'Hi' },
        { type: 'response.completed', response: answer },
      ];
      await reply.events(events, { named: true });
      reply.end();
    });
    const { openai } = await openGateway({
      gpt: {
        provider: 'openai',
        endpoint: 'responses',
        model: 'gpt-4.1-mini',
        apiKey: 'sk-upstream',
        baseUrl: `${upstream.url}/v1`,
      },
    });
    const request = { model: 'gpt', input: 'hello', previous_response_id: 'resp_0' };
    expect(await openai.responses.create(request)).toMatchObject({ ...answer, output_text: 'Hi' });
    expect(upstream.requests[0]?.json()).toEqual({ ...request, model: 'gpt-4.1-mini' });
    const response = await openai.responses.stream(request).finalResponse();
    expect(response).toMatchObject({ id: 'resp_vendor', output_text: 'Hi' });
  });
});
