import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Fields } from '../../src/endpoints/endpoint.ts';
import { matchEndpoint } from '../../src/providers/match.ts';

// Requests in OpenAI's words, as each vendor reads them. Nothing is sent.

const made = (provider: string, endpoint: string, options: object = {}) =>
  matchEndpoint(provider, endpoint, { apiKey: 'k', env: {}, kwargs: { model: 'm' }, ...options });

const png = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } };
const web = { type: 'image_url', image_url: { url: 'https://e.com/i.png' } };
const weather = { type: 'function', function: { name: 'weather', parameters: { type: 'object' } } };
const asks = (...ids: readonly string[]) => ({
  role: 'assistant',
  content: null,
  tool_calls: ids.map((id) => ({ id, type: 'function', function: { name: 'weather', arguments: '{"in":"Paris"}' } })),
});
const says = (id: string, content: unknown = 'sunny') => ({ role: 'tool', tool_call_id: id, content });

describe('to Anthropic', () => {
  const anthropic = made('anthropic', 'chat');
  const wire = (request: Fields) => anthropic.prepare({ max_tokens: 5, ...request });
  const turns = (...messages: readonly object[]) => wire({ messages }).messages;

  it('results of parallel calls stand together, before what the user says next', () => {
    expect(turns(asks('a', 'b'), says('b'), says('a'), { role: 'user', content: 'and?' })).toMatchObject([
      {
        role: 'assistant',
        content: [
          { type: 'tool_use', id: 'a' },
          { type: 'tool_use', id: 'b' },
        ],
      },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 'b' },
          { type: 'tool_result', tool_use_id: 'a' },
          { type: 'text', text: 'and?' },
        ],
      },
    ]);
  });

  it('ids of other vendors are written in the letters it takes, the same in call and result', () => {
    expect(turns(asks('functions.get:0'), says('functions.get:0'))).toMatchObject([
      { content: [{ id: 'functions_2eget_3a0' }] },
      { content: [{ tool_use_id: 'functions_2eget_3a0' }] },
    ]);
  });

  it('calls and results in the older form belong together', () => {
    const call = { role: 'assistant', content: null, function_call: { name: 'weather', arguments: '{"x":1}' } };
    expect(turns(call, { role: 'function', name: 'weather', content: 'sunny' })).toEqual([
      { role: 'assistant', content: [{ type: 'tool_use', id: 'weather', name: 'weather', input: { x: 1 } }] },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'weather', content: 'sunny' }] },
    ]);
  });

  it('turns without content are left out, but for an empty question at the end', () => {
    const [ask, nothing] = [
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: '' },
    ];
    expect(turns(ask, nothing, { role: 'user', content: 'there' })).toEqual([
      {
        role: 'user',
        content: [
          { type: 'text', text: 'hi' },
          { type: 'text', text: 'there' },
        ],
      },
    ]);
    expect(turns(ask, nothing)).toEqual([ask]);
    expect(turns(ask, { role: 'user', content: '' })).toMatchObject([{ role: 'user', content: [{ text: 'hi' }] }]);
    expect(turns({ role: 'user', content: '' })).toEqual([{ role: 'user', content: '' }]);
  });

  it('an answer that is to be gone on with ends in no white space', () => {
    expect(turns({ role: 'user', content: 'hi ' }, { role: 'assistant', content: 'I say: \n' })).toEqual([
      { role: 'user', content: 'hi ' },
      { role: 'assistant', content: 'I say:' },
    ]);
  });

  it('parallel calls are switched off only where there are tools to call', () => {
    expect(wire({ messages: [], parallel_tool_calls: false }).tool_choice).toBeUndefined();
    const request = { messages: [], tools: [weather], parallel_tool_calls: false };
    expect(wire(request).tool_choice).toEqual({ type: 'auto', disable_parallel_tool_use: true });
    expect(wire({ ...request, tool_choice: 'none' }).tool_choice).toEqual({ type: 'none' });
  });

  it('pictures and files are sources of its kinds', () => {
    const text = { type: 'file', file: { file_data: `data:text/plain;base64,${btoa('plain')}` } };
    expect(turns({ role: 'user', content: [png, web, text] })).toEqual([
      {
        role: 'user',
        content: [
          { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } },
          { type: 'image', source: { type: 'url', url: 'https://e.com/i.png' } },
          { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'plain' } },
        ],
      },
    ]);
    const svg = { type: 'image_url', image_url: { url: 'data:image/svg+xml,<svg/>' } };
    expect(() => turns({ role: 'user', content: [svg] })).toThrow(/base64 data URL/);
  });

  it('whatever the conversation, it keeps the rules of the vendor', () => {
    const text = fc.constantFrom('', ' ', 'a', 'b ');
    const part = fc.oneof(
      text.map((value) => ({ type: 'text', text: value })),
      fc.constantFrom(png, web),
    );
    const turn = fc.oneof(
      fc.record({ role: fc.constantFrom('user', 'system', 'developer', 'assistant'), content: text }),
      fc.record({ role: fc.constant('user'), content: fc.array(part, { maxLength: 3 }) }),
      fc.array(fc.constantFrom('a.1', 'b:2', 'c'), { minLength: 1, maxLength: 3 }).map((ids) => asks(...ids)),
      fc.constantFrom('a.1', 'b:2').map((id) => says(id)),
    );
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 8 }), (messages) => {
        const before = structuredClone(messages);
        const written = turns(...messages) as { role: string; content: string | Fields[] }[];
        for (const [index, { role, content }] of written.entries()) {
          expect(['user', 'assistant']).toContain(role);
          expect(role).not.toBe(written[index - 1]?.role);
          if (index < written.length - 1) expect(content.length).toBeGreaterThan(0);
          for (const block of typeof content === 'string' ? [] : content) {
            expect(block.text === undefined || String(block.text).trim() !== '').toBe(true);
            for (const id of [block.id, block.tool_use_id]) if (id !== undefined) expect(id).toMatch(/^[\w-]+$/);
          }
        }
        expect(messages).toEqual(before);
      }),
    );
  });
});

describe('to the Responses API', () => {
  const responses = made('openai', 'responses');
  const input = (...messages: readonly object[]) => responses.prepare({ messages }).input;

  it('results of parallel calls are items of their own, empty ones too', () => {
    expect(input(asks('a', 'b'), says('b', null), says('a', [{ type: 'text', text: 'sunny' }]))).toEqual([
      { type: 'function_call', call_id: 'a', name: 'weather', arguments: '{"in":"Paris"}' },
      { type: 'function_call', call_id: 'b', name: 'weather', arguments: '{"in":"Paris"}' },
      { type: 'function_call_output', call_id: 'b', output: '' },
      { type: 'function_call_output', call_id: 'a', output: [{ type: 'input_text', text: 'sunny' }] },
    ]);
  });

  it('tools of free text are called and answered as such', () => {
    const call = { id: 'c', type: 'custom', custom: { name: 'shell', input: 'ls' } };
    expect(input({ role: 'assistant', content: null, tool_calls: [call] }, says('c', 'files'))).toEqual([
      { type: 'custom_tool_call', call_id: 'c', name: 'shell', input: 'ls' },
      { type: 'custom_tool_call_output', call_id: 'c', output: 'files' },
    ]);
    const choice = { type: 'custom', custom: { name: 'shell' } };
    const { tools, tool_choice } = responses.prepare({ input: 'x', tools: [choice], tool_choice: choice });
    expect([tools, tool_choice]).toEqual([[{ type: 'custom', name: 'shell' }], { type: 'custom', name: 'shell' }]);
  });

  it('calls and results in the older form belong together', () => {
    const call = { role: 'assistant', content: null, function_call: { name: 'weather', arguments: '' } };
    expect(input(call, { role: 'function', name: 'weather', content: 'sunny' })).toEqual([
      { type: 'function_call', call_id: 'weather', name: 'weather', arguments: '{}' },
      { type: 'function_call_output', call_id: 'weather', output: 'sunny' },
    ]);
  });

  it('a choice among tools is written flat', () => {
    const named = { type: 'function', function: { name: 'weather' } };
    const choice = { type: 'allowed_tools', allowed_tools: { mode: 'required', tools: [named] } };
    expect(responses.prepare({ input: 'x', tool_choice: choice }).tool_choice).toEqual({
      type: 'allowed_tools',
      mode: 'required',
      tools: [{ type: 'function', name: 'weather' }],
    });
    for (const own of ['required', { type: 'function', name: 'weather' }, { type: 'web_search' }]) {
      expect(responses.prepare({ input: 'x', tool_choice: own }).tool_choice).toEqual(own);
    }
  });
});

describe('to Ollama', () => {
  const generate = made('ollama', 'generate');

  it('system turns, pictures and several speakers find their places in a completion', () => {
    const messages = [
      { role: 'system', content: 'be short' },
      { role: 'user', content: [{ type: 'text', text: 'what is this?' }, png] },
    ];
    expect(generate.prepare({ messages })).toEqual({
      model: 'm',
      system: 'be short',
      prompt: 'what is this?',
      images: ['AAAA'],
    });
    const more = [...messages, { role: 'assistant', content: 'a cat' }, { role: 'user', content: 'sure?' }];
    expect(generate.prepare({ messages: more }).prompt).toBe('User: what is this?\n\nAssistant: a cat\n\nUser: sure?');
  });

  it('what it cannot take is said before anything is sent', () => {
    expect(() => generate.prepare({ messages: [asks('a'), says('a')] })).toThrow(/`generate` has none, `chat` has/);
    const asked = { messages: [{ role: 'user', content: [web] }] };
    for (const endpoint of [generate, made('ollama', 'chat')]) {
      expect(() => endpoint.prepare(asked)).toThrow(/Ollama fetches no pictures, got `https:\/\/e\.com\/i\.png`/);
    }
  });
});

describe('to a host in no list', () => {
  const baseUrl = 'http://127.0.0.1:1/v1';

  it.each([
    ['chat', 'chat/completions'],
    ['', 'chat/completions'],
    ['responses', 'responses'],
    ['response', 'responses'],
    ['embed', 'embeddings'],
    ['v2/embeddings', 'v2/embeddings'],
    ['completions', 'completions'],
  ])('%j is asked at %s', (endpoint, path) => {
    const { config, requestOptions } = made('acme', endpoint, { baseUrl });
    expect([config.endpoint, config.timeout, requestOptions]).toEqual([path, 300, null]);
  });

  it('responses are asked for in their own words', () => {
    const { input, messages } = made('acme', 'responses', { baseUrl }).prepare({
      messages: [{ role: 'user', content: 'hi' }],
    });
    expect([input, messages]).toEqual([[{ role: 'user', content: 'hi' }], undefined]);
  });

  it('embeddings have no model unless one is given', () => {
    const embed = matchEndpoint('acme', 'embed', { baseUrl });
    expect(embed.prepare({ input: 'x', model: 'e', any: 1 })).toEqual({ model: 'e', input: 'x', any: 1 });
    expect(embed.prepare({ input: 'x' })).toEqual({ input: 'x' });
  });
});

describe('extra_body', () => {
  it('goes into the body as it is, unchecked and last', () => {
    const request = { messages: [], temperature: 1, extra_body: { new_field: { deep: true }, temperature: 9 } };
    expect(made('openai', 'chat').prepare(request)).toEqual({
      model: 'm',
      messages: [],
      temperature: 9,
      new_field: { deep: true },
    });
    expect(made('exa', 'search', { kwargs: {} }).prepare({ query: 'q', extra_body: { snake_case: 1 } })).toMatchObject({
      query: 'q',
      snake_case: 1,
    });
  });

  it('may be a default, which that of a request replaces', () => {
    const endpoint = made('groq', 'chat', { kwargs: { model: 'm', extra_body: { seen: 1 } } });
    expect(endpoint.prepare({ messages: [] })).toEqual({ model: 'm', messages: [], seen: 1 });
    expect(endpoint.prepare({ messages: [], extra_body: { other: 2 } })).toEqual({
      model: 'm',
      messages: [],
      other: 2,
    });
  });

  it('stays where the vendor has a field of that name, and is refused where it is no object', () => {
    const extra = { extra_body: { google: { cached_content: 'x' } } };
    expect(made('gemini', 'chat').prepare({ messages: [], ...extra })).toMatchObject(extra);
    expect(made('gemini', 'chat', { kwargs: { model: 'm', ...extra } }).prepare({ messages: [] })).toMatchObject(extra);
    expect(() => made('openai', 'chat').prepare({ messages: [], extra_body: 'x' })).toThrow(/`extra_body`/);
  });
});
