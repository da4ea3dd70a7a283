import Anthropic from '@anthropic-ai/sdk';
import { expect, it } from 'vitest';
import { benchWithScript } from '../endpoints/agents/harness.ts';
import { openGateway } from './open-gateway.ts';

/** What a Claude Code session prints that uses a tool of its own. */
const events = [
  {
    type: 'system',
    subtype: 'init',
    session_id: 's1',
    model: 'm',
    tools: [],
    cwd: '/',
    claude_code_version: '2.1.330',
  },
  {
    type: 'assistant',
    session_id: 's1',
    message: { id: '1', model: 'm', content: [{ type: 'tool_use', id: 't1', name: 'Bash', input: { command: 'ls' } }] },
  },
  {
    type: 'user',
    session_id: 's1',
    message: { role: 'user', content: [{ type: 'tool_result', tool_use_id: 't1', content: 'a.txt' }] },
  },
  {
    type: 'assistant',
    session_id: 's1',
    message: { id: '2', model: 'm', content: [{ type: 'text', text: 'One file.' }] },
  },
  {
    type: 'result',
    subtype: 'success',
    is_error: false,
    result: 'One file.',
    session_id: 's1',
    usage: { input_tokens: 3, output_tokens: 2 },
  },
];

const script = events.map((event) => `printf '%s\\n' '${JSON.stringify(event)}'`).join('\n');
const messages = [{ role: 'user' as const, content: 'how many files?' }];

it('an agent answers every shape, one-shot and streamed, and shows no tools of its own', async () => {
  const { endpoint } = benchWithScript('claude', script);
  const { openai, url } = await openGateway({ agent: { endpoint } });
  const anthropic = new Anthropic({ baseURL: url, apiKey: 'unused', maxRetries: 0 });
  const completion = await openai.chat.completions.create({ model: 'agent', messages });
  expect(completion.choices).toMatchObject([{ finish_reason: 'stop', message: { content: 'One file.' } }]);
  expect(completion.choices[0]?.message.tool_calls).toBeUndefined();
  expect(completion.usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 2 });
  const streamed = await openai.chat.completions.stream({ model: 'agent', messages }).finalChatCompletion();
  expect(streamed.choices).toMatchObject([{ finish_reason: 'stop', message: { content: 'One file.' } }]);
  const request = { model: 'agent', max_tokens: 10, messages };
  const text = [{ type: 'text', text: 'One file.' }];
  const once = await anthropic.messages.create(request);
  expect([once.content, once.stop_reason]).toMatchObject([text, 'end_turn']);
  const message = await anthropic.messages.stream(request).finalMessage();
  expect([message.content, message.stop_reason]).toMatchObject([text, 'end_turn']);
  expect(await openai.responses.create({ model: 'agent', input: 'how many?' })).toMatchObject({
    output_text: 'One file.',
  });
  const response = await openai.responses.stream({ model: 'agent', input: 'how many?' }).finalResponse();
  expect(response.output.map(({ type }) => type)).toEqual(['message']);
});

it('an agent is told its task by a caller, and nothing else', async () => {
  const bench = benchWithScript('claude', 'echo {} >> "$REPLAY_LOG"; exit 1');
  const { post } = await openGateway({ agent: { endpoint: bench.endpoint } });
  for (const [name, value] of [
    ['bypass', true],
    ['repo', '/'],
    ['resume', 'latest'],
    ['cli_path', '/bin/sh'],
    ['prompt', 'x'],
    ['tools', [{ type: 'function', function: { name: 'f' } }]],
  ] as const) {
    const response = await post('/v1/chat/completions', { model: 'agent', messages, [name]: value });
    const { error } = (await response.json()) as { error: Record<string, unknown> };
    expect([response.status, error.param]).toEqual([400, name]);
  }
  expect(bench.seen()).toEqual([]);
});
