import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chat, messages, piece, upstream } from './openai-chat-upstream.ts';
import { brief, run } from './run.ts';

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

  it('writes a reply that came in one piece as a stream of one', async () => {
    upstream.handle((_request, reply) =>
      reply.json({ choices: [{ message: { content: 'All' }, finish_reason: 'stop' }] }),
    );
    const { chunks } = await run(chat(), { messages }, { stream: true });
    expect(chunks.map(brief)).toEqual([['system'], ['text', 'All'], ['result', 'stop']]);
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
