import type OpenAI from 'openai';
import { expect, inject, it, onTestFinished } from 'vitest';
import { connectNats } from '../../src/bus/nats.ts';
import type { IModelOptions } from '../../src/imodel-options.ts';
import { createRuntime } from '../../src/runtime/runtime.ts';
import { uniqueId } from '../integration/connect-test-bus.ts';
import { anthropicModel, chatModel, openGateway, openUpstream } from './open-gateway.ts';

const messages = [{ role: 'user' as const, content: 'hello' }];
const chance = (token: string) => ({ token, logprob: -0.25, bytes: [104], top_logprobs: [{ token, logprob: -0.25 }] });
const likely = (...tokens: string[]) => ({ content: tokens.map(chance), refusal: null });
const tool = { id: 'call_1', type: 'function', function: { name: 'wave', arguments: '{}' } };

/** A model of OpenAI's chat protocol with three answers: a text, another, and a tool call. */
async function openThree(): Promise<IModelOptions> {
  const upstream = await openUpstream(async (request, reply) => {
    const frame = { id: 'chatcmpl-1', created: 5, model: 'gpt-4.1-mini-2025' };
    const { n, stream } = request.json();
    expect(n).toBe(3);
    const usage = { prompt_tokens: 1, completion_tokens: 5, total_tokens: 6 };
    if (stream !== true) {
      const choices = ['hello', 'hi'].map((content, index) => ({
        index,
        message: { role: 'assistant', content, refusal: null },
        logprobs: likely(content),
        finish_reason: 'stop',
      }));
      const message = { role: 'assistant', content: null, refusal: null, tool_calls: [tool] };
      const third = { index: 2, message, logprobs: null, finish_reason: 'tool_calls' };
      reply.json({ ...frame, object: 'chat.completion', choices: [...choices, third], usage });
      return;
    }
    const event = (index: number, delta: object, logprobs: object | null = null, end: string | null = null) => ({
      ...frame,
      object: 'chat.completion.chunk',
      choices: [{ index, delta, logprobs, finish_reason: end }],
    });
    await reply.events([
      event(1, { role: 'assistant', content: '' }),
      event(1, { content: 'h' }, likely('h')),
      event(0, { role: 'assistant', content: '' }, likely()),
      event(0, { content: 'hel' }, likely('hel')),
      event(2, { role: 'assistant', content: null, tool_calls: [{ index: 0, ...tool }] }),
      event(1, { content: 'i' }, likely('i')),
      event(0, { content: 'lo' }, likely('lo')),
      event(1, {}, null, 'stop'),
      event(2, {}, null, 'tool_calls'),
      event(0, {}, null, 'stop'),
      { ...frame, object: 'chat.completion.chunk', choices: [], usage },
      '[DONE]',
    ]);
    reply.end();
  });
  return chatModel(upstream);
}

/** The gateway is in the process of the model. */
async function openNear(model: string): Promise<OpenAI> {
  return (await openGateway({ [model]: await openThree() })).openai;
}

/** The model is served by another runtime. */
async function openFar(model: string): Promise<OpenAI> {
  const nats = { servers: inject('natsUrl') };
  const far = await createRuntime({ models: { [model]: await openThree() }, nats });
  const bus = await connectNats(nats);
  onTestFinished(async () => {
    await far.close();
    await bus.close();
  });
  return (await openGateway({ [uniqueId()]: { model: 'scripted/echo' } }, {}, { bus })).openai;
}

it.each([
  ['in this process', openNear],
  ['of another process', openFar],
] as const)(
  'several answers and their probabilities come as the vendor gives them, one-shot and streamed, from a model %s',
  async (_place, open) => {
    const model = uniqueId();
    const openai = await open(model);
    const asked = { model, messages, n: 3, logprobs: true, top_logprobs: 1 };
    const completion = await openai.chat.completions.create(asked);
    expect(completion.choices.map(({ index, message, finish_reason: end }) => [index, message.content, end])).toEqual([
      [0, 'hello', 'stop'],
      [1, 'hi', 'stop'],
      [2, null, 'tool_calls'],
    ]);
    expect(completion.choices[1]?.logprobs).toEqual(likely('hi'));
    const stream = openai.chat.completions.stream({ ...asked, stream_options: { include_usage: true } });
    const order: unknown[] = [];
    stream.on('chunk', ({ choices: [choice] }) => {
      if (choice?.delta.content) order.push([choice.index, choice.delta.content]);
    });
    const { choices, usage } = await stream.finalChatCompletion();
    expect(order).toEqual([
      [1, 'h'],
      [0, 'hel'],
      [1, 'i'],
      [0, 'lo'],
    ]);
    const byIndex = [...choices].sort((one, other) => one.index - other.index);
    expect(byIndex.map(({ message, finish_reason: end }) => [message.content, end])).toEqual([
      ['hello', 'stop'],
      ['hi', 'stop'],
      [null, 'tool_calls'],
    ]);
    expect(byIndex.map(({ logprobs }) => logprobs?.content?.map(({ token }) => token))).toEqual([
      ['hel', 'lo'],
      ['h', 'i'],
      undefined,
    ]);
    expect(byIndex[2]?.message.tool_calls).toMatchObject([{ id: 'call_1', function: { name: 'wave' } }]);
    expect(usage).toMatchObject({ total_tokens: 6 });
  },
);

it('several answers are refused where the model can give one', async () => {
  const upstream = await openUpstream((_request, reply) => reply.end());
  const { openai } = await openGateway({ claude: anthropicModel(upstream), echo: { model: 'scripted/echo' } });
  for (const model of ['claude', 'echo']) {
    for (const stream of [true, false]) {
      const asked = openai.chat.completions.create({ model, messages, n: 2, stream });
      await expect(asked).rejects.toMatchObject({ status: 400, param: 'n', code: 'invalid_request' });
    }
  }
  expect(upstream.requests).toHaveLength(0);
});
