import { afterAll, expect, test } from 'vitest';
import { answers, say } from './answers.ts';
import { events, only, types } from './chunk-kinds.ts';
import { benchWithCapture, benchWithScript, markedProcesses, noFolderLeft } from './harness.ts';

afterAll(noFolderLeft);

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

test('A38 codex effort max is sent as xhigh, and both values are told', async () => {
  const bench = benchWithCapture('codex', 'text', { kwargs: { model: 'gpt-5.3-codex', reasoning_effort: 'max' } });
  const { chunks } = await bench.run({ prompt: 'x' });
  expect(bench.seen()[0]?.argv).toContain('model_reasoning_effort="xhigh"');
  expect(chunks[0]?.metadata).toMatchObject({ requested_effort: 'max', effort: 'xhigh' });
});
