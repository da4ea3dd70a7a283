import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Endpoint, Fields } from '../../src/endpoints/endpoint.ts';
import { matchEndpoint } from '../../src/providers/match.ts';
import { startUpstream, type Upstream } from '../../src/testing/upstream.ts';
import { brief, run } from './run.ts';

let upstream: Upstream;
let endpoint: Endpoint;

beforeEach(async () => {
  upstream = await startUpstream();
  endpoint = matchEndpoint('openai', 'responses', {
    baseUrl: `${upstream.url}/v1`,
    apiKey: 'k',
    env: {},
    kwargs: { model: 'gpt-4o' },
  });
});

afterEach(async () => {
  await endpoint.close();
  await upstream.close();
});

async function stream(events: readonly Fields[], request: Fields = { input: 'hi' }) {
  upstream.handle(async (_request, reply) => {
    await reply.events(events, { named: true });
    reply.end();
  });
  return run(endpoint, request, { stream: true });
}

describe('requests', () => {
  it('passes the API’s own form', () => {
    const own = {
      input: [{ role: 'user', content: 'hi' }],
      instructions: 'short',
      previous_response_id: 'resp_0',
      tools: [{ type: 'web_search' }],
      text: { format: { type: 'text' } },
      store: false,
    };
    expect(endpoint.prepare(own)).toEqual({ model: 'gpt-4o', ...own });
  });

  it('translates a whole conversation', () => {
    const request = {
      messages: [
        { role: 'system', content: 'Be short' },
        { role: 'developer', content: [{ type: 'text', text: 'and kind' }] },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'look' },
            { type: 'image_url', image_url: { url: 'https://e.com/i.png', detail: 'low' } },
            { type: 'file', file: { file_id: 'f' } },
          ],
        },
        {
          role: 'assistant',
          content: 'ok',
          tool_calls: [{ id: 'c1', type: 'function', function: { name: 'get', arguments: '{}' } }],
        },
        { role: 'tool', tool_call_id: 'c1', content: '42' },
        { role: 'system', content: 'later' },
      ],
      tools: [{ type: 'function', function: { name: 'get', parameters: { type: 'object' }, strict: true } }],
      tool_choice: { type: 'function', function: { name: 'get' } },
      response_format: { type: 'json_schema', json_schema: { name: 'n', schema: {}, strict: true } },
      reasoning_effort: 'low',
      max_tokens: 50,
    };
    const before = structuredClone(request);
    expect(endpoint.prepare(request)).toEqual({
      model: 'gpt-4o',
      instructions: 'Be short\n\nand kind',
      input: [
        {
          role: 'user',
          content: [
            { type: 'input_text', text: 'look' },
            { type: 'input_image', image_url: 'https://e.com/i.png', detail: 'low' },
            { type: 'input_file', file_id: 'f' },
          ],
        },
        { role: 'assistant', content: 'ok' },
        { type: 'function_call', call_id: 'c1', name: 'get', arguments: '{}' },
        { type: 'function_call_output', call_id: 'c1', output: '42' },
        { role: 'developer', content: 'later' },
      ],
      tools: [{ type: 'function', name: 'get', parameters: { type: 'object' }, strict: true }],
      tool_choice: { type: 'function', name: 'get' },
      text: { format: { type: 'json_schema', name: 'n', schema: {}, strict: true } },
      reasoning: { effort: 'low' },
      max_output_tokens: 50,
    });
    expect(request).toEqual(before);
  });

  it('keeps system turns in the conversation when instructions are given', () => {
    const payload = endpoint.prepare({ instructions: 'own', messages: [{ role: 'system', content: 's' }] });
    expect(payload).toMatchObject({ instructions: 'own', input: [{ role: 'developer', content: 's' }] });
  });

  it('refuses input and messages together', () => {
    expect(() => endpoint.prepare({ input: 'a', messages: [] })).toThrow(/`input` or `messages`, got both/);
  });
});

describe('answers', () => {
  it.each([
    [{ status: 'completed' }, 'stop'],
    [{ status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } }, 'length'],
    [{ status: 'incomplete', incomplete_details: { reason: 'content_filter' } }, 'content_filter'],
    [{ status: 'in_progress' }, null],
    [{ status: 'queued' }, null],
  ])('%j ends with %s', async (more, finishReason) => {
    const output = [{ type: 'message', content: [{ type: 'output_text', text: 'x' }] }];
    upstream.handle((_request, reply) => reply.json({ id: 'r', output, error: null, ...more }));
    expect((await run(endpoint, { input: 'hi' })).reply?.view).toMatchObject({ text: 'x', finishReason });
  });

  it('reads refusals, custom tools and reasoning', async () => {
    const output = [
      { type: 'reasoning', summary: [{ type: 'summary_text', text: 'Hm' }] },
      { type: 'custom_tool_call', call_id: 'c', name: 'sql', input: 'select 1' },
      { type: 'message', content: [{ type: 'refusal', refusal: 'No' }] },
    ];
    upstream.handle((_request, reply) => reply.json({ id: 'r', status: 'completed', output }));
    expect((await run(endpoint, { input: 'hi' })).reply?.view).toEqual({
      text: 'No',
      thinking: 'Hm',
      toolUses: [{ id: 'c', name: 'sql', input: { input: 'select 1' } }],
      finishReason: 'tool_calls',
      usage: null,
    });
  });

  it('fails for a failed response with status 200', async () => {
    upstream.handle((_request, reply) =>
      reply.json({ id: 'r', status: 'failed', error: { code: 'server_error', message: 'm' }, output: [] }),
    );
    expect((await run(endpoint, { input: 'hi' })).error?.failure).toMatchObject({
      code: 'unavailable',
      reason: 'server_error',
    });
  });
});

describe('streams', () => {
  const created = { type: 'response.created', response: { id: 'r', model: 'm', status: 'in_progress' } };

  it('ends an incomplete response with its reason', async () => {
    const { chunks } = await stream([
      created,
      { type: 'response.output_text.delta', delta: 'Hi' },
      {
        type: 'response.incomplete',
        response: { id: 'r', status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } },
      },
    ]);
    expect(chunks.map(brief)).toEqual([['system'], ['text', 'Hi'], ['result', 'length']]);
    expect(chunks.at(-1)?.metadata?.rawFinishReason).toBe('max_output_tokens');
  });

  it('reads custom tools, hosted tools, annotations and reasoning to replay', async () => {
    const { chunks, reply } = await stream([
      created,
      {
        type: 'response.output_item.added',
        item: { type: 'custom_tool_call', id: 'i1', call_id: 'c1', name: 'sql', input: '' },
      },
      { type: 'response.custom_tool_call_input.delta', item_id: 'i1', delta: 'select 1' },
      {
        type: 'response.output_item.done',
        item: { type: 'custom_tool_call', id: 'i1', call_id: 'c1', name: 'sql', input: 'select 1' },
      },
      {
        type: 'response.output_item.done',
        item: { type: 'web_search_call', id: 'w1', status: 'completed', action: { query: 'q' } },
      },
      { type: 'response.output_item.done', item: { type: 'reasoning', id: 'rs', encrypted_content: 'e' } },
      { type: 'response.output_text.annotation.added', annotation: { url: 'u' } },
      { type: 'response.unheard_of', x: 1 },
      { type: 'response.completed', response: { id: 'r', status: 'completed', output: [] } },
    ]);
    expect(chunks.map(brief)).toEqual([
      ['system'],
      ['tool delta', 'c1', ''],
      ['tool delta', 'c1', 'select 1'],
      ['tool', 'c1', 'sql', { input: 'select 1' }],
      ['tool', 'w1', 'web_search_call', { query: 'q' }],
      ['tool_result'],
      ['result', 'tool_calls'],
    ]);
    expect(chunks.at(-1)?.metadata).toMatchObject({
      annotations: [{ url: 'u' }],
      reasoning: [{ id: 'rs', encrypted_content: 'e' }],
    });
    expect(reply?.view.toolUses).toHaveLength(1);
  });

  it.each([
    ['at the top', { type: 'error', code: 'server_error', message: 'm' }],
    ['nested', { type: 'error', error: { type: 'server_error', code: 'server_error', message: 'm' } }],
  ])('fails for an error event, %s', async (_where, event) => {
    const { chunks, error } = await stream([created, event]);
    expect(error?.failure).toMatchObject({
      code: 'unavailable',
      reason: 'server_error',
      message: 'openai answered: m',
    });
    expect(chunks.map(({ type }) => type)).toEqual(['error']);
  });

  it('makes up for what no event has told, from the finished response', async () => {
    const call = { type: 'function_call', id: 'fc', call_id: 'c1', name: 'get', arguments: '{"x":1}' };
    const output = [{ type: 'message', content: [{ type: 'output_text', text: 'whole' }] }, call];
    const created = { type: 'response.created', response: { id: 'r', model: 'm' } };
    const completed = { type: 'response.completed', response: { id: 'r', status: 'completed', output } };
    const { chunks, reply } = await stream([created, completed]);
    expect(chunks.map(brief)).toEqual([
      ['system'],
      ['tool delta', 'c1', ''],
      ['tool', 'c1', 'get', { x: 1 }],
      ['text', 'whole'],
      ['result', 'tool_calls'],
    ]);
    expect(reply?.response).toMatchObject({ output });
  });

  it('takes arguments that come whole', async () => {
    const item = { type: 'function_call', id: 'fc', call_id: 'c1', name: 'get', arguments: '' };
    const { reply } = await stream([
      { type: 'response.output_item.added', item },
      { type: 'response.function_call_arguments.done', item_id: 'fc', arguments: '{"x":1}' },
      { type: 'response.completed', response: { id: 'r', status: 'completed' } },
    ]);
    expect(reply?.view.toolUses).toEqual([{ id: 'c1', name: 'get', input: { x: 1 } }]);
  });

  it('fails when the stream ends before the response does', async () => {
    const { error } = await stream([created, { type: 'response.output_text.delta', delta: 'Hi' }]);
    expect(error?.failure).toMatchObject({ code: 'unavailable', reason: 'stream_ended_early' });
  });
});
