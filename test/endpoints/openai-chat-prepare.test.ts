import { describe, expect, it, vi } from 'vitest';
import { chat, messages } from './openai-chat-upstream.ts';

describe('prepare', () => {
  it('overlays defaults with the request and changes neither', () => {
    const kwargs = { temperature: 0.1, stop: ['a'] };
    const request = { messages: [{ role: 'system', content: 's' }], temperature: 0.9 };
    const before = structuredClone({ kwargs, request });
    const payload = chat(kwargs).prepare(request);
    expect(payload).toEqual({ model: 'gpt-4o-mini', stop: ['a'], ...request });
    (payload.messages as { content: string }[])[0] = { content: 'changed' };
    expect({ kwargs, request }).toEqual(before);
  });

  it('names an unknown field and the nearest valid one', () => {
    expect(() => chat().prepare({ messages, temprature: 1 })).toThrow(
      /Unknown field `temprature`, got `1` \(number\); did you mean `temperature`\?/,
    );
    expect(() => chat().prepare({ messages, foo: 1 })).toThrow(/Unknown field `foo`/);
  });

  it('sends an unknown field with passthrough', () => {
    expect(chat({}, { passthrough: true }).prepare({ messages, foo: { a: 1 } })).toMatchObject({ foo: { a: 1 } });
    const payload = chat().prepare({ messages, foo: 1, passthrough: true });
    expect(payload).toEqual({ model: 'gpt-4o-mini', messages, foo: 1 });
  });

  it.each([
    [{ messages, temperature: 'hot' }, 'temperature'],
    [{ messages: [{ content: 'x' }] }, 'messages.0.role'],
    [{ messages: [{ role: null, content: 'x' }] }, 'messages.0.role'],
    [{ messages: 'hi' }, 'messages'],
    [{ messages, model: 5 }, 'model'],
    [{}, 'messages'],
  ])('names the field that is wrong in %j', (request, path) => {
    expect(() => chat().prepare(request)).toThrowError(
      expect.objectContaining({ failure: expect.objectContaining({ code: 'invalid_request', path }) }),
    );
  });

  it.each([
    [
      'audio parts',
      { messages: [{ role: 'user', content: [{ type: 'input_audio', input_audio: { data: '', format: 'wav' } }] }] },
    ],
    [
      'list content of tools',
      { messages: [{ role: 'tool', tool_call_id: 'a', content: [{ type: 'text', text: 'x' }] }] },
    ],
    ['null content', { messages: [{ role: 'assistant', content: null, tool_calls: [] }] }],
    ['required tools', { messages, tool_choice: 'required' }],
    ['any effort', { messages, reasoning_effort: 'xhigh' }],
    ['extra keys of messages', { messages: [{ role: 'assistant', content: 'x', reasoning_content: 'y' }] }],
  ])('passes %s', (_name, request) => {
    expect(chat().prepare(request)).toMatchObject(request);
  });

  it('fits a request to a reasoning model, and warns', () => {
    const warnings: string[] = [];
    const endpoint = chat({ model: 'o3' }, { onWarning: (message) => warnings.push(message) });
    const payload = endpoint.prepare({
      messages: [{ role: 'system', content: 's' }, ...messages],
      temperature: 0.5,
      max_tokens: 5,
      reasoning_effort: 'high',
    });
    expect(payload).toEqual({
      model: 'o3',
      messages: [{ role: 'developer', content: 's' }, ...messages],
      max_completion_tokens: 5,
      reasoning_effort: 'high',
    });
    expect(warnings).toEqual(['o3 takes no `temperature`: it was left out']);
  });

  it('leaves a request as it is when it shall not fit it', () => {
    const request = { messages: [{ role: 'system', content: 's' }], temperature: 0.5, max_tokens: 5 };
    const endpoint = chat({ model: 'o3' }, { fitToModel: false, onWarning: (message) => expect.fail(message) });
    expect(endpoint.prepare(request)).toEqual({ model: 'o3', ...request });
  });

  it('warns through the process, once, where nobody listens', () => {
    const emit = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const endpoint = chat({ model: 'o3' });
    for (const temperature of [0.1, 0.2]) endpoint.prepare({ messages, temperature });
    expect(emit.mock.calls).toEqual([['o3 takes no `temperature`: it was left out', 'IModelWarning']]);
    emit.mockRestore();
  });

  it.each([
    ['gpt-5.1', { reasoning_effort: 'none' }, true],
    ['gpt-5.1', {}, false],
    ['gpt-5', { reasoning_effort: 'none' }, false],
    ['gpt-5-chat-latest', {}, true],
    ['gpt-4o', {}, true],
    ['gpt-4o-search-preview', {}, false],
    ['my-own-model', {}, true],
  ])('%s %j keeps the temperature: %s', (model, more, keeps) => {
    expect('temperature' in chat({ model }).prepare({ messages, temperature: 1, ...more })).toBe(keeps);
  });

  it('refuses wrong defaults when it is made', () => {
    expect(() => chat({ temprature: 1 })).toThrowError(expect.objectContaining({ code: 'config' }));
    expect(() => chat({ temperature: 'hot' })).toThrowError(expect.objectContaining({ code: 'config' }));
  });
});
