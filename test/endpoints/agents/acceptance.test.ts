import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import type { Chunk } from '../../../schemas/chunk.ts';
import { parseModelSpec } from '../../../src/endpoints/agents/agent-model.ts';
import { createClaudeCode } from '../../../src/endpoints/agents/claude-code.ts';
import { codex } from '../../../src/endpoints/agents/codex.ts';
import { createGeminiCode } from '../../../src/endpoints/agents/gemini-code.ts';
import type { Fields } from '../../../src/endpoints/endpoint.ts';
import { IModelError } from '../../../src/errors.ts';
import {
  type AgentName,
  agents,
  benchWithCapture,
  benchWithScript,
  leftFolders,
  markedProcesses,
  temporaryFolder,
} from './harness.ts';

const types = (chunks: readonly Chunk[]) => chunks.map(({ type }) => type);
const only = (chunks: readonly Chunk[], type: Chunk['type']) => chunks.filter((chunk) => chunk.type === type);
const events = (chunks: readonly Chunk[]) => only(chunks, 'system').map(({ metadata }) => metadata?.event);
const every = Object.keys(agents) as AgentName[];

/** Lines of an agent that answers at once. */
const answers = {
  claude: [
    '{"type":"system","subtype":"init","session_id":"s1","model":"m","tools":[],"cwd":"/"}',
    '{"type":"assistant","message":{"id":"1","model":"m","content":[{"type":"text","text":"hi"}]},"session_id":"s1"}',
    '{"type":"result","subtype":"success","is_error":false,"result":"hi","session_id":"s1","usage":{"input_tokens":1,"output_tokens":1}}',
  ],
  codex: [
    '{"type":"thread.started","thread_id":"s1"}',
    '{"type":"item.completed","item":{"id":"i","type":"agent_message","text":"hi"}}',
    '{"type":"turn.completed","usage":{"input_tokens":1,"output_tokens":1}}',
  ],
  gemini: [
    '{"type":"init","session_id":"s1","model":"m"}',
    '{"type":"message","role":"assistant","content":"hi","delta":true}',
    '{"type":"result","status":"success","stats":{"input_tokens":1,"output_tokens":1}}',
  ],
  pi: [
    '{"type":"session","id":"s1","cwd":"/"}',
    '{"type":"message_end","message":{"role":"assistant","model":"m","content":[{"type":"text","text":"hi"}],"usage":{"input":1,"output":1},"stopReason":"stop"}}',
    '{"type":"agent_settled"}',
  ],
} as const;

const say = (lines: readonly string[]) => lines.map((line) => `printf '%s\\n' '${line}'`).join('\n');

function thrown(action: () => unknown): IModelError {
  try {
    action();
  } catch (error) {
    if (IModelError.is(error)) return error;
    throw error;
  }
  throw new Error('Nothing was thrown');
}

test('A1 claude/text in 1-byte reads gives system, text, and a result with usage, cost and session id', async () => {
  const { chunks, reply } = await benchWithCapture('claude', 'text', { replay: { REPLAY_CHUNK: '1' } }).run({
    prompt: 'x',
  });
  expect(types(chunks)).toEqual(['system', 'text', 'result']);
  expect(chunks[1]?.content).toBe('Hello from the scripted model. The sum is 4.');
  expect(chunks[2]?.metadata).toMatchObject({
    usage: { input_tokens: 120, output_tokens: 9 },
    total_cost_usd: 0.000495,
    session_id: '775cddd9-cda1-4b27-bedf-562f4e01137d',
  });
  expect(reply?.sessionId).toBe('775cddd9-cda1-4b27-bedf-562f4e01137d');
});

test('A2 claude/partial-messages gives four deltas that join to the answer, and no fifth whole text', async () => {
  const { chunks, reply } = await benchWithCapture('claude', 'partial-messages', { replay: { REPLAY_SPEED: '1' } }).run(
    { prompt: 'x' },
  );
  const texts = only(chunks, 'text');
  expect(texts).toHaveLength(4);
  expect(texts.every(({ isDelta }) => isDelta)).toBe(true);
  expect(texts.map(({ content }) => content).join('')).toBe(reply?.view.text);
});

test('A3 claude/tool-read gives the tool use, its result with the same id, and the answer', async () => {
  const { chunks, reply } = await benchWithCapture('claude', 'tool-read').run({ prompt: 'x' });
  expect(types(chunks)).toEqual(['system', 'tool_use', 'tool_result', 'text', 'result']);
  expect(chunks[1]).toMatchObject({
    toolName: 'Read',
    toolId: 'toolu_01',
    toolInput: { file_path: '/workspace/note.txt' },
  });
  expect(chunks[2]).toMatchObject({
    toolName: 'Read',
    toolId: 'toolu_01',
    toolOutput: expect.stringContaining('HERON'),
  });
  expect(reply?.view.text).toContain('HERON.');
  expect(reply?.view.toolUses).toHaveLength(1);
});

test('A4 claude/error-401 gives a retry, an auth error with status and message, no text, and a failed call', async () => {
  const { chunks, error } = await benchWithCapture('claude', 'error-401').run({ prompt: 'x' });
  expect(types(chunks)).toEqual(['system', 'system', 'error']);
  expect(events(chunks)).toEqual([undefined, 'retry']);
  expect(chunks[2]).toMatchObject({
    content: 'Failed to authenticate. API Error: 401 Incorrect API key provided: sk-test.',
    metadata: { kind: 'auth', status: 401, exit_code: 1 },
  });
  expect(error?.failure).toMatchObject({ code: 'unauthorized', status: 401, retryable: false });
});

test('A5 claude/sigint-stream with exit 0 gives an error, never a result', async () => {
  const { chunks, error } = await benchWithCapture('claude', 'sigint-stream').run({ prompt: 'x' });
  expect(only(chunks, 'result')).toEqual([]);
  expect(chunks.at(-1)).toMatchObject({ type: 'error', metadata: { kind: 'aborted', exit_code: 0 } });
  expect(error).not.toBeNull();
});

test('A6 claude/resume-unknown is session_not_found and leaves the stored id', async () => {
  const bench = benchWithCapture('claude', ['text', 'resume-unknown']);
  await bench.run({ prompt: 'x' });
  const { error } = await bench.run({ prompt: 'y', resume: '11111111-2222-4333-8444-555555555555' });
  expect(error?.failure).toMatchObject({ reason: 'session_not_found', retryable: false });
  expect(bench.endpoint.sessionId).toBe('775cddd9-cda1-4b27-bedf-562f4e01137d');
});

test('A7 claude/tool-write-denied reports the denial, an error result of the tool, and the denials', async () => {
  const { chunks, response } = await benchWithCapture('claude', 'tool-write-denied').run({ prompt: 'x' });
  expect(events(chunks)).toContain('permission_denied');
  expect(only(chunks, 'tool_result')).toMatchObject([{ toolId: 'toolu_03', isError: true }]);
  expect(chunks.at(-1)?.type).toBe('result');
  expect(response.permission_denials).toHaveLength(1);
});

test.each([
  ['claude', 'text', (argv: string[], id: string) => argv.includes(`--resume=${id}`)],
  ['codex', 'text', (argv: string[], id: string) => argv.includes('resume') && argv.at(-2) === id],
  ['gemini', 'text', (argv: string[], id: string) => argv.includes(`--resume=${id}`)],
] as const)(
  'A8 a second call of %s resumes the session of the first and says only what is new',
  async (agent, name, resumes) => {
    const bench = benchWithCapture(agent, name);
    const first = await bench.run({ messages: [{ role: 'user', content: 'one' }] });
    const id = first.reply?.sessionId ?? '';
    expect(id).not.toBe('');
    await bench.run({
      messages: [
        { role: 'user', content: 'one' },
        { role: 'assistant', content: 'answer' },
        { role: 'user', content: 'two' },
      ],
    });
    const [one, two] = bench.seen();
    expect(resumes(one?.argv ?? [], id)).toBe(false);
    expect(resumes(two?.argv ?? [], id)).toBe(true);
    expect(two?.stdin).toBe('two');
  },
);

test.each(every)(
  'A9 a prompt of 1 MB that starts with -x reaches %s on stdin, unchanged and not in argv',
  async (agent) => {
    const prompt = `-x ${'ä'.repeat(500_000)}`;
    const bench = benchWithCapture(agent, 'text');
    await bench.run({ prompt });
    const [seen] = bench.seen();
    expect(seen?.stdin === prompt).toBe(true);
    expect(seen?.argv.join(' ')).not.toContain('-x ä');
  },
);

test('A10 codex/tool-shell gives a warning, the use before its result, text and result', async () => {
  const { chunks, error } = await benchWithCapture('codex', 'tool-shell').run({ prompt: 'x' });
  expect(types(chunks)).toEqual(['system', 'system', 'tool_use', 'tool_result', 'text', 'result']);
  expect(events(chunks)).toEqual([undefined, 'warning']);
  expect(chunks.slice(2, 4)).toMatchObject([
    { toolName: 'Bash', toolId: 'item_1' },
    { toolId: 'item_1', isError: false },
  ]);
  expect(error).toBeNull();
});

test('A11 codex/error-401 gives one retry and exactly one error of kind auth', async () => {
  const { chunks, error } = await benchWithCapture('codex', 'error-401').run({ prompt: 'x' });
  expect(events(chunks).filter((event) => event === 'retry')).toHaveLength(1);
  expect(only(chunks, 'error')).toMatchObject([{ metadata: { kind: 'auth', status: 401 } }]);
  expect(error?.code).toBe('unauthorized');
});

test('A12 a codex run that reconnects once and then answers succeeds with the answer', async () => {
  const [started = '', message = '', completed = ''] = answers.codex;
  const retry = '{"type":"error","message":"Reconnecting... 1/5 (stream closed)"}';
  const { chunks, reply } = await benchWithScript('codex', say([started, retry, message, completed])).run({
    prompt: 'x',
  });
  expect(events(chunks)).toEqual([undefined, 'retry']);
  expect(reply?.view.text).toBe('hi');
});

test('A13 codex yolo is -s workspace-write with approvals off, and never --full-auto', async () => {
  const bench = benchWithCapture('codex', 'text', { kwargs: { yolo: true } });
  await bench.run({ prompt: 'x' });
  const argv = bench.seen()[0]?.argv ?? [];
  expect(argv.slice(argv.indexOf('-s'), argv.indexOf('-s') + 2)).toEqual(['-s', 'workspace-write']);
  expect(argv).toContain('approval_policy="never"');
  expect(argv).not.toContain('--full-auto');
});

test.each(['true', '12', 'say "hi"\nand [a]=b\\'])(
  'A14 codex gets the system prompt %j as one TOML string',
  async (text) => {
    const bench = benchWithCapture('codex', 'text');
    await bench.run({ prompt: 'x', system_prompt: text });
    const setting = bench.seen()[0]?.argv.find((argument) => argument.startsWith('developer_instructions=')) ?? '';
    // TOML's basic strings with these characters are JSON strings.
    expect(JSON.parse(setting.slice(setting.indexOf('=') + 1))).toBe(text);
  },
);

test('A15 codex with resume and sandbox has -s and -C before resume', async () => {
  const bench = benchWithCapture('codex', 'resume');
  await bench.run({ prompt: 'x', resume: '01a20508-11e1-7403-99c8-c2bc09cd6bfe', sandbox: 'read-only' });
  const argv = bench.seen()[0]?.argv ?? [];
  expect(argv.indexOf('-s')).toBeLessThan(argv.indexOf('resume'));
  expect(argv.indexOf('-C')).toBeLessThan(argv.indexOf('resume'));
  expect(argv.slice(-3)).toEqual(['--', '01a20508-11e1-7403-99c8-c2bc09cd6bfe', '-']);
});

test('A16 codex/connection-refused ends at the timeout with a deadline error, its process gone', async () => {
  const bench = benchWithCapture('codex', 'connection-refused');
  const before = performance.now();
  const { chunks, error } = await bench.run({ prompt: 'x', timeout: 2 });
  expect(performance.now() - before).toBeLessThan(5_000);
  expect(error?.failure).toMatchObject({ code: 'timed_out', phase: 'attempt', timeoutMs: 2_000 });
  expect(chunks.at(-1)?.metadata?.kind).toBe('deadline');
  expect(markedProcesses(bench.seen()[0]?.env.LIONAGI_RUN_ID ?? '')).toBe(0);
});

test('A17 the usage of two turns is their sum', async () => {
  const [started = '', message = ''] = answers.codex;
  const turns = [
    '{"type":"turn.completed","usage":{"input_tokens":100,"output_tokens":10}}',
    '{"type":"turn.started"}',
    '{"type":"turn.completed","usage":{"input_tokens":50,"output_tokens":5}}',
  ];
  const { reply, response } = await benchWithScript('codex', say([started, message, ...turns])).run({ prompt: 'x' });
  expect(reply?.view.usage).toMatchObject({ inputTokens: 150, outputTokens: 15 });
  expect(response.num_turns).toBe(2);
});

test('A18 gemini/text gives system, deltas and a result with its numbers, without the prompt', async () => {
  const { chunks, reply } = await benchWithCapture('gemini', 'text').run({ prompt: 'x' });
  expect(types(chunks)).toEqual(['system', 'text', 'text', 'text', 'text', 'result']);
  expect(JSON.stringify(chunks)).not.toContain('what is 2+2');
  expect(reply?.view.usage).toMatchObject({ inputTokens: 120, outputTokens: 9, totalTokens: 129 });
});

test('A19 gemini/error-401 is kind auth with status, its message without the wrapping', async () => {
  const { chunks } = await benchWithCapture('gemini', 'error-401').run({ prompt: 'x' });
  expect(chunks.at(-1)).toMatchObject({
    content: 'Incorrect API key provided: sk-test.',
    metadata: { kind: 'auth', status: 401, exit_code: 145 },
  });
});

test('A20 gemini/sigterm-norelaunch-stream, not stopped by us, is an error of kind aborted', async () => {
  const { chunks, error } = await benchWithCapture('gemini', 'sigterm-norelaunch-stream').run({ prompt: 'x' });
  expect(chunks.at(-1)?.metadata).toMatchObject({ kind: 'aborted', exit_code: 0 });
  expect(error?.code).toBe('interrupted');
});

test('A21 gemini with full_auto and yolo gets a single --approval-mode=yolo', async () => {
  const bench = benchWithCapture('gemini', 'text');
  await bench.run({ prompt: 'x', approval_mode: 'full_auto', yolo: true });
  expect(bench.seen()[0]?.argv.filter((argument) => /approval|yolo/.test(argument))).toEqual(['--approval-mode=yolo']);
});

test('A22 gemini reads the system message from a file that is gone afterwards', async () => {
  const bench = benchWithScript(
    'gemini',
    `cp "$GEMINI_SYSTEM_MD" "$HOME/system"; echo "$GEMINI_SYSTEM_MD" > "$HOME/path"\n${say(answers.gemini)}`,
  );
  await bench.run({
    messages: [
      { role: 'system', content: 'Be terse.' },
      { role: 'user', content: 'x' },
    ],
  });
  const home = join(bench.repo, '..');
  expect(readFileSync(join(home, 'system'), 'utf8')).toBe('Be terse.');
  expect(existsSync(readFileSync(join(home, 'path'), 'utf8').trim())).toBe(false);
});

test('A23 pi/error-401 with exit 0 is an error of kind auth, and the prompt is no result', async () => {
  const { chunks, error } = await benchWithCapture('pi', 'error-401').run({ prompt: 'HO-401 please' });
  expect(chunks.at(-1)).toMatchObject({ type: 'error', metadata: { kind: 'auth', status: 401, exit_code: 0 } });
  expect(JSON.stringify(chunks)).not.toContain('HO-401');
  expect(error?.code).toBe('unauthorized');
});

test('A24 pi/tool-read gives one use and one result of p1, marked deltas, its session and the summed usage', async () => {
  const { chunks, reply, response } = await benchWithCapture('pi', 'tool-read').run({ prompt: 'x', persist: true });
  expect(only(chunks, 'tool_use').map(({ toolId }) => toolId)).toEqual(['p1']);
  expect(only(chunks, 'tool_result').map(({ toolId }) => toolId)).toEqual(['p1']);
  expect(only(chunks, 'text').every(({ isDelta }) => isDelta)).toBe(true);
  expect(response.session_id).toBe('01a20505-d083-7216-9b11-d02e8c64d2e3');
  expect(reply?.sessionId).toBe('01a20505-d083-7216-9b11-d02e8c64d2e3');
  expect(reply?.view.usage).toMatchObject({ inputTokens: 240, outputTokens: 18 });
});

test('A25 pi/error-429 gives three retries, goes on past agent_end, and fails as quota', async () => {
  const { chunks, error } = await benchWithCapture('pi', 'error-429').run({ prompt: 'x' });
  expect(events(chunks).filter((event) => event === 'retry')).toHaveLength(3);
  expect(types(chunks).at(-1)).toBe('error');
  expect(error?.failure).toMatchObject({ code: 'rate_limited', status: 429 });
});

test('A26 pi with tools read and grep gets one --tools read,grep', async () => {
  const bench = benchWithCapture('pi', 'text');
  await bench.run({ prompt: 'x', tools: ['read', 'grep'] });
  const argv = bench.seen()[0]?.argv ?? [];
  expect(argv.filter((argument) => argument === '--tools')).toHaveLength(1);
  expect(argv[argv.indexOf('--tools') + 1]).toBe('read,grep');
});

test.each(every)('A27 a line of noise between the events of %s is kept and nothing is lost', async (agent) => {
  const [first = '', ...rest] = answers[agent];
  const { reply, response, notes } = await benchWithScript(agent, say([first, 'warning: x', '42', ...rest])).run({
    prompt: 'x',
  });
  expect(reply?.view.text).toBe('hi');
  expect(response.noise).toEqual(['warning: x', '42']);
  expect(notes.map(({ kind }) => kind)).toEqual(['noise', 'noise']);
});

test('A28 an emoji split over reads is whole, and an invalid byte becomes a replacement character', async () => {
  const lines = answers.claude.map((line) => line.replaceAll('hi', '🦩 \\377'));
  const script = lines.map((line) => `printf '${line}\\n'`).join('\n');
  const { reply } = await benchWithScript('claude', script).run({ prompt: 'x' });
  expect(reply?.view.text).toBe('🦩 \ufffd');
});

test.each(every)('A29 a last line of %s that is cut in the middle is an error of kind protocol', async (agent) => {
  const lines = [...answers[agent]];
  const last = lines.pop() ?? '';
  const { chunks, error } = await benchWithScript(agent, `${say(lines)}\nprintf '%s' '${last.slice(0, -4)}'`).run({
    prompt: 'x',
  });
  expect(chunks.at(-1)?.metadata?.kind).toBe('protocol');
  expect(error?.code).toBe('malformed');
});

test('A30 5 MB of error output before the first event neither deadlocks nor loses its last line', async () => {
  const flood = `head -c 5000000 /dev/zero | tr '\\0' 'e' >&2; echo; sleep 1; echo 'the last line' >&2; exit 3`;
  const { error } = await benchWithScript('claude', flood).run({ prompt: 'x' });
  expect(String(error?.cause)).toMatch(/the last line$/);
});

test('A31 a grandchild in a session of its own does not outlive a cancelled call', async () => {
  const controller = new AbortController();
  const bench = benchWithScript(
    'claude',
    `setsid sleep 300 & echo "$LIONAGI_RUN_ID" > "$HOME/id"\n${say(answers.claude.slice(0, 1))}\nsleep 301`,
  );
  const run = bench.run(
    { prompt: 'x', kill_grace: 1 },
    { signal: controller.signal, onChunk: () => controller.abort(cancelled()) },
  );
  const { error } = await run;
  expect(error?.code).toBe('cancelled');
  expect(markedProcesses(readFileSync(join(bench.repo, '..', 'id'), 'utf8').trim())).toBe(0);
});

test('A32 a program that ignores SIGTERM is killed after the grace, and the call ends only then', async () => {
  const controller = new AbortController();
  const bench = benchWithScript(
    'claude',
    `trap '' TERM; echo $$ > "$HOME/pid"\n${say(answers.claude.slice(0, 1))}\nwhile :; do sleep 0.1; done`,
  );
  const before = performance.now();
  const { error } = await bench.run(
    { prompt: 'x', kill_grace: 0.5 },
    { signal: controller.signal, onChunk: () => controller.abort(cancelled()) },
  );
  expect(error?.code).toBe('cancelled');
  expect(performance.now() - before).toBeGreaterThan(450);
  const pid = Number(readFileSync(join(bench.repo, '..', 'pid'), 'utf8'));
  expect(() => process.kill(pid, 0)).toThrow('ESRCH');
});

test('A33 after a reader left, its process is gone before the run ends, and the next call starts', async () => {
  const controller = new AbortController();
  const bench = benchWithCapture('gemini', ['sigterm-norelaunch-stream', 'text'], { replay: { REPLAY_SIGNALS: '1' } });
  await bench.run(
    { prompt: 'x' },
    { signal: controller.signal, onChunk: ({ type }) => type === 'text' && controller.abort(cancelled()) },
  );
  const first = bench.seen()[0];
  expect(markedProcesses(first?.env.LIONAGI_RUN_ID ?? '')).toBe(0);
  const next = await bench.run({ prompt: 'y' });
  expect(next.reply?.view.text).toContain('The sum is 4.');
});

test.each(every)('A34 %s reads the end of its input at once, whatever the input of the host', async (agent) => {
  // `cat` ends only when its input does.
  const { reply } = await benchWithScript(agent, `cat > /dev/null\n${say(answers[agent])}`).run({
    prompt: 'x',
    timeout: 20,
  });
  expect(reply?.view.text).toBe('hi');
});

test('A35 a claude child sees the key of Anthropic and not that of OpenAI', async () => {
  const bench = benchWithCapture('claude', 'text', {
    hostEnvironment: {
      PATH: process.env.PATH,
      OPENAI_API_KEY: 'sk-openai',
      ANTHROPIC_API_KEY: 'sk-anthropic',
      CLAUDECODE: '1',
    },
  });
  await bench.run({ prompt: 'x' });
  const env = bench.seen()[0]?.env ?? {};
  expect(env.ANTHROPIC_API_KEY).toBe('sk-anthropic');
  expect(env).not.toHaveProperty('OPENAI_API_KEY');
  expect(env).not.toHaveProperty('CLAUDECODE');
});

test.each([
  ['claude', 'npm install -g @anthropic-ai/claude-code'],
  ['codex', 'npm install -g @openai/codex'],
  ['gemini', 'npm install -g @google/gemini-cli'],
  ['pi', 'npm install -g @earendil-works/pi-coding-agent'],
] as const)(
  'A36 without a program of %s the error says how to install it, and one installed later works',
  async (agent, install) => {
    const folder = temporaryFolder();
    const endpoint = agents[agent]({
      hostEnvironment: { PATH: `${folder}:/usr/bin:/bin`, HOME: folder },
      kwargs: { repo: folder },
    });
    const run = () =>
      endpoint.run({
        callId: 'c',
        payload: endpoint.prepare({ prompt: 'x' }),
        transport: {},
        sink: null,
        signal: new AbortController().signal,
        sent: () => {},
        answered: () => {},
      });
    const error = await run().catch((reason: unknown) => reason);
    expect(IModelError.is(error) && error.failure).toMatchObject({
      code: 'unavailable',
      reason: 'cli_not_found',
      retryable: false,
    });
    expect(String(error)).toContain(install);
    const path = join(folder, agent);
    writeFileSync(path, `#!/bin/sh\n${say(answers[agent])}\n`);
    chmodSync(path, 0o755);
    expect((await run()).view.text).toBe('hi');
  },
);

test('A37 efforts come off the model name, known models keep their names, and gemini refuses an effort', () => {
  expect(createClaudeCode({ kwargs: { model: 'opus-4-7-high' } }).config.kwargs).toMatchObject({
    model: 'claude-opus-4-7',
    effort: 'high',
  });
  expect(parseModelSpec('gpt-5.1-codex-max', codex.models)).toEqual({ model: 'gpt-5.1-codex-max', effort: null });
  expect(thrown(() => createGeminiCode({ kwargs: { model: 'x-high' } })).failure).toMatchObject({
    code: 'config',
    field: 'model',
  });
});

test('A38 codex effort max is sent as xhigh, and both values are told', async () => {
  const bench = benchWithCapture('codex', 'text', { kwargs: { model: 'gpt-5.3-codex', reasoning_effort: 'max' } });
  const { chunks } = await bench.run({ prompt: 'x' });
  expect(bench.seen()[0]?.argv).toContain('model_reasoning_effort="xhigh"');
  expect(chunks[0]?.metadata).toMatchObject({ requested_effort: 'max', effort: 'xhigh' });
});

const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const conversation: Fields = {
  messages: [
    { role: 'system', content: 'Be terse.' },
    { role: 'user', content: 'one' },
    { role: 'assistant', content: 'two' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'three' },
        { type: 'image_url', image_url: { url: `data:image/png;base64,${pixel}` } },
      ],
    },
  ],
};
const labelled = '[user]\none\n\n[assistant]\ntwo\n\n[user]\nthree';

test.each([
  ['claude', 'text'],
  ['claude', 'error-401'],
  ['codex', 'text'],
  ['codex', 'error-401'],
  ['gemini', 'text'],
  ['pi', 'text'],
] as const)(
  'A39 %s (%s) gets labelled blocks, the system text and the picture, and no file is left',
  async (agent, name) => {
    const bench = benchWithCapture(agent, name);
    await bench.run(conversation);
    const [seen] = bench.seen();
    const argv = seen?.argv ?? [];
    const all = JSON.stringify(seen);
    if (agent === 'claude') {
      const line = JSON.parse(seen?.stdin ?? '');
      expect(line.message.content).toEqual([
        { type: 'text', text: labelled },
        { type: 'image', source: { type: 'base64', media_type: 'image/png', data: pixel } },
      ]);
      expect(argv).toContain('--append-system-prompt=Be terse.');
    } else {
      const shown = /[^"=@ ]*-image\.png/.exec(all)?.[0] ?? '';
      expect(shown).not.toBe('');
      expect(existsSync(shown)).toBe(false);
      expect(seen?.stdin.startsWith(labelled)).toBe(true);
    }
    if (agent === 'codex') expect(argv).toContain('developer_instructions="Be terse."');
    if (agent === 'gemini') expect(seen?.env.GEMINI_SYSTEM_MD).toBeTruthy();
    if (agent === 'pi') expect(argv).toContain('--append-system-prompt');
    expect(existsSync(seen?.env.TMPDIR ?? '/')).toBe(false);
  },
);

test('A40 a ws that leaves repo is refused before anything is spawned, in words or through a link', async () => {
  const bench = benchWithCapture('codex', 'text');
  mkdirSync(join(bench.repo, '..', 'outside'));
  symlinkSync('../outside', join(bench.repo, 'link'));
  for (const ws of ['../x', '/tmp', 'link', 'link/deeper', 'C:\\x']) {
    const { error } = await bench.run({ prompt: 'x', ws });
    expect(error?.failure, ws).toMatchObject({ code: 'invalid_request', path: 'ws' });
  }
  expect(bench.seen()).toEqual([]);
  const { error } = await bench.run({ prompt: 'x', ws: 'new/folder' });
  expect(error).toBeNull();
  expect(bench.seen()[0]?.cwd).toBe(join(bench.repo, 'new/folder'));
});

test.each(every)('A41 a misspelt field of %s is refused by name, in a request and in a constructor', (agent) => {
  const endpoint = agents[agent]();
  const error = thrown(() => endpoint.prepare({ prompt: 'x', resmue: 'a' }));
  expect(error.failure).toMatchObject({ code: 'invalid_request', path: 'resmue' });
  expect(error.message).toContain('resume');
  expect(thrown(() => agents[agent]({ kwargs: { resmue: 'a' } })).failure).toMatchObject({
    code: 'config',
    field: 'resmue',
  });
});

test('no folder of a run is left', async () => {
  await vi.waitFor(() => expect(leftFolders()).toEqual([]));
});

function cancelled(): IModelError {
  return IModelError.of('cancelled', 'The call was cancelled', {});
}
