import { afterAll, expect, test } from 'vitest';
import { createAg2Agent, createAg2GroupChat } from '../../../src/endpoints/agents/ag2.ts';
import type { Fields } from '../../../src/endpoints/endpoint.ts';
import { IModelError } from '../../../src/errors.ts';
import { critic, endless, llm, lookup, planner, stubbed, toolFolder } from './ag2-stand-in.ts';
import { leftFolders, noFolderLeft, runOnce } from './harness.ts';
import { thrown } from './thrown.ts';

afterAll(noFolderLeft);

function groupChat(folder: string, kwargs: Fields = {}) {
  return createAg2GroupChat(stubbed(folder, kwargs));
}

async function example(endpoint: ReturnType<typeof createAg2GroupChat>, request: Fields = {}) {
  return runOnce(endpoint, {
    prompt: 'Design a cache.',
    agents: [planner, critic],
    tools: { lookup: 'mytools.search:lookup' },
    ...request,
  });
}

const allowed = () => ({ llm, allow_tools: true, import_paths: [toolFolder(lookup)] });

test('A42 a chat of two agents gives deltas, the tool pair, the handoff, the result and the summed usage', async () => {
  const { chunks, reply } = await example(groupChat('network', allowed()), { context_variables: { approved: false } });
  expect(chunks.map(({ type, metadata }) => [type, metadata?.event ?? metadata?.agent ?? null])).toEqual([
    ['system', null],
    ['system', 'speaker'],
    ['tool_use', 'planner'],
    ['tool_result', 'planner'],
    ['text', 'planner'],
    ['text', 'planner'],
    ['system', 'handoff'],
    ['system', 'speaker'],
    ['text', 'critic'],
    ['result', null],
  ]);
  expect(chunks[0]?.metadata).toMatchObject({
    provider: 'ag2',
    backend: 'network',
    package: 'ag2',
    agents: ['planner', 'critic'],
  });
  expect(chunks[2]).toMatchObject({ toolName: 'lookup', toolInput: { q: 'lru' } });
  expect(chunks[3]).toMatchObject({ toolId: chunks[2]?.toolId, toolOutput: '3 hits', isError: false });
  expect(chunks[4]).toMatchObject({ content: 'First, ', isDelta: true });
  expect(chunks[6]?.metadata).toMatchObject({
    from: 'planner',
    to: 'critic',
    reason: 'plan exists',
    via: 'transfer_to_critic',
  });
  expect(chunks.at(-1)).toMatchObject({
    content: 'Final text',
    metadata: { stop_reason: 'terminated', last_speaker: 'critic' },
  });
  expect(reply?.view).toMatchObject({ text: 'Final text', usage: { inputTokens: 240, outputTokens: 80 } });
  expect(reply?.sessionId).toBeUndefined();
});

test('A43 without either package the error is ag2_missing with the hint, exit code 1, within 2 s', async () => {
  const before = performance.now();
  const { chunks, error } = await example(
    groupChat('', { llm, allow_tools: true, import_paths: [toolFolder(lookup)] }),
  );
  expect(performance.now() - before).toBeLessThan(2_000);
  expect(chunks.at(-1)?.metadata).toMatchObject({ kind: 'cli_unusable', reason: 'ag2_missing', exit_code: 1 });
  expect(error?.failure).toMatchObject({ code: 'unavailable', reason: 'ag2_missing' });
  expect(error?.message).toContain("pip install 'ag2[openai]>=1.0,<2'");
});

test('A44 with autogen alone the backend network is ag2_version naming both, and auto runs the classic one', async () => {
  const wrong = await example(groupChat('classic', { ...allowed(), backend: 'network' }));
  expect(wrong.error?.failure).toMatchObject({ reason: 'ag2_version' });
  expect(wrong.error?.message).toMatch(/ag2\[openai\]>=1\.0.*autogen 0\.14\.1/s);
  const { chunks, reply } = await example(groupChat('classic', allowed()));
  expect(chunks[0]?.metadata).toMatchObject({ backend: 'classic', package: 'autogen', version: '0.14.1' });
  expect(chunks.filter(({ type }) => type === 'tool_use')).toHaveLength(2);
  expect(chunks.filter(({ type }) => type === 'tool_result').map(({ toolId }) => toolId)).toEqual(['call_1', 'call_2']);
  expect(reply?.view.text).toBe('Final text');
});

test('A45 a tool that cannot be imported is tool_import, before anything of AG2 runs', async () => {
  const { chunks, error } = await example(
    groupChat('network', { ...allowed(), import_paths: [toolFolder('other = 1\n')] }),
  );
  expect(chunks.map(({ type }) => type)).toEqual(['error']);
  expect(error?.failure).toMatchObject({ code: 'rejected', reason: 'tool_import' });
  expect(error?.message).toBe('mytools.search has no attribute lookup');
});

test('A46 a model that answers 401 on the first turn ends the run at once', async () => {
  const failing = { name: 'planner', system_message: JSON.stringify([{ fail: 401, message: 'Incorrect API key' }]) };
  const before = performance.now();
  const { chunks, error } = await runOnce(groupChat('network', { llm }), { prompt: 'x', agents: [failing, critic] });
  expect(performance.now() - before).toBeLessThan(5_000);
  expect(chunks.at(-1)?.metadata).toMatchObject({ kind: 'auth', status: 401, reason: 'turn_failed', agent: 'planner' });
  expect(error?.failure).toMatchObject({ code: 'unauthorized', status: 401 });
});

test('A47 three agents in a circle end after max_rounds with a result', async () => {
  const agents = ['a', 'b', 'c'].map((name) => ({ name, system_message: JSON.stringify([{ say: `${name} speaks` }]) }));
  const { chunks, reply, response } = await runOnce(groupChat('network', { llm }), {
    prompt: 'x',
    agents,
    pattern: 'round_robin',
    max_rounds: 2,
  });
  expect(chunks.filter(({ type }) => type === 'text').map(({ content }) => content)).toEqual(['a speaks', 'b speaks']);
  expect(chunks.at(-1)).toMatchObject({ type: 'result', metadata: { stop_reason: 'max_rounds' } });
  expect(reply?.view.finishReason).toBe('length');
  expect(response.num_turns).toBe(2);
});

test('A49 a cancelled run ends within 2 s and leaves no Python', async () => {
  const controller = new AbortController();
  const before = performance.now();
  let at = before;
  const { error } = await runOnce(
    groupChat('network', { llm }),
    { prompt: 'x', agents: [endless, critic] },
    {
      signal: controller.signal,
      onChunk: ({ type }) => {
        if (type !== 'text') return;
        at = performance.now();
        controller.abort(IModelError.of('cancelled', 'The call was cancelled', {}));
      },
    },
  );
  expect(error?.code).toBe('cancelled');
  expect(performance.now() - at).toBeLessThan(2_000);
  expect(leftFolders()).toEqual([]);
});

test('A50 the models of the agents are asked where the request says, with its model, and keys go by standard input alone', async () => {
  const endpoint = createAg2GroupChat({
    ...stubbed('network', { llm: { main: { ...llm.main, api_key: 'sk-constructor' } } }),
  });
  const telling = { name: 'planner', system_message: JSON.stringify([{ config: true }]) };
  const { response } = await runOnce(endpoint, { prompt: 'x', agents: [telling, critic] });
  const told = messagesIn(response)[0]?.content ?? '{}';
  expect(JSON.parse(told)).toMatchObject({
    model: 'anything',
    base_url: 'http://127.0.0.1:9/v1',
    api_key: 'sk-constructor',
  });
  expect(JSON.stringify(endpoint.config)).not.toContain('sk-constructor');
  expect(JSON.stringify(endpoint.prepare({ prompt: 'x', agents: [critic] }))).not.toContain('sk-constructor');
});

test('a key in a request is refused by the name of its field, and never printed', () => {
  const error = thrown(() =>
    groupChat('network').prepare({ prompt: 'x', agents: [critic], llm: { main: { api_key: 'sk-request' } } }),
  );
  expect(error.failure).toMatchObject({ code: 'invalid_request', path: 'llm.main.api_key' });
  expect(JSON.stringify(error)).not.toContain('sk-request');
});

test('a request may not bring code unless the constructor allows it', async () => {
  const { error } = await example(groupChat('network', { llm }));
  expect(error?.failure).toMatchObject({ code: 'rejected', reason: 'bad_request' });
  expect(
    thrown(() => groupChat('network', { llm }).prepare({ prompt: 'x', agents: [critic], allow_tools: true })).failure,
  ).toMatchObject({
    code: 'invalid_request',
    path: 'allow_tools',
  });
});

test('A52 invoke gives a session object with result, usage and messages', async () => {
  const { response } = await runOnce(
    groupChat('network', allowed()),
    { prompt: 'x', agents: [planner, critic], tools: { lookup: 'mytools.search:lookup' } },
    { sink: null },
  );
  expect(response).toMatchObject({
    result: 'Final text',
    usage: { input_tokens: 240, output_tokens: 80 },
    messages: [
      { role: 'assistant', agent: 'planner', content: 'First, a plan.' },
      { role: 'assistant', agent: 'critic', content: 'Final text' },
    ],
    is_error: false,
    summary: { total_tool_calls: 1 },
  });
});

test('one agent by itself answers', async () => {
  const endpoint = createAg2Agent(stubbed('network', { llm_config: llm.main }));
  const { reply, chunks } = await runOnce(endpoint, {
    prompt: 'x',
    agent_config: { prompt: JSON.stringify([{ chunks: ['Hel', 'lo'] }]) },
  });
  expect(reply?.view.text).toBe('Hello');
  expect(chunks.filter(({ type }) => type === 'text').map(({ content }) => content)).toEqual(['Hel', 'lo']);
  expect(endpoint.config.name).toBe('ag2_agent');
  expect(endpoint.defaultLimits).toEqual({ queueCapacity: 3, concurrency: 1 });
});

test('an agent that asks a human is answered by the handler', async () => {
  const asking = { name: 'planner', system_message: JSON.stringify([{ ask: 'Which colour?' }]) };
  const { response, chunks } = await runOnce(
    groupChat('network', { llm }),
    { prompt: 'x', agents: [asking, critic], human_input: 'always' },
    { transport: { on_input: ({ prompt }: { prompt: string }) => `${prompt} Blue.` } },
  );
  expect(chunks.map(({ metadata }) => metadata?.event)).toContain('input_request');
  expect(messagesIn(response)[0]?.content).toBe('Which colour? Blue.');
});

test.each([
  ['an unknown field', { agents: [critic], nope: 1 }, 'nope'],
  ['an unknown tool', { agents: [planner] }, 'tools'],
  ['no agent', {}, 'agents'],
])('%s is refused by name', async (_, request, path) => {
  const { error } = await runOnce(groupChat('network', { llm }), { prompt: 'x', ...request });
  expect(error?.failure).toMatchObject({ code: 'invalid_request', path });
});

function messagesIn(response: Record<string, unknown>): { content: string }[] {
  return response.messages as { content: string }[];
}
