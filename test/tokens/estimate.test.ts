import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { encodingName, encodingOf, loadTokenizer } from '../../src/tokens/encoding.ts';
import { estimateTokens } from '../../src/tokens/estimate.ts';

describe('before the tokenizer is loaded', () => {
  it('counts a token for every four characters, rounded up', () => {
    expect(encodingOf('gpt-3.5-never-loaded-here')('abcde')).toBe(2);
  });
});

describe('encodingName', () => {
  it.each([
    ['gpt-4', 'cl100k_base'],
    ['gpt-4-turbo', 'cl100k_base'],
    ['gpt-4-32k', 'cl100k_base'],
    ['gpt-3.5-turbo', 'cl100k_base'],
    ['text-embedding-3-small', 'cl100k_base'],
    ['openai/gpt-4', 'cl100k_base'],
    ['gpt-4o-mini', 'o200k_base'],
    ['gpt-4.1', 'o200k_base'],
    ['gpt-5', 'o200k_base'],
    ['o3', 'o200k_base'],
    ['claude-opus-4-7', 'o200k_base'],
    ['', 'o200k_base'],
  ])('%s is counted with %s', (model, name) => {
    expect(encodingName(model)).toBe(name);
  });
});

describe('estimateTokens', () => {
  beforeAll(async () => {
    await loadTokenizer();
  });

  const hello = { role: 'user', content: 'hello world' };

  it('counts four a message and the content', () => {
    expect(estimateTokens({ messages: [hello] })).toBe(4 + 2);
    expect(estimateTokens({ messages: [hello, hello] })).toBe(12);
  });

  it('counts null content with tool calls as a number', () => {
    const message = {
      role: 'assistant',
      content: null,
      tool_calls: [{ function: { name: 'get', arguments: '{"x":1}' } }],
    };
    const tokens = estimateTokens({ messages: [message] });
    expect(tokens).toBeGreaterThan(5);
    expect(Number.isInteger(tokens)).toBe(true);
  });

  it('counts an image as 500, beside its text', () => {
    const content = [
      { type: 'text', text: 'hello world' },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
    ];
    expect(estimateTokens({ messages: [{ role: 'user', content }] })).toBe(4 + 2 + 500);
    expect(estimateTokens({ messages: [{ role: 'user', content: [{ type: 'image', source: {} }] }] })).toBe(504);
  });

  it('counts a text part at least, whatever stands beside it', () => {
    const content = [
      { type: 'text', text: 'hello world' },
      { type: 'input_audio', input_audio: { data: 'A'.repeat(100_000) } },
    ];
    const tokens = estimateTokens({ messages: [{ role: 'user', content }] });
    expect(tokens).toBeGreaterThanOrEqual(6);
    expect(tokens).toBeLessThan(200);
  });

  it('adds the longest answer the caller allows', () => {
    expect(estimateTokens({ messages: [hello], max_tokens: 100 })).toBe(106);
    expect(estimateTokens({ messages: [hello], max_completion_tokens: 50, max_tokens: 100 })).toBe(56);
    expect(estimateTokens({ input: 'hello world', max_output_tokens: 10 })).toBe(12);
  });

  it('counts tools, instructions and system texts', () => {
    const plain = estimateTokens({ messages: [hello] });
    expect(
      estimateTokens({ messages: [hello], tools: [{ function: { name: 'get', parameters: {} } }] }),
    ).toBeGreaterThan(plain);
    expect(estimateTokens({ messages: [hello], system: [{ type: 'text', text: 'hello world' }] })).toBe(plain + 2);
    expect(estimateTokens({ input: 'hello world', instructions: 'hello world' })).toBe(4);
  });

  it('counts embedding inputs plainly: texts, token ids and lists of them', () => {
    expect(estimateTokens({ input: 'hello world' })).toBe(2);
    expect(estimateTokens({ input: ['hello world', 'hello world'] })).toBe(4);
    expect(estimateTokens({ input: [1, 2, 3] })).toBe(3);
    expect(estimateTokens({ input: [[1, 2], [3]] })).toBe(3);
  });

  it('counts untyped items of the Responses API', () => {
    expect(estimateTokens({ input: [{ role: 'user', content: 'hello world' }] })).toBe(6);
    expect(estimateTokens({ input: [{ type: 'function_call_output', call_id: 'c', output: 'hello world' }] })).toBe(6);
  });

  it('counts special tokens as text', () => {
    expect(estimateTokens({ input: '<|endoftext|>' })).toBeGreaterThan(1);
  });

  it('never throws and always gives a whole number of at least 0', () => {
    const circular: Record<string, unknown> = {};
    circular.self = circular;
    for (const payload of [
      {},
      { messages: [circular] },
      { messages: [null, 5, 'x'] },
      { messages: 7, input: circular },
    ]) {
      expect(Number.isInteger(estimateTokens(payload))).toBe(true);
    }
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom('messages', 'input', 'tools', 'system', 'max_tokens'), fc.anything()),
        (payload) => {
          const tokens = estimateTokens(payload);
          expect(Number.isInteger(tokens) && tokens >= 0).toBe(true);
        },
      ),
    );
  });
});
