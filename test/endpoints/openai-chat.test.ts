import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Endpoint, Fields } from '../../src/endpoints/endpoint.ts';
import type { EndpointOptions } from '../../src/providers/endpoint-options.ts';
import { matchEndpoint } from '../../src/providers/match.ts';
import { startUpstream, type Upstream } from '../../src/testing/upstream.ts';
import { brief, run } from './run.ts';

let upstream: Upstream;
const endpoints: Endpoint[] = [];

beforeEach(async () => {
  upstream = await startUpstream();
});

afterEach(async () => {
  await Promise.all(endpoints.splice(0).map((endpoint) => endpoint.close()));
  await upstream.close();
});

function chat(kwargs: Fields = {}, options: EndpointOptions = {}): Endpoint {
  const made = matchEndpoint('openai', 'chat', {
    baseUrl: `${upstream.url}/v1`,
    apiKey: 'sk-test-0123456789',
    env: {},
    kwargs: { model: 'gpt-4o-mini', ...kwargs },
    ...options,
  });
  endpoints.push(made);
  return made;
}

const messages = [{ role: 'user', content: 'hi' }];
const piece = (delta: Fields, finish: string | null = null, more: Fields = {}) => ({
  id: 'c1',
  object: 'chat.completion.chunk',
  created: 7,
  model: 'm',
  choices: [{ index: 0, delta, finish_reason: finish }],
  ...more,
});

describe('one-shot', () => {
  it('posts the payload with a bearer key and reads the reply', async () => {
    const body = {
      id: 'c1',
      object: 'chat.completion',
      model: 'gpt-4o-mini',
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: 'Hello',
            tool_calls: [{ id: 'call_a', type: 'function', function: { name: 'get', arguments: '{"x":1}' } }],
          },
          finish_reason: 'tool_calls',
        },
      ],
      usage: {
        prompt_tokens: 9,
        completion_tokens: 7,
        total_tokens: 16,
        prompt_tokens_details: { cached_tokens: 4 },
        completion_tokens_details: { reasoning_tokens: 3 },
      },
    };
    upstream.handle((_request, reply) =>
      reply.json(body, 200, { 'x-ratelimit-remaining-requests': '9', 'x-ratelimit-reset-requests': '1s' }),
    );
    const { reply, events, limits } = await run(chat({ temperature: 0.5 }), { messages });
    expect(upstream.requests[0]?.path).toBe('/v1/chat/completions');
    expect(upstream.requests[0]?.headers.authorization).toBe('Bearer sk-test-0123456789');
    expect(upstream.requests[0]?.json()).toEqual({ model: 'gpt-4o-mini', messages, temperature: 0.5 });
    expect(reply?.response).toEqual(body);
    expect(reply?.view).toEqual({
      text: 'Hello',
      thinking: '',
      toolUses: [{ id: 'call_a', name: 'get', input: { x: 1 } }],
      finishReason: 'tool_calls',
      usage: {
        inputTokens: 9,
        outputTokens: 7,
        totalTokens: 16,
        cachedInputTokens: 4,
        reasoningTokens: 3,
        raw: body.usage,
      },
    });
    expect(events).toEqual(['sent', 'answered']);
    expect(limits[0]?.requests?.remaining).toBe(9);
  });

  it('takes any success with JSON, and 204 as null', async () => {
    upstream.handle((_request, reply) => reply.json({ choices: [{ message: { content: 'x' } }] }, 201));
    expect((await run(chat(), { messages })).reply?.view.text).toBe('x');
    upstream.handle((_request, reply) => void reply.raw.writeHead(204).end());
    expect((await run(chat(), { messages })).reply?.response).toBe(null);
    expect(upstream.requests).toHaveLength(2);
  });

  it('fails for a success that is no JSON, with an excerpt', async () => {
    upstream.handle((_request, reply) => reply.text(`<html>${'x'.repeat(500)}`));
    const { error } = await run(chat(), { messages });
    const excerpt = `<html>${'x'.repeat(194)}`;
    expect(error?.failure).toMatchObject({ code: 'malformed', retryable: false, excerpt });
  });

  it('fails for a success whose body is an error', async () => {
    upstream.handle((_request, reply) => reply.json({ error: { message: 'No credits', code: 402 } }));
    expect((await run(chat(), { messages })).error?.failure).toMatchObject({ code: 'rejected', reason: '402' });
  });

  it('maps an error reply, without the key', async () => {
    upstream.handle((_request, reply) =>
      reply.json(
        { error: { message: 'Incorrect API key provided: sk-test-0123456789', code: 'invalid_api_key' } },
        401,
        {
          'x-request-id': 'req_9',
        },
      ),
    );
    const { error } = await run(chat(), { messages });
    expect(error?.failure).toMatchObject({
      code: 'unauthorized',
      status: 401,
      reason: 'invalid_api_key',
      requestId: 'req_9',
    });
    expect(JSON.stringify(error)).not.toContain('sk-test-0123456789');
  });

  it('refuses a redirect', async () => {
    upstream.handle((_request, reply) => void reply.raw.writeHead(307, { location: 'http://10.0.0.1/' }).end());
    const { error } = await run(chat(), { messages });
    expect(error?.failure).toMatchObject({ code: 'rejected', status: 307 });
    expect(error?.message).toContain('redirect');
  });

  it('never sends what belongs to streams', async () => {
    await run(chat(), { messages, stream: true, stream_options: { include_usage: true } });
    expect(upstream.requests[0]?.json()).toEqual({ model: 'gpt-4o-mini', messages });
  });
});

describe('streams', () => {
  const twoTools = [
    piece({ role: 'assistant', content: '' }),
    piece({ content: 'Hi' }),
    piece({
      content: ' there',
      tool_calls: [{ index: 0, id: 'call_a', type: 'function', function: { name: 'get', arguments: '' } }],
    }),
    piece({ tool_calls: [{ index: 1, id: 'call_b', type: 'function', function: { name: 'put', arguments: '{"y"' } }] }),
    piece({
      tool_calls: [
        { index: 0, function: { arguments: '{"x":' } },
        { index: 1, function: { arguments: ':2}' } },
      ],
    }),
    piece({ tool_calls: [{ index: 0, function: { arguments: '1}' } }] }),
    piece({}, 'tool_calls', { usage: null }),
    { id: 'c1', choices: [], usage: { prompt_tokens: 9, completion_tokens: 7, total_tokens: 16 } },
  ];
  const twoToolsBrief = [
    ['system'],
    ['text', 'Hi'],
    ['text', ' there'],
    ['tool delta', 'call_a', ''],
    ['tool delta', 'call_b', '{"y"'],
    ['tool delta', 'call_a', '{"x":'],
    ['tool delta', 'call_b', ':2}'],
    ['tool delta', 'call_a', '1}'],
    ['tool', 'call_a', 'get', { x: 1 }],
    ['tool', 'call_b', 'put', { y: 2 }],
    ['result', 'tool_calls'],
  ];

  it.each([
    ['with [DONE]', ['[DONE]']],
    ['without [DONE]', []],
    ['with two [DONE]', ['[DONE]', '[DONE]']],
  ])('reads text and two interleaved tool calls %s', async (_name, tail) => {
    upstream.handle(async (_request, reply) => {
      await reply.events([...twoTools, ...tail]);
      reply.end();
    });
    const { chunks, reply } = await run(chat(), { messages }, { stream: true });
    expect(chunks.map(brief)).toEqual(twoToolsBrief);
    expect(chunks[0]?.metadata).toEqual({ id: 'c1', model: 'm', provider: 'openai' });
    expect(chunks.at(-1)?.metadata).toMatchObject({
      done: true,
      finishReason: 'tool_calls',
      rawFinishReason: 'tool_calls',
      model: 'm',
      id: 'c1',
      usage: { inputTokens: 9, outputTokens: 7, totalTokens: 16 },
    });
    expect(reply?.view).toMatchObject({ text: 'Hi there', finishReason: 'tool_calls' });
    expect(reply?.response).toEqual({
      id: 'c1',
      object: 'chat.completion',
      created: 7,
      model: 'm',
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: 'Hi there',
            tool_calls: [
              { id: 'call_a', type: 'function', function: { name: 'get', arguments: '{"x":1}' } },
              { id: 'call_b', type: 'function', function: { name: 'put', arguments: '{"y":2}' } },
            ],
          },
          finish_reason: 'tool_calls',
        },
      ],
      usage: { prompt_tokens: 9, completion_tokens: 7, total_tokens: 16 },
    });
    expect(upstream.requests[0]?.json()).toMatchObject({ stream: true, stream_options: { include_usage: true } });
  });

  it('reads the same wherever the bytes are cut', async () => {
    const events = [piece({ content: 'grüße 👋' }), ...twoTools.slice(2)];
    const bytes = Buffer.from(events.map((event) => `: note\r\ndata: ${JSON.stringify(event)}\r\n\r\n`).join(''));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 12 }), async (places) => {
        const edges = [0, ...places.sort((a, b) => a - b), bytes.length];
        upstream.handle(async (_request, reply) => {
          reply.open();
          for (const [index, edge] of edges.slice(1).entries()) await reply.write(bytes.subarray(edges[index], edge));
          reply.end();
        });
        const { chunks } = await run(chat(), { messages }, { stream: true });
        expect(chunks.map(brief)).toEqual([['system'], ['text', 'grüße 👋'], ...twoToolsBrief.slice(2)]);
      }),
      { numRuns: 30 },
    );
  });

  it('reads calls without an index, with a signature of their own, ending in stop', async () => {
    upstream.handle(async (_request, reply) => {
      await reply.events([
        piece({
          tool_calls: [
            {
              id: 'a',
              type: 'function',
              function: { name: 'get', arguments: '{"x":1}' },
              extra_content: { google: { thought_signature: 'c2ln' } },
            },
          ],
        }),
        piece({ tool_calls: [{ id: 'b', type: 'function', function: { name: 'put', arguments: '{}' } }] }),
        piece({ tool_calls: [{ extra_content: { google: { thought_signature: 'bmV4dA==' } } }] }),
        piece({}, 'stop'),
        '[DONE]',
      ]);
      reply.end();
    });
    const { chunks, reply } = await run(chat(), { messages }, { stream: true });
    const finals = chunks.filter((chunk) => chunk.type === 'tool_use' && chunk.isDelta === false);
    expect(finals.map((chunk) => chunk.metadata?.extraContent)).toEqual([
      { google: { thought_signature: 'c2ln' } },
      { google: { thought_signature: 'bmV4dA==' } },
    ]);
    expect(reply?.view.finishReason).toBe('tool_calls');
    expect(chunks.at(-1)?.metadata).toMatchObject({ finishReason: 'tool_calls', rawFinishReason: 'stop' });
  });

  it('marks arguments that are no JSON object', async () => {
    upstream.handle(async (_request, reply) => {
      await reply.events([
        piece({ tool_calls: [{ index: 0, id: 'a', function: { name: 'get', arguments: '{"x":' } }] }),
        piece({}, 'length'),
      ]);
      reply.end();
    });
    const { chunks, reply } = await run(chat(), { messages }, { stream: true });
    const final = chunks.find((chunk) => chunk.type === 'tool_use' && chunk.isDelta === false);
    expect(final).toMatchObject({
      toolInput: {},
      isError: true,
      metadata: { rawArguments: '{"x":', parseError: expect.any(String) },
    });
    expect(reply?.view.toolUses).toEqual([{ id: 'a', name: 'get', input: {}, rawArguments: '{"x":' }]);
  });

  it('reads reasoning under both names, refusals, and usage where Groq puts it', async () => {
    upstream.handle(async (_request, reply) => {
      await reply.events([
        piece({ content: null, reasoning_content: 'We' }),
        piece({ reasoning: ' think' }),
        piece({ refusal: 'No.' }),
        piece({}, 'stop', { x_groq: { usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 } } }),
      ]);
      reply.end();
    });
    const { chunks, reply } = await run(chat(), { messages }, { stream: true });
    expect(chunks.map(brief)).toEqual([
      ['system'],
      ['thinking', 'We'],
      ['thinking', ' think'],
      ['text', 'No.', { refusal: true }],
      ['result', 'refusal'],
    ]);
    expect(reply?.view).toMatchObject({ thinking: 'We think', text: 'No.', usage: { totalTokens: 3 } });
  });

  it('tells what was said apart from the refusal that came after it', async () => {
    upstream.handle(async (_request, reply) => {
      await reply.events([piece({ content: 'Well, ' }), piece({ refusal: 'no.' }), piece({}, 'stop')]);
      reply.end();
    });
    const { reply } = await run(chat(), { messages }, { stream: true });
    expect(reply?.view).toMatchObject({ text: 'Well, no.', finishReason: 'refusal' });
    expect(reply?.response).toMatchObject({ choices: [{ message: { content: 'Well, ', refusal: 'no.' } }] });
  });

  it('keeps other choices out of the text', async () => {
    upstream.handle(async (_request, reply) => {
      await reply.events([
        {
          id: 'c1',
          choices: [
            { index: 1, delta: { content: 'B' } },
            { index: 0, delta: { content: 'A' } },
          ],
        },
        {
          id: 'c1',
          choices: [
            { index: 0, delta: {}, finish_reason: 'stop' },
            { index: 1, delta: {}, finish_reason: 'length' },
          ],
        },
      ]);
      reply.end();
    });
    const { chunks, reply } = await run(chat(), { messages, n: 2 }, { stream: true });
    expect(reply?.view.text).toBe('A');
    expect(chunks.map(({ type, content, metadata }) => [type, content ?? metadata?.event])).toEqual([
      ['system', undefined],
      ['system', 'choice'],
      ['text', 'A'],
      ['system', 'choice'],
      ['result', undefined],
    ]);
    expect(chunks[1]?.metadata).toEqual({
      event: 'choice',
      index: 1,
      delta: { content: 'B' },
      finishReason: null,
      logprobs: null,
    });
    expect(chunks.at(-1)?.metadata?.otherChoices).toEqual([{ index: 1, text: 'B', finishReason: 'length' }]);
    expect(reply?.response).toMatchObject({ choices: [{ index: 0 }, { index: 1, finish_reason: 'length' }] });
  });

  it('hands on how likely each token was, with its text, and puts it all together', async () => {
    const chance = (token: string) => ({ token, logprob: -0.5, bytes: null, top_logprobs: [] });
    const likely = (...tokens: string[]) => ({ content: tokens.map(chance), refusal: null });
    upstream.handle(async (_request, reply) => {
      await reply.events([
        { id: 'c1', choices: [{ index: 0, delta: { content: '' }, logprobs: { content: [], refusal: null } }] },
        { id: 'c1', choices: [{ index: 0, delta: { content: 'Hel' }, logprobs: likely('H', 'el') }] },
        { id: 'c1', choices: [{ index: 0, delta: { content: 'lo' }, logprobs: likely('lo') }] },
        { id: 'c1', choices: [{ index: 1, delta: { content: 'Hi' }, logprobs: likely('Hi') }] },
        { id: 'c1', choices: [{ index: 0, delta: {}, logprobs: null, finish_reason: 'stop' }] },
      ]);
      reply.end();
    });
    const { chunks, reply } = await run(chat(), { messages, n: 2, logprobs: true }, { stream: true });
    const texts = chunks.filter(({ type }) => type === 'text');
    expect(texts.map(({ content, metadata }) => [content, metadata?.logprobs])).toEqual([
      ['Hel', likely('H', 'el')],
      ['lo', likely('lo')],
    ]);
    expect(reply?.response).toMatchObject({
      choices: [
        { message: { content: 'Hello' }, logprobs: likely('H', 'el', 'lo') },
        { message: { content: 'Hi' }, logprobs: likely('Hi') },
      ],
    });
  });

  it('takes an event of 300 KiB', async () => {
    const text = 'x'.repeat(300 * 1_024);
    upstream.handle(async (_request, reply) => {
      await reply.events([piece({ content: text }), piece({}, 'stop')]);
      reply.end();
    });
    expect((await run(chat(), { messages }, { stream: true })).reply?.view.text).toBe(text);
  });

  it.each([
    ['as the first event', [], ['error']],
    ['in the middle', [piece({ content: 'Hi' })], ['system', 'text', 'error']],
  ])('ends with an error chunk and a rejection when the vendor reports one %s', async (_name, before, types) => {
    upstream.handle(async (_request, reply) => {
      await reply.events([
        ...before,
        { error: { message: 'The server had an error', type: 'server_error', code: null } },
      ]);
    });
    const { chunks, error } = await run(chat(), { messages }, { stream: true });
    expect(chunks.map(({ type }) => type)).toEqual(types);
    expect(error?.failure).toMatchObject({ code: 'unavailable', retryable: true });
    expect(chunks.at(-1)).toMatchObject({
      isError: true,
      metadata: { failure: error?.failure, retryable: true, type: 'unavailable' },
    });
    await (await upstream.request(0)).closed;
  });

  it.each([
    ['ends without a finish reason', (reply: { end(): void; cut(): void }) => reply.end(), 'stream_ended_early'],
    ['is cut off', (reply: { end(): void; cut(): void }) => reply.cut(), undefined],
  ])('fails when the stream %s', async (_name, stop, reason) => {
    upstream.handle(async (_request, reply) => {
      await reply.events([piece({ content: 'Hi' })]);
      stop(reply);
    });
    const { chunks, error, reply } = await run(chat(), { messages }, { stream: true });
    expect(reply).toBe(null);
    expect(chunks.map(({ type }) => type)).toEqual(['system', 'text', 'error']);
    expect(error?.failure).toMatchObject({
      code: 'unavailable',
      retryable: true,
      ...(reason === undefined ? {} : { reason }),
    });
  });

  it('fails for an event that is no JSON', async () => {
    upstream.handle((_request, reply) => reply.events([piece({ content: 'Hi' }), '{"broken']));
    const { error } = await run(chat(), { messages }, { stream: true });
    expect(error?.failure).toMatchObject({ code: 'malformed', excerpt: '{"broken' });
  });

  it('writes a reply that came in one piece as a stream of one', async () => {
    upstream.handle((_request, reply) =>
      reply.json({ choices: [{ message: { content: 'All' }, finish_reason: 'stop' }] }),
    );
    const { chunks } = await run(chat(), { messages }, { stream: true });
    expect(chunks.map(brief)).toEqual([['system'], ['text', 'All'], ['result', 'stop']]);
  });

  it('rejects without a chunk when the stream is refused', async () => {
    upstream.handle((_request, reply) => reply.json({ error: { message: 'Slow down' } }, 429, { 'retry-after': '2' }));
    const { chunks, error } = await run(chat(), { messages }, { stream: true });
    expect(chunks).toEqual([]);
    expect(error?.failure).toMatchObject({ code: 'rate_limited', retryAfterMs: 2_000 });
  });

  it('rejects with the signal’s reason after the socket is closed, without an error chunk', async () => {
    upstream.handle((_request, reply) => reply.events([piece({ content: 'Hi' })]));
    const abort = new AbortController();
    const { chunks, error } = await run(
      chat(),
      { messages },
      {
        stream: true,
        signal: abort.signal,
        onChunk: ({ type }) => {
          if (type === 'text') abort.abort(new (class extends Error {})('gone'));
        },
      },
    ).catch((reason: Error) => ({ chunks: [], error: reason }));
    expect(error?.message).toBe('gone');
    expect(chunks).toEqual([]);
    await (await upstream.request(0)).closed;
  });

  it('holds the upstream back while the sink is full', async () => {
    let written = 0;
    upstream.handle(async (_request, reply) => {
      reply.open();
      for (let i = 0; i < 200; i += 1) {
        await reply.write(`data: ${JSON.stringify(piece({ content: 'x'.repeat(100_000) }))}\n\n`);
        written += 1;
      }
      await reply.events([piece({}, 'stop')]);
      reply.end();
    });
    const endpoint = chat();
    let resume: (() => void) | null = null;
    let full = true;
    let seen = 0;
    const done = endpoint.run({
      callId: 'c',
      payload: endpoint.prepare({ messages }),
      transport: {},
      signal: new AbortController().signal,
      sink: {
        write() {
          seen += 1;
          return !full;
        },
        onDrain(callback) {
          resume = callback;
        },
      },
      sent() {},
      answered() {},
    });
    await expect.poll(() => resume).not.toBe(null);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(written).toBeLessThan(200);
    full = false;
    (resume as (() => void) | null)?.();
    await done;
    expect(seen).toBe(202);
  });
});

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
