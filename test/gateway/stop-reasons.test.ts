import Anthropic from '@anthropic-ai/sdk';
import { expect, it } from 'vitest';
import type { IModelOptions } from '../../src/imodel-options.ts';
import { anthropicModel, chatModel, openGateway, openUpstream } from './open-gateway.ts';

/** An OpenAI vendor that ends for the reason its caller asks for. */
async function openChat(): Promise<IModelOptions> {
  const upstream = await openUpstream(async (request, reply) => {
    const body = request.json();
    const [{ content: reason }] = body.messages as [{ content: string }];
    const frame = { id: 'chatcmpl-1', created: 5, model: 'gpt-4.1-mini-2025' };
    const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
    if (body.stream !== true) {
      const choice = { index: 0, message: { role: 'assistant', content: 'So far' }, finish_reason: reason };
      reply.json({ ...frame, object: 'chat.completion', choices: [choice], usage });
      return;
    }
    const event = (delta: object, end: string | null) => ({
      ...frame,
      object: 'chat.completion.chunk',
      choices: [{ index: 0, delta, finish_reason: end }],
    });
    const last = { ...frame, object: 'chat.completion.chunk', choices: [], usage };
    await reply.events([event({ content: 'So far' }, null), event({}, reason), last, '[DONE]']);
    reply.end();
  });
  return chatModel(upstream);
}

/** As {@link openChat}, in Anthropic's protocol. */
async function openAnthropic(): Promise<IModelOptions> {
  const upstream = await openUpstream(async (request, reply) => {
    const body = request.json();
    const [{ content }] = body.messages as [{ content: string | [{ text: string }] }];
    const reason = typeof content === 'string' ? content : content[0].text;
    const end = { stop_reason: reason, stop_sequence: reason === 'stop_sequence' ? 'END' : null };
    const frame = { id: 'msg_1', type: 'message', role: 'assistant', model: 'claude-sonnet-4-5-20250929' };
    const usage = { input_tokens: 1, output_tokens: 1 };
    if (body.stream !== true) {
      reply.json({ ...frame, content: [{ type: 'text', text: 'So far' }], ...end, usage });
      return;
    }
    const message = { ...frame, content: [], stop_reason: null, stop_sequence: null, usage };
    await reply.events(
      [
        { type: 'message_start', message },
        { type: 'ping' },
        { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
        { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'So far' } },
        { type: 'content_block_stop', index: 0 },
        { type: 'message_delta', delta: end, usage: { output_tokens: 1 } },
        { type: 'message_stop' },
      ],
      { named: true },
    );
    reply.end();
  });
  return anthropicModel(upstream);
}

it.each([
  ['an OpenAI model', 'stop', openChat, 'stop', 'end_turn', ['completed', undefined]],
  ['an OpenAI model', 'length', openChat, 'length', 'max_tokens', ['incomplete', 'max_output_tokens']],
  ['an OpenAI model', 'content_filter', openChat, 'content_filter', 'refusal', ['incomplete', 'content_filter']],
  ['an Anthropic model', 'end_turn', openAnthropic, 'stop', 'end_turn', ['completed', undefined]],
  ['an Anthropic model', 'max_tokens', openAnthropic, 'length', 'max_tokens', ['incomplete', 'max_output_tokens']],
  ['an Anthropic model', 'stop_sequence', openAnthropic, 'stop', 'stop_sequence', ['completed', undefined]],
  ['an Anthropic model', 'refusal', openAnthropic, 'content_filter', 'refusal', ['incomplete', 'content_filter']],
  ['an Anthropic model', 'pause_turn', openAnthropic, 'stop', 'pause_turn', ['completed', undefined]],
] as const)(
  '%s that ends for %s says so in every dialect, one-shot and streamed',
  async (_name, reason, open, finish, stop, status) => {
    const { openai, url } = await openGateway({ m: await open() });
    const anthropic = new Anthropic({ baseURL: url, apiKey: 'unused', maxRetries: 0 });
    const messages = [{ role: 'user' as const, content: reason }];
    const { choices } = await openai.chat.completions.create({ model: 'm', messages });
    const chunks = await openai.chat.completions.create({ model: 'm', messages, stream: true });
    const finishes: unknown[] = [choices[0]?.finish_reason];
    for await (const chunk of chunks) finishes.push(...chunk.choices.flatMap(({ finish_reason: end }) => end ?? []));
    expect(finishes).toEqual([finish, finish]);
    const asked = { model: 'm', max_tokens: 5, messages };
    const answers = [await anthropic.messages.create(asked), await anthropic.messages.stream(asked).finalMessage()];
    const sequence = reason === 'stop_sequence' ? 'END' : null;
    expect(answers.map(({ stop_reason: why, stop_sequence: at }) => [why, at])).toEqual([
      [stop, sequence],
      [stop, sequence],
    ]);
    const responses = [
      await openai.responses.create({ model: 'm', input: reason }),
      await openai.responses.stream({ model: 'm', input: reason }).finalResponse(),
    ];
    expect(responses.map((response) => [response.status, response.incomplete_details?.reason])).toEqual([
      status,
      status,
    ]);
  },
);

it('structured answers are parsed by OpenAI’s client, whichever path it takes', async () => {
  const upstream = await openUpstream((_request, reply) => {
    const message = { role: 'assistant', content: '{"a":1}' };
    reply.json({
      id: 'chatcmpl-1',
      object: 'chat.completion',
      choices: [{ index: 0, message, finish_reason: 'stop' }],
    });
  });
  const { openai } = await openGateway({ m: chatModel(upstream) });
  const schema = { type: 'object', properties: { a: { type: 'number' } }, required: ['a'] };
  const format = { name: 'a', schema, strict: true };
  const completion = await openai.chat.completions.parse({
    model: 'm',
    messages: [{ role: 'user', content: 'a?' }],
    response_format: { type: 'json_schema', json_schema: format },
  });
  expect(completion.choices[0]?.message.parsed).toEqual({ a: 1 });
  const response = await openai.responses.parse({
    model: 'm',
    input: 'a?',
    text: { format: { type: 'json_schema', ...format } },
  });
  expect(response.output_parsed).toEqual({ a: 1 });
});
