import { expect, it } from 'vitest';
import type { IModelOptions } from '../../src/imodel-options.ts';
import { chatModel, openGateway, openUpstream } from './open-gateway.ts';

const messages = [{ role: 'user' as const, content: 'Do harm.' }];
const words = ['I cannot', ' do that.'];
const declined = words.join('');

/** A model of OpenAI's chat protocol that declines, after some words of its own if it has any. */
async function openChat(said: string): Promise<IModelOptions> {
  const upstream = await openUpstream(async (request, reply) => {
    const frame = { id: 'chatcmpl-1', created: 5, model: 'gpt-4.1-mini-2025' };
    if (request.json().stream !== true) {
      const message = { role: 'assistant', content: said === '' ? null : said, refusal: declined };
      reply.json({ ...frame, object: 'chat.completion', choices: [{ index: 0, message, finish_reason: 'stop' }] });
      return;
    }
    const event = (delta: object, end: string | null = null) => ({
      ...frame,
      object: 'chat.completion.chunk',
      choices: [{ index: 0, delta, finish_reason: end }],
    });
    const before = said === '' ? [] : [event({ content: said })];
    await reply.events([...before, ...words.map((refusal) => event({ refusal })), event({}, 'stop'), '[DONE]']);
    reply.end();
  });
  return chatModel(upstream);
}

/** A model of OpenAI's Responses that does the same. */
async function openResponses(said: string): Promise<IModelOptions> {
  const upstream = await openUpstream(async (request, reply) => {
    const content = [
      ...(said === '' ? [] : [{ type: 'output_text', text: said, annotations: [] }]),
      { type: 'refusal', refusal: declined },
    ];
    const response = {
      id: 'resp_1',
      object: 'response',
      model: 'gpt-4.1-mini-2025',
      status: 'completed',
      output: [{ id: 'msg_1', type: 'message', status: 'completed', role: 'assistant', content }],
    };
    if (request.json().stream !== true) {
      reply.json(response);
      return;
    }
    const deltas = words.map((delta) => ({ type: 'response.refusal.delta', delta }));
    const before = said === '' ? [] : [{ type: 'response.output_text.delta', delta: said }];
    await reply.events([
      { type: 'response.created', response: { ...response, status: 'in_progress', output: [] } },
      ...before,
      ...deltas,
      { type: 'response.completed', response },
    ]);
    reply.end();
  });
  return { ...chatModel(upstream), endpoint: 'responses' };
}

it.each([
  ['a chat model', openChat, ''],
  ['a chat model that has begun to answer', openChat, 'Well, '],
  ['a model of Responses', openResponses, ''],
  ['a model of Responses that has begun to answer', openResponses, 'Well, '],
] as const)('%s declines in the words of every path, one-shot and streamed', async (_name, open, said) => {
  const { openai } = await openGateway({ m: await open(said) });
  const content = said === '' ? null : said;
  const completion = await openai.chat.completions.create({ model: 'm', messages });
  expect(completion.choices[0]).toMatchObject({ message: { content, refusal: declined }, finish_reason: 'stop' });
  const streamed = await openai.chat.completions.stream({ model: 'm', messages }).finalChatCompletion();
  expect(streamed.choices[0]?.message.refusal).toBe(declined);
  expect(streamed.choices[0]?.message.content ?? '').toBe(said);
  expect(streamed.choices[0]?.finish_reason).toBe('stop');
  const parts = [...(said === '' ? [] : [{ type: 'output_text', text: said }]), { type: 'refusal', refusal: declined }];
  const response = await openai.responses.create({ model: 'm', input: 'Do harm.' });
  expect(response).toMatchObject({ status: 'completed', output: [{ type: 'message', content: parts }] });
  expect(response.output_text).toBe(said);
  const stream = openai.responses.stream({ model: 'm', input: 'Do harm.' });
  const seen: unknown[] = [];
  stream.on('event', (event) => {
    if (event.type === 'response.refusal.delta') seen.push(event.delta, event.content_index);
    if (event.type === 'response.refusal.done') seen.push(event.refusal);
    if (event.type === 'response.content_part.done') seen.push(event.part.type);
  });
  const final = await stream.finalResponse();
  expect(final).toMatchObject({ status: 'completed', output: [{ type: 'message', content: parts }] });
  const place = said === '' ? 0 : 1;
  const before = said === '' ? [] : ['output_text'];
  expect(seen).toEqual([...before, words[0], place, words[1], place, declined, 'refusal']);
});
