import { describe, expect, it } from 'vitest';
import type { Fields } from '../../src/endpoints/endpoint.ts';
import { endpoint, messages, upstream } from './anthropic-upstream.ts';
import { brief, run } from './run.ts';

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
