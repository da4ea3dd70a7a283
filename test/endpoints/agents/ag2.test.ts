import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterEach, expect, test, vi } from 'vitest';
import { createAg2Agent, createAg2GroupChat } from '../../../src/endpoints/agents/ag2.ts';
import { createAg2Nlip } from '../../../src/endpoints/agents/ag2-nlip.ts';
import type { Fields } from '../../../src/endpoints/endpoint.ts';
import { IModelError } from '../../../src/errors.ts';
import { processesWithVariable } from '../../../src/process/process-table.ts';
import { hostProgram } from '../../process/host-program.ts';
import { leftFolders, runOnce, temporaryFolder } from './harness.ts';

const stubs = fileURLToPath(new URL('./ag2-stubs', import.meta.url));
const runner = fileURLToPath(new URL('../../../src/endpoints/agents/ag2/ag2_runner.py', import.meta.url));
const python = execFileSync('python3', ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' }).trim();

const servers: { close(): void }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A server that answers each request by its body; what it answers is a status and a JSON value. */
async function serve(
  answer: (body: Record<string, unknown>, request: IncomingMessage) => [number, unknown],
): Promise<string> {
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const [status, value] = answer(JSON.parse(Buffer.concat(pieces).toString('utf8')), request);
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(value));
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Options of an endpoint whose Python sees the stand-in packages of a folder, and nothing that is installed. */
function stubbed(folder: string, kwargs: Fields = {}) {
  return {
    hostEnvironment: {
      PATH: process.env.PATH,
      PYTHONPATH: folder === '' ? '' : join(stubs, folder),
      PYTHONNOUSERSITE: '1',
      PYTHONDONTWRITEBYTECODE: '1',
    },
    kwargs: { python, repo: temporaryFolder(), ...kwargs },
  };
}

function groupChat(folder: string, kwargs: Fields = {}) {
  return createAg2GroupChat(stubbed(folder, kwargs));
}

/** The functions that the example's agents call. */
function toolFolder(source: string): string {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'mytools'));
  writeFileSync(join(folder, 'mytools', '__init__.py'), '');
  writeFileSync(join(folder, 'mytools', 'search.py'), source);
  return folder;
}

const llm = {
  main: { api_type: 'openai', model: 'anything', base_url: 'http://127.0.0.1:9/v1', streaming: true, max_retries: 0 },
} as const;
const lookup =
  'def lookup(q: str) -> str:\n    "Looks something up"\n    print("printed by a tool")\n    return "3 hits"\n';

/** The stand-in package plays each agent's `system_message` as a script: see `ag2-stubs/network/ag2/__init__.py`. */
const planner = {
  name: 'planner',
  system_message: JSON.stringify([
    { tool: 'lookup', input: { q: 'lru' } },
    { chunks: ['First, ', 'a plan.'] },
    { tool: 'transfer_to_critic', input: { reason: 'plan exists' } },
  ]),
  tools: ['lookup'],
  handoffs: [{ target: 'critic', condition: 'when a plan exists' }],
};
const critic = { name: 'critic', system_message: JSON.stringify([{ say: 'Final text' }]) };

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

test('A48 a tool that prints does not disturb the protocol; the print goes to standard error', async () => {
  const request = {
    ...{
      v: 1,
      prompt: 'x',
      llm,
      tools: { lookup: 'mytools.search:lookup' },
      allow_tools: true,
      import_paths: [toolFolder(lookup)],
    },
    agents: [planner, critic],
  };
  const result = await execa(python, ['-u', runner], {
    input: `${JSON.stringify(request)}\n`,
    env: { PYTHONPATH: join(stubs, 'network'), PYTHONDONTWRITEBYTECODE: '1' },
  });
  const lines = result.stdout.split('\n').map((line) => JSON.parse(line) as { seq: number });
  expect(lines.map(({ seq }) => seq)).toEqual(lines.map((_, index) => index + 1));
  expect(result.stdout).not.toContain('printed by a tool');
  expect(result.stderr).toContain('printed by a tool');
});

const endless = { name: 'planner', system_message: JSON.stringify([{ chunks: ['thinking'] }, { sleep: 600 }]) };

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

test.each(['a control line', 'SIGTERM'])(
  'A49 the program tells a cancel by %s as error cancelled, exit code 130',
  async (how) => {
    const child = execa(python, ['-u', runner], {
      ...{
        env: { PYTHONPATH: join(stubs, 'network'), PYTHONDONTWRITEBYTECODE: '1' },
        stdin: 'pipe',
        reject: false,
        buffer: false,
      },
    });
    child.stdin.write(`${JSON.stringify({ v: 1, prompt: 'x', llm, agents: [endless, critic] })}\n`);
    let text = '';
    child.stdout.on('data', (bytes: Buffer) => {
      text += bytes.toString('utf8');
    });
    await vi.waitFor(() => expect(text).toContain('thinking'), { timeout: 10_000 });
    if (how === 'SIGTERM') child.kill('SIGTERM');
    else child.stdin.write('{"op":"cancel"}\n');
    expect((await child).exitCode).toBe(130);
    expect(JSON.parse(text.trim().split('\n').at(-1) ?? '')).toMatchObject({ t: 'error', kind: 'cancelled' });
  },
);

test('A49 when the host is killed the program ends by itself', async () => {
  const request = JSON.stringify({ v: 1, prompt: 'x', llm, agents: [endless, critic] });
  const marker = `host-killed-${process.pid}-${Date.now()}`;
  const host = await hostProgram(`
    import { spawn } from 'node:child_process';
    const env = { ...process.env, PYTHONPATH: ${JSON.stringify(join(stubs, 'network'))}, IMODEL_MARK: ${JSON.stringify(marker)}, PYTHONDONTWRITEBYTECODE: '1' };
    const child = spawn(${JSON.stringify(python)}, ['-u', ${JSON.stringify(runner)}], { env, detached: true, stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.write(${JSON.stringify(request)} + '\\n');
    child.stdout.on('data', (bytes) => String(bytes).includes('thinking') && process.stdout.write('up'));`);
  const run = execa(process.execPath, [host], { reject: false, buffer: false });
  await new Promise((resolve) => run.stdout.once('data', resolve));
  expect(processesWithVariable('IMODEL_MARK', marker)).toHaveLength(1);
  run.kill('SIGKILL');
  await vi.waitFor(() => expect(processesWithVariable('IMODEL_MARK', marker)).toEqual([]), { timeout: 5_000 });
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

test('A51 a remote agent that fails three times is nlip_failed, not an empty answer', async () => {
  let asked = 0;
  const url = await serve(() => {
    asked += 1;
    return [503, { error: 'busy' }];
  });
  const { chunks, error } = await runOnce(createAg2Nlip({ kwargs: { url, allow_private: true, max_retries: 2 } }), {
    prompt: 'x',
  });
  expect(asked).toBe(3);
  expect(chunks.at(-1)).toMatchObject({ type: 'error', metadata: { kind: 'network', status: 503 } });
  expect(error?.failure).toMatchObject({ code: 'unavailable', reason: 'nlip_failed' });
});

test('A51 no tries left but the first is a failure too, and a private address is refused before connecting', async () => {
  let asked = 0;
  const url = await serve(() => {
    asked += 1;
    return [503, {}];
  });
  const once = await runOnce(createAg2Nlip({ kwargs: { url, allow_private: true, max_retries: 0 } }), { prompt: 'x' });
  expect(once.error?.failure).toMatchObject({ reason: 'nlip_failed' });
  expect(asked).toBe(1);
  const refused = await runOnce(createAg2Nlip({ kwargs: { url } }), { prompt: 'x' });
  expect(refused.error).not.toBeNull();
  expect(asked).toBe(1);
});

test('a remote agent answers with a text, or with a message that holds one', async () => {
  const bodies: unknown[] = [];
  const url = await serve((body) => {
    bodies.push(body);
    return [200, bodies.length === 1 ? { content: 'plain' } : { content: { content: 'nested' } }];
  });
  const endpoint = createAg2Nlip({ kwargs: { url, allow_private: true } });
  expect((await runOnce(endpoint, { messages: [{ role: 'user', content: 'hello' }] })).reply?.view.text).toBe('plain');
  expect((await runOnce(endpoint, { prompt: 'hello' })).chunks.map(({ type }) => type)).toEqual([
    'system',
    'text',
    'result',
  ]);
  expect(bodies[0]).toEqual({ format: 'text', subformat: 'english', content: 'hello' });
  await endpoint.close();
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

function thrown(action: () => unknown): IModelError {
  try {
    action();
  } catch (error) {
    if (IModelError.is(error)) return error;
    throw error;
  }
  throw new Error('Nothing was thrown');
}
