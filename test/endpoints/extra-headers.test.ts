import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { iModel } from '../../src/imodel.ts';
import type { IModelOptions } from '../../src/imodel-options.ts';
import { startUpstream, type Upstream } from '../../src/testing/upstream.ts';

const messages = [{ role: 'user', content: 'hello' }];
const answer = { choices: [{ message: { role: 'assistant', content: 'hi' }, finish_reason: 'stop' }] };

let upstream: Upstream;
beforeEach(async () => {
  upstream = await startUpstream((_request, reply) => reply.json(answer));
});
afterEach(() => upstream.close());

const open = (options: IModelOptions = {}) =>
  new iModel({ model: 'openai/gpt-4o', apiKey: 'sk-of-nobody', baseUrl: upstream.url, retry: null, ...options });

describe('headers of one request', () => {
  it('go with it and with no other, and are no part of its body', async () => {
    await using model = open({ headers: { 'OpenAI-Beta': 'all', 'x-own': '1' } });
    const call = await model.invoke({ messages, extra_headers: { 'openai-beta': 'this', 'X-Trace': 'a b' } });
    await model.invoke({ messages });
    const [first, second] = upstream.requests;
    expect(first?.headers).toMatchObject({
      'openai-beta': 'this',
      'x-trace': 'a b',
      'x-own': '1',
      authorization: 'Bearer sk-of-nobody',
      'content-type': 'application/json',
    });
    expect(second?.headers).toMatchObject({ 'openai-beta': 'all' });
    expect(second?.headers).not.toHaveProperty('x-trace');
    expect(first?.json()).toEqual(second?.json());
    expect(JSON.stringify(call.toDict())).not.toContain('a b');
  });

  it('go with each attempt, streamed ones too, and to hosts that take any field', async () => {
    let count = 0;
    upstream.handle((_request, reply) => (count++ === 0 ? reply.json({}, 500) : reply.json(answer)));
    await using model = open({ provider: 'local', model: 'm', retry: { baseDelay: 0.001 } });
    for await (const _chunk of model.stream({ messages, extra_headers: { 'x-trace': '7' } }));
    expect(upstream.requests.map(({ headers }) => headers['x-trace'])).toEqual(['7', '7']);
    expect(upstream.requests[0]?.json()).not.toHaveProperty('extra_headers');
  });

  it.each([
    ['authorization', { Authorization: 'Bearer other' }],
    ['x-api-key', { 'X-API-Key': 'other' }],
    ['one of the iModel’s that carries a credential', { 'x-Proxy-Token': 'other' }],
    ['content-length', { 'content-length': '3' }],
    ['host', { host: 'elsewhere' }],
    ['a name that is none', { 'a b': 'x' }],
    ['a line break', { 'x-a': 'secret-1\r\nauthorization: Bearer other' }],
    ['a number', { 'x-a': 7 }],
    ['no object', 'x-a: 7'],
  ])('are refused with their name, and nothing is sent: %s', async (_name, headers) => {
    await using model = open({ headers: { 'X-Proxy-Token': 'mine' } });
    const error = await model.invoke({ messages, extra_headers: headers }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'invalid_request',
      failure: { path: expect.stringMatching(/^extra_headers/) },
    });
    expect(JSON.stringify(error)).not.toMatch(/other|secret-1/);
    expect(upstream.requests).toHaveLength(0);
  });

  it('are written with a call that waits, but those that carry a credential', async () => {
    await using model = open();
    model.pause();
    const waiting = model.invoke({ messages, extra_headers: { 'x-trace': 'seen', 'x-vault-token': 'hidden-1' } });
    const written = model.toDict({ state: true });
    expect(JSON.stringify(written)).toContain('seen');
    expect(JSON.stringify(written)).not.toContain('hidden-1');
    await using restored = iModel.fromDict(written, { apiKey: 'sk-of-nobody' });
    restored.resume();
    const { headers } = await upstream.request(0);
    expect(headers['x-trace']).toBe('seen');
    expect(headers).not.toHaveProperty('x-vault-token');
    await model.close({ drain: false });
    await waiting.catch(() => {});
  });

  it('are not for the vendor of a fallback', async () => {
    const other = await startUpstream((_request, reply) => reply.json(answer));
    upstream.handle((_request, reply) => reply.json({}, 500));
    await using model = open({
      fallbacks: [{ provider: 'local', model: 'm', baseUrl: other.url }],
    });
    expect(await model.invoke({ messages, extra_headers: { 'x-trace': '1' } })).toMatchObject({ text: 'hi' });
    expect(other.requests[0]?.headers).not.toHaveProperty('x-trace');
    await other.close();
  });

  it('go with a file to the model that stands in', async () => {
    const other = await startUpstream((_request, reply) => reply.json({ text: 'heard' }));
    upstream.handle((_request, reply) => reply.json({}, 500));
    const whisper = { provider: 'openai', endpoint: 'audio/transcriptions', apiKey: 'sk-of-nobody' };
    await using model = open({ ...whisper, model: 'whisper-1', fallbacks: [{ ...whisper, baseUrl: other.url }] });
    expect(await model.invoke({ file: new Uint8Array([1, 2, 3]) })).toMatchObject({ text: 'heard' });
    expect(String(other.requests[0]?.body)).toContain('\u0001\u0002\u0003');
    await other.close();
  });
});
