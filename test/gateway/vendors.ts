import type { IModelOptions } from '../../src/imodel-options.ts';
import type { UpstreamHandler } from '../../src/testing/upstream.ts';
import { anthropicModel, chatModel, openUpstream } from './open-gateway.ts';

/** What a vendor says of a question about Riga's weather: a call of the first tool it is given, then, with its result or without tools, a text. */
const said = { text: 'It is sunny in Riga.', argumentsText: '{"city":"Riga"}' };

/** A vendor of either dialect that behaves alike. */
export interface Vendor {
  readonly model: IModelOptions;
  readonly requests: readonly Readonly<Record<string, unknown>>[];
}

interface Message {
  readonly role: string;
  readonly content?: unknown;
}

/** OpenAI's chat protocol. */
async function openChatVendor(): Promise<Vendor> {
  return openVendor(chatModel, async (request, reply) => {
    const body = request.json();
    const callsTool = body.tools !== undefined && lastOf(body).role !== 'tool';
    const toolCall = {
      id: 'call_1',
      type: 'function',
      function: { name: 'weather', arguments: said.argumentsText },
    };
    const frame = { id: 'chatcmpl-1', created: 5, model: 'gpt-4.1-mini-2025' };
    const usage = { prompt_tokens: 12, completion_tokens: 7, total_tokens: 19 };
    const finish = callsTool ? 'tool_calls' : 'stop';
    if (body.stream !== true) {
      const message = {
        role: 'assistant',
        ...(callsTool ? { content: null, tool_calls: [toolCall] } : { content: said.text }),
      };
      reply.json({
        ...frame,
        object: 'chat.completion',
        choices: [{ index: 0, message, finish_reason: finish }],
        usage,
      });
      return;
    }
    const deltas: object[] = callsTool
      ? [
          { tool_calls: [{ index: 0, ...toolCall, function: { name: 'weather', arguments: '' } }] },
          ...halves(said.argumentsText).map((text) => ({ tool_calls: [{ index: 0, function: { arguments: text } }] })),
        ]
      : halves(said.text).map((content) => ({ content }));
    const event = (delta: object, end: string | null = null) => ({
      ...frame,
      object: 'chat.completion.chunk',
      choices: [{ index: 0, delta, finish_reason: end }],
    });
    const last = { ...frame, object: 'chat.completion.chunk', choices: [], usage };
    await reply.events([...deltas.map((delta) => event(delta)), event({}, finish), last, '[DONE]']);
    reply.end();
  });
}

/** Anthropic's messages. */
async function openAnthropicVendor(): Promise<Vendor> {
  return openVendor(anthropicModel, async (request, reply) => {
    const body = request.json();
    const last = lastOf(body).content;
    const hasResult = Array.isArray(last) && last.some(({ type }) => type === 'tool_result');
    const callsTool = body.tools !== undefined && !hasResult;
    const usage = { input_tokens: 12, output_tokens: 7 };
    const stopReason = callsTool ? 'tool_use' : 'end_turn';
    const tool = { type: 'tool_use', id: 'toolu_1', name: 'weather' };
    const content = callsTool
      ? [{ ...tool, input: JSON.parse(said.argumentsText) }]
      : [{ type: 'text', text: said.text }];
    const message = {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'claude-sonnet-4-5-20250929',
      content,
      stop_reason: stopReason,
      stop_sequence: null,
      usage,
    };
    if (body.stream !== true) {
      reply.json(message);
      return;
    }
    const deltas = callsTool
      ? halves(said.argumentsText).map((text) => ({ type: 'input_json_delta', partial_json: text }))
      : halves(said.text).map((text) => ({ type: 'text_delta', text }));
    await reply.events(
      [
        {
          type: 'message_start',
          message: { ...message, content: [], stop_reason: null, usage: { input_tokens: 12, output_tokens: 1 } },
        },
        {
          type: 'content_block_start',
          index: 0,
          content_block: callsTool ? { ...tool, input: {} } : { type: 'text', text: '' },
        },
        ...deltas.map((delta) => ({ type: 'content_block_delta', index: 0, delta })),
        { type: 'content_block_stop', index: 0 },
        { type: 'message_delta', delta: { stop_reason: stopReason, stop_sequence: null }, usage: { output_tokens: 7 } },
        { type: 'message_stop' },
      ],
      { named: true },
    );
    reply.end();
  });
}

/** Both dialects, by the name a test shows. */
export const vendors = [
  ['an OpenAI model', openChatVendor],
  ['an Anthropic model', openAnthropicVendor],
] as const;

async function openVendor(modelOf: typeof chatModel, answer: UpstreamHandler): Promise<Vendor> {
  const requests: Record<string, unknown>[] = [];
  const upstream = await openUpstream((request, reply) => {
    requests.push(request.json());
    return answer(request, reply);
  });
  return { model: modelOf(upstream), requests };
}

function lastOf({ messages }: Readonly<Record<string, unknown>>): Message {
  return (messages as Message[]).at(-1) ?? { role: '' };
}

function halves(text: string): string[] {
  const middle = Math.floor(text.length / 2);
  return [text.slice(0, middle), text.slice(middle)];
}
