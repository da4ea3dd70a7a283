import { describe, expect, it } from 'vitest';
import type { Fields } from '../../src/endpoints/endpoint.ts';
import { endpoint, messages } from './anthropic-upstream.ts';

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
