import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Endpoint, Fields } from '../../src/endpoints/endpoint.ts';
import { matchEndpoint } from '../../src/providers/match.ts';
import { startUpstream, type Upstream } from '../../src/testing/upstream.ts';
import { brief, type Outcome, run } from './run.ts';

// Hosts that speak OpenAI's protocol with an accent of their own.

let upstream: Upstream;
let endpoint: Endpoint;

beforeEach(async () => {
  upstream = await startUpstream();
  endpoint = matchEndpoint('local', 'chat', { baseUrl: upstream.url, kwargs: { model: 'm' } });
});

afterEach(async () => {
  await endpoint.close();
  await upstream.close();
});

/** What comes of a stream with this body. */
function stream(body: string): Promise<Outcome> {
  upstream.handle((_request, reply) => reply.text(body, 200, { 'content-type': 'text/event-stream' }));
  return run(endpoint, { messages: [] }, { stream: true });
}

const written = (...events: readonly unknown[]): string =>
  events.map((event) => `data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`).join('');
const piece = (delta: Fields, finish: string | null = null): Fields => ({
  choices: [{ index: 0, delta, finish_reason: finish }],
});
const call = (fields: Fields, name?: string, args?: string): Fields => ({
  tool_calls: [{ ...fields, function: { ...(name && { name }), ...(args !== undefined && { arguments: args }) } }],
});
const tools = ({ reply }: Outcome) => reply?.view.toolUses.map(({ name, input }) => [name, input]);

describe('tool calls in streams', () => {
  it('that all have the index 0 are told apart by their ids, as Gemini sends them', async () => {
    const outcome = await stream(
      written(
        piece(call({ index: 0, id: 'a' }, 'get', '{"x":1}')),
        piece(call({ index: 0, id: 'b' }, 'get', '{"x":2}')),
        piece({}, 'stop'),
        '[DONE]',
      ),
    );
    expect(tools(outcome)).toEqual([
      ['get', { x: 1 }],
      ['get', { x: 2 }],
    ]);
    expect(outcome.reply?.view.finishReason).toBe('tool_calls');
  });

  it.each([
    ['whose fragments repeat their id', { index: 0, id: 'a' }],
    ['whose fragments have another id every time, and no name', { index: 0, id: 'other' }],
    ['whose fragments have an index of null', { index: null, id: 'a' }],
    ['whose fragments have an empty id', { index: 0, id: '' }],
  ])('%s are put together', async (_how, later) => {
    const outcome = await stream(
      written(
        piece(call({ index: later.index, id: 'a' }, 'get', '{"x":')),
        piece(call(later, undefined, '1}')),
        piece({}, 'tool_calls'),
        '[DONE]',
      ),
    );
    expect(tools(outcome)).toEqual([['get', { x: 1 }]]);
  });

  it('that come out of order are kept apart', async () => {
    const outcome = await stream(
      written(
        piece(call({ index: 1, id: 'b' }, 'two', '{"x":')),
        piece(call({ index: 0, id: 'a' }, 'one', '')),
        piece(call({ index: 1 }, undefined, '2}')),
        piece(call({ index: 0 }, undefined, '{"x":1}')),
        piece({}, 'tool_calls'),
        '[DONE]',
      ),
    );
    expect(tools(outcome)).toEqual([
      ['two', { x: 2 }],
      ['one', { x: 1 }],
    ]);
  });

  it('whose name comes late and whose arguments are no text are taken', async () => {
    const outcome = await stream(
      written(
        piece(call({ index: 0, id: 'a' })),
        piece({ tool_calls: [{ index: 0, function: { name: 'get', arguments: { x: 1 } } }] }),
        piece({}, 'tool_calls'),
      ),
    );
    expect(tools(outcome)).toEqual([['get', { x: 1 }]]);
  });
});

describe('who answers', () => {
  it('is told by the first event that says so, as Azure sends them', async () => {
    const { chunks } = await stream(
      written(
        { id: '', model: '', object: '', choices: [], prompt_filter_results: [] },
        { id: 'c1', model: 'gpt', ...piece({ content: 'hi' }) },
        piece({}, 'stop'),
        '[DONE]',
      ),
    );
    expect(chunks[0]).toMatchObject({ type: 'system', metadata: { id: 'c1', model: 'gpt' } });
    expect(chunks.at(-1)?.metadata).toMatchObject({ id: 'c1', model: 'gpt' });
  });
});

describe('what went wrong in the middle of a stream', () => {
  const half = written(piece({ content: 'half' }));

  it.each([
    ['as bare JSON, as Ollama does', '{"error":"the runner has stopped"}\n', 'the runner has stopped'],
    ['as bare JSON over several lines', '{\n  "error": {\n    "message": "all gone"\n  }\n}\n', 'all gone'],
    ['as an event called error', 'event: error\ndata: {"message":"boom","code":500}\n\n', 'boom'],
    ['as an object called error, as vLLM does', 'data: {"object":"error","message":"boom","code":400}\n\n', 'boom'],
    [
      'in a list of one, as Google does',
      'data: [{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}]\n\n',
      'overloaded',
    ],
    ['as a text', 'data: {"error":"quite simple"}\n\n', 'quite simple'],
    ['beside choices', `data: {"error":{"message":"late"},"choices":[]}\n\n`, 'late'],
  ])('is heard %s', async (_how, report, message) => {
    const { error, chunks } = await stream(`${half}${report}data: [DONE]\n\n`);
    expect(error?.message).toContain(message);
    expect(chunks.map(brief)).toEqual([['system'], ['text', 'half'], ['error', error?.message]]);
  });

  it('is not seen in lines that are no JSON', async () => {
    const body = `${half}\nretry: 3\nfoo: {bar}\n{not json}\n${written(piece({}, 'stop'), '[DONE]')}`;
    expect((await stream(body)).reply?.view.text).toBe('half');
  });
});

describe('OpenRouter', () => {
  const metadata = { raw: '{"error":{"message":"the real reason"}}', provider_name: 'Acme' };
  const error = { code: 502, message: 'Provider returned error', metadata };

  beforeEach(() => {
    endpoint = matchEndpoint('openrouter', 'chat', { baseUrl: upstream.url, apiKey: 'k', env: {} });
  });

  it.each([
    ['with a status', () => upstream.handle((_request, reply) => reply.json({ error }, 502)), false],
    ['with status 200', () => upstream.handle((_request, reply) => reply.json({ error })), false],
    [
      'in a stream',
      () =>
        upstream.handle(async (_request, reply) => {
          await reply.events([piece({ content: 'half' }), { error, ...piece({ content: '' }, 'error') }]);
          reply.end();
        }),
      true,
    ],
  ])('says what the vendor behind it says: %s', async (_how, play, streaming) => {
    play();
    const outcome = await run(endpoint, { messages: [] }, { stream: streaming });
    expect(outcome.error).toMatchObject({ code: 'unavailable' });
    expect(outcome.error?.message).toContain('Acme: the real reason');
  });

  it('says what an input was flagged for, which is no matter of the key', async () => {
    const flagged = { reasons: ['violence', 'self-harm'], flagged_input: 'x', provider_name: 'Acme', model_slug: 'm' };
    const body = { error: { code: 403, message: 'Your input was flagged', metadata: flagged } };
    upstream.handle((_request, reply) => reply.json(body, 403));
    const { error: failed } = await run(endpoint, { messages: [] });
    expect(failed?.failure).toMatchObject({ code: 'filtered', status: 403, retryable: false });
    expect(failed?.message).toContain('Your input was flagged (moderation: violence, self-harm)');
  });
});

describe('a host that streams', () => {
  const events = written(piece({ content: 'hé' }), piece({}, 'stop'), '[DONE]');
  const answer = (body: string, type: string): void =>
    upstream.handle((_request, reply) => reply.text(body, 200, { 'content-type': type }));

  it('though it was not asked to is read to the end', async () => {
    answer(`: hello\n\n${events}`, 'text/event-stream');
    const { reply, chunks } = await run(endpoint, { messages: [] });
    expect(reply?.view).toMatchObject({ text: 'hé', finishReason: 'stop' });
    expect(reply?.response).toMatchObject({ choices: [{ message: { content: 'hé' } }] });
    expect(chunks).toEqual([]);
    answer(written(piece({ content: 'hé' })), 'text/event-stream');
    expect((await run(endpoint, { messages: [] })).error).toMatchObject({ code: 'unavailable' });
  });

  it('and calls it JSON is understood', async () => {
    answer(events, 'application/json');
    const { chunks } = await run(endpoint, { messages: [] }, { stream: true });
    expect(chunks.map(brief)).toEqual([['system'], ['text', 'hé'], ['result', 'stop']]);
    answer(written(piece({ content: 'hé' }), { error: { message: 'gone' } }), 'application/json');
    const broken = await run(endpoint, { messages: [] }, { stream: true });
    expect(broken.chunks.map(brief)).toEqual([['system'], ['text', 'hé'], ['error', expect.stringContaining('gone')]]);
  });
});

it('reads JSON behind a byte order mark', async () => {
  const body = JSON.stringify({ choices: [{ message: { content: 'hi' }, finish_reason: 'stop' }] });
  upstream.handle((_request, reply) => reply.text(`\ufeff${body}`, 200, { 'content-type': 'application/json' }));
  expect((await run(endpoint, { messages: [] })).reply?.view.text).toBe('hi');
});

describe('steps of a search before the answer, as Perplexity tells them', () => {
  const search = {
    thought: 'Searching the web',
    type: 'web_search',
    web_search: { search_keywords: ['Seattle weather'], search_results: [] },
  };
  const fetched = { thought: 'Reading a page', type: 'fetch_url_content', fetch_url_content: { contents: [] } };

  it('are thinking, each once, and stay with the answer of a stream', async () => {
    const outcome = await stream(
      written(
        { ...piece({ role: 'assistant', content: '', reasoning_steps: [search] }), object: 'chat.reasoning' },
        { ...piece({ content: '', reasoning_steps: [search, fetched] }), object: 'chat.reasoning' },
        {
          object: 'chat.reasoning.done',
          choices: [{ index: 0, message: { content: '', reasoning_steps: [search, fetched] }, finish_reason: null }],
        },
        { ...piece({ content: 'Sunny.' }), object: 'chat.completion.chunk' },
        { ...piece({ content: '' }, 'stop'), object: 'chat.completion.done' },
      ),
    );
    expect(outcome.chunks.map(brief)).toEqual([
      ['system'],
      ['thinking', 'Searching the web'],
      ['thinking', '\nReading a page'],
      ['text', 'Sunny.'],
      ['result', 'stop'],
    ]);
    expect(outcome.reply?.view).toMatchObject({ thinking: 'Searching the web\nReading a page', text: 'Sunny.' });
    expect(outcome.reply?.response).toMatchObject({
      choices: [{ message: { content: 'Sunny.', reasoning_steps: [search, fetched] } }],
    });
  });

  it('are thinking in a one-shot answer, too', async () => {
    const message = { role: 'assistant', content: 'Sunny.', reasoning_steps: [search, fetched] };
    upstream.handle((_request, reply) => reply.json({ choices: [{ message, finish_reason: 'stop' }] }));
    const { reply } = await run(endpoint, { messages: [] });
    expect(reply?.view).toMatchObject({ thinking: 'Searching the web\nReading a page', text: 'Sunny.' });
  });
});
