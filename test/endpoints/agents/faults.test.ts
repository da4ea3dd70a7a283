import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import type { Chunk } from '../../../schemas/chunk.ts';
import { createClaudeCode } from '../../../src/endpoints/agents/claude-code.ts';
import { IModelError } from '../../../src/errors.ts';
import { liveChildren } from '../../../src/process/live.ts';
import { listProcesses, processesWithVariable } from '../../../src/process/process-table.ts';
import { agents, benchWithCapture, benchWithScript, every, leftFolders, runOnce } from './harness.ts';

const init =
  '{"type":"system","subtype":"init","session_id":"s1","model":"m","tools":[],"cwd":"/","claude_code_version":"2.1.330"}';
const text =
  '{"type":"assistant","message":{"id":"1","model":"m","content":[{"type":"text","text":"hi"}]},"session_id":"s1"}';
const result =
  '{"type":"result","subtype":"success","is_error":false,"result":"hi","session_id":"s1","usage":{"input_tokens":1,"output_tokens":1}}';
const say = (...lines: readonly string[]) => lines.map((line) => `printf '%s\\n' '${line}'`).join('\n');

const last = (chunks: readonly Chunk[]) => chunks.at(-1);

/** One row for each way a program can go wrong: the script, how the run ends, and what it is called. */
const faults: readonly (readonly [string, string, Record<string, unknown>])[] = [
  ['exits 0 without a result', say(init, text), { code: 'interrupted', kind: 'aborted' }],
  ['exits 0 and says nothing', 'exit 0', { code: 'interrupted', kind: 'aborted' }],
  ['exits 1 with error output only', 'echo "Not logged in" >&2; exit 1', { code: 'unauthorized', kind: 'auth' }],
  ['exits 1 with nothing at all', 'exit 1', { code: 'rejected', kind: 'unknown' }],
  ['prints garbage only', 'head -c 20000 /dev/urandom | tr -d "{" ; echo', { code: 'interrupted', kind: 'aborted' }],
  [
    'is killed by the kernel',
    `${say(init, text)}\nkill -KILL $$`,
    { code: 'interrupted', kind: 'aborted', signal: 'SIGKILL' },
  ],
  ['hangs without a word', 'sleep 300', { code: 'timed_out', kind: 'deadline' }],
  [
    'hangs after an event that is not the last',
    `${say(init, text)}\nsleep 300`,
    { code: 'timed_out', kind: 'deadline' },
  ],
];

test.each(faults)('a program that %s', async (_, script, expected) => {
  const bench = benchWithScript('claude', `if [ "$1" = --version ]; then echo 2.1.330; exit 0; fi\n${script}`);
  const { chunks, error } = await bench.run({ prompt: 'x', timeout: 20, stall_timeout: 1 });
  const { code, ...metadata } = expected;
  expect(error?.code).toBe(code);
  expect(last(chunks)).toMatchObject({ type: 'error', metadata });
  expect(chunks.filter(({ type }) => type === 'error' || type === 'result')).toHaveLength(1);
});

test('a program that hangs after its result is done after 5 s, and ended', async () => {
  const bench = benchWithScript('claude', `${say(init, text, result)}\necho $$ > "$HOME/pid"\nexec sleep 300`);
  const { reply } = await bench.run({ prompt: 'x' });
  expect(reply?.view.text).toBe('hi');
  const pid = Number(readFileSync(join(bench.repo, '..', 'pid'), 'utf8'));
  expect(listProcesses().some((row) => row.pid === pid)).toBe(false);
}, 15_000);

test('a program whose child keeps the pipe open is done a second after its own end; the child is left alone', async () => {
  const bench = benchWithScript('claude', `sleep 30 &\necho $! > "$HOME/pid"\n${say(init, text, result)}`);
  const { reply } = await bench.run({ prompt: 'x' });
  expect(reply?.view.text).toBe('hi');
  const pid = Number(readFileSync(join(bench.repo, '..', 'pid'), 'utf8'));
  process.kill(pid, 'SIGKILL');
});

test('a program that floods its error output does not disturb its answer', async () => {
  const bench = benchWithScript('claude', `${say(init)}\nhead -c 5000000 /dev/zero >&2\n${say(text, result)}`);
  expect((await bench.run({ prompt: 'x' })).reply?.view.text).toBe('hi');
});

test('a success that ends with another exit code is a success with a warning', async () => {
  const { chunks, reply } = await benchWithScript('claude', `${say(init, text, result)}\nexit 7`).run({ prompt: 'x' });
  expect(reply?.view.text).toBe('hi');
  expect(chunks.map(({ metadata }) => metadata?.event)).toContain('warning');
  expect(last(chunks)?.type).toBe('result');
});

test('a line over the limit is dropped with a warning and nothing else is lost', async () => {
  const bench = benchWithScript(
    'claude',
    `${say(init)}\nhead -c 5000 /dev/zero | tr '\\0' x; echo\n${say(text, result)}`,
  );
  const { chunks, reply } = await bench.run({ prompt: 'x', max_line_bytes: 2_000 });
  expect(chunks.map(({ metadata }) => metadata?.event)).toContain('warning');
  expect(reply?.view.text).toBe('hi');
});

test('a line of 10 MB is one event', async () => {
  const script = `${say(init)}\nprintf '{"type":"assistant","message":{"id":"1","model":"m","content":[{"type":"text","text":"'\nhead -c 10000000 /dev/zero | tr '\\0' x\nprintf '"}]}}\\n'\n${say(result)}`;
  const { chunks } = await benchWithScript('claude', script).run({ prompt: 'x' });
  expect(chunks.find(({ type }) => type === 'text')?.content).toHaveLength(10_000_000);
});

test('an event nobody knows is counted and kept in the journal, and harms nothing', async () => {
  const unknown = '{"type":"telepathy","subtype":"loud","thought":1}';
  const { response, notes } = await benchWithScript('claude', say(init, unknown, text, unknown, result)).run({
    prompt: 'x',
  });
  expect(response.unknown_events).toEqual({ 'telepathy/loud': 2 });
  expect(notes[0]).toEqual({ kind: 'unknown_event', type: 'telepathy/loud', raw: JSON.parse(unknown) });
});

test.each(['on_text', 'on_final'])('a handler %s that throws fails the call and stops the program', async (name) => {
  const bench = benchWithScript('claude', `${say(init, text)}\n${name === 'on_final' ? say(result) : 'sleep 300'}`);
  const failing = bench.run(
    { prompt: 'x' },
    { transport: { [name]: () => Promise.reject(new Error('the handler broke')) } },
  );
  await expect(failing).rejects.toThrow('the handler broke');
  expect(liveChildren()).toBe(0);
});

test('handlers hear everything in order, those of a call before those of the constructor', async () => {
  const heard: unknown[] = [];
  const bench = benchWithCapture('claude', 'tool-read', {
    kwargs: {
      claude_handlers: {
        on_text: () => heard.push('stored'),
        on_tool_use: ({ name }: { name: string }) => heard.push(name),
      },
    },
  });
  await bench.run(
    { prompt: 'x' },
    {
      transport: {
        on_text: async (content: string) => {
          await sleep(20);
          heard.push(content);
        },
        claude_handlers: { on_final: ({ result: text }: { result: string }) => heard.push(`final: ${text}`) },
      },
    },
  );
  expect(heard).toEqual([
    'Read',
    'The note says: the code word is HERON.',
    'final: The note says: the code word is HERON.',
  ]);
});

test('an unknown handler or one that is no function is refused by name', () => {
  const build = (handlers: unknown) => () => createClaudeCode({ kwargs: { claude_handlers: handlers } });
  expect(build({ on_txt: () => {} })).toThrow('on_txt');
  expect(build({ on_text: 'print' })).toThrow('on_text');
});

test('two calls that resume one session run one after the other; fresh ones run together and the first to end keeps its session', async () => {
  const script =
    'echo "start $LIONAGI_RUN_ID" >> "$HOME/order"\nsleep 0.3\necho "end $LIONAGI_RUN_ID" >> "$HOME/order"\n';
  const bench = benchWithScript('claude', script + say(init, text, result));
  await Promise.all([bench.run({ prompt: 'a', resume: 's1' }), bench.run({ prompt: 'b', resume: 's1' })]);
  const order = readFileSync(join(bench.repo, '..', 'order'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(' '));
  expect(order.map(([what]) => what)).toEqual(['start', 'end', 'start', 'end']);
  expect(order[0]?.[1]).toBe(order[1]?.[1]);

  const slowFirst = benchWithScript(
    'claude',
    `case "$(cat)" in slow) sleep 0.6; id=late;; *) id=early;; esac
printf '{"type":"system","subtype":"init","session_id":"%s","model":"m"}\\n{"type":"result","subtype":"success","is_error":false,"result":"hi","session_id":"%s"}\\n' $id $id`,
  );
  const [slow, quick] = await Promise.all([slowFirst.run({ prompt: 'slow' }), slowFirst.run({ prompt: 'quick' })]);
  expect(quick.reply?.sessionId).toBe('early');
  expect(slow.reply?.sessionId).toBe('late');
  expect(slow.response.session_id).toBe('late');
  expect(slowFirst.endpoint.sessionId).toBe('early');
});

test('a call that waits for its session can be cancelled and starts nothing', async () => {
  const controller = new AbortController();
  const bench = benchWithScript('claude', `echo x >> "$HOME/runs"\nsleep 0.5\n${say(init, text, result)}`);
  const first = bench.run({ prompt: 'a', resume: 's1' });
  const second = bench.run({ prompt: 'b', resume: 's1' }, { signal: controller.signal });
  controller.abort(IModelError.of('cancelled', 'no', {}));
  expect((await second).error?.code).toBe('cancelled');
  await first;
  expect(readFileSync(join(bench.repo, '..', 'runs'), 'utf8')).toBe('x\n');
});

test('a failed or sessionless call keeps the last good session', async () => {
  const bench = benchWithCapture('claude', ['text', 'error-401', 'text']);
  await bench.run({ prompt: 'x' });
  const good = bench.endpoint.sessionId;
  await bench.run({ prompt: 'x' });
  expect(bench.endpoint.sessionId).toBe(good);
  await bench.run({ prompt: 'x', no_session_persistence: true });
  expect(bench.endpoint.sessionId).toBe(good);
  expect(bench.seen()[2]?.argv.some((argument) => argument.startsWith('--resume'))).toBe(false);
});

test.each([
  ['cli_path', '/bin/sh'],
  ['extra_args', ['--dangerously-skip-permissions']],
  ['inherit_env', true],
  ['env', { A: 'b' }],
])('a request may not set %s, which decides what runs on the machine', (name, value) => {
  for (const agent of every) {
    expect(() => agents[agent]().prepare({ prompt: 'x', [name]: value }), agent).toThrow(name);
  }
});

test.each(every)('no value of a request to %s becomes an option', async (agent) => {
  const bench = benchWithCapture(agent, 'text');
  const hostile = '--dangerously-evil';
  const requests = [
    { model: hostile },
    { system_prompt: hostile },
    { resume: hostile },
    {
      messages: [
        { role: 'system', content: hostile },
        { role: 'user', content: hostile },
      ],
    },
  ];
  for (const request of requests) {
    await bench.run({ prompt: 'messages' in request ? '' : 'x', ...request });
  }
  for (const { argv } of bench.seen()) {
    const at = argv.indexOf(hostile);
    // Codex's session name stands behind `--`, where nothing is an option.
    expect(at === -1 || (argv.indexOf('--') !== -1 && argv.indexOf('--') < at), argv.join(' ')).toBe(true);
  }
});

test('the constructor may add arguments and variables, and its variables are in no configuration', async () => {
  const bench = benchWithCapture('claude', 'text', {
    kwargs: { extra_args: ['--ide'], env: { ANTHROPIC_API_KEY: 'sk-secret-1', EXTRA: 'yes' } },
  });
  await bench.run({ prompt: 'x' });
  expect(bench.seen()[0]?.argv[0]).toBe('--ide');
  expect(bench.seen()[0]?.env).toMatchObject({ ANTHROPIC_API_KEY: 'sk-secret-1', EXTRA: 'yes' });
  expect(JSON.stringify([bench.endpoint.config, bench.endpoint.prepare({ prompt: 'x' })])).not.toContain('sk-secret-1');
});

test('a key that a program prints is masked in the error', async () => {
  const bench = benchWithScript('claude', 'echo "bad key $ANTHROPIC_API_KEY" >&2; exit 1', {
    apiKey: 'sk-very-secret',
  });
  const { error, chunks } = await bench.run({ prompt: 'x' });
  expect(JSON.stringify([error, chunks, String(error?.cause)])).not.toContain('sk-very-secret');
  expect(error?.message).toContain('bad key ***');
});

test('a key in a line that is no event is masked where it is kept', async () => {
  const bench = benchWithScript('claude', `echo "key $ANTHROPIC_API_KEY"\n${say(init, text, result)}`, {
    apiKey: 'sk-very-secret',
  });
  const { response, notes } = await bench.run({ prompt: 'x' });
  expect(response.noise).toEqual(['key ***']);
  expect(notes).toEqual([{ kind: 'noise', type: 'line', raw: 'key ***' }]);
});

test('a failed call keeps what the agent had done: it has been paid for', async () => {
  const turns =
    '{"type":"result","subtype":"error_max_turns","is_error":true,"session_id":"s1","num_turns":3,"total_cost_usd":0.5,"usage":{"input_tokens":7,"output_tokens":2}}';
  const { error, chunks } = await benchWithScript('claude', say(init, text, turns)).run({ prompt: 'x' });
  expect(error?.failure).toMatchObject({ code: 'rejected', reason: 'max_turns' });
  expect(last(chunks)?.metadata).toMatchObject({ total_cost_usd: 0.5, usage: { input_tokens: 7 } });
  expect(error?.partial?.view).toMatchObject({ text: 'hi', finishReason: null, usage: { inputTokens: 7 } });
  expect(error?.partial?.response).toMatchObject({
    ...{ is_error: true, result: '', num_turns: 3, total_cost_usd: 0.5, messages: [{ content: 'hi' }] },
    error: { kind: 'max_turns', retryable: false },
  });
});

test('a cancelled call keeps the fragments of an answer that was under way', async () => {
  const controller = new AbortController();
  const delta = (words: string) =>
    `{"type":"stream_event","api_message_id":"1","event":{"type":"content_block_delta","delta":{"type":"text_delta","text":"${words}"}}}`;
  const script = `${say(init, delta('one '), delta('two'))}\nsleep 300`;
  const { error } = await benchWithScript('claude', script).run(
    { prompt: 'x' },
    {
      signal: controller.signal,
      onChunk: ({ content }) => content === 'two' && controller.abort(IModelError.of('cancelled', 'no', {})),
    },
  );
  expect(error?.code).toBe('cancelled');
  expect(error?.partial?.view).toMatchObject({ text: 'one two', finishReason: null });
});

test('a program that hangs when asked for its version holds up no cancel, and is gone', async () => {
  const controller = new AbortController();
  const bench = benchWithScript('claude', 'echo "$LIONAGI_RUN_ID" > "$HOME/id"; setsid sleep 300 & sleep 300', {
    kwargs: { verify_version: true },
  });
  const run = bench.run({ prompt: 'x' }, { signal: controller.signal });
  const id = join(bench.repo, '..', 'id');
  await vi.waitFor(() => expect(existsSync(id) && readFileSync(id, 'utf8')).toMatch(/\n$/), { timeout: 10_000 });
  const before = performance.now();
  controller.abort(IModelError.of('cancelled', 'no', {}));
  expect((await run).error?.code).toBe('cancelled');
  expect(performance.now() - before).toBeLessThan(5_000);
  expect(processesWithVariable('LIONAGI_RUN_ID', readFileSync(id, 'utf8').trim())).toEqual([]);
});

test('a program that failed to tell its version is asked again', async () => {
  const bench = benchWithScript(
    'codex',
    'if [ -e "$HOME/asked" ]; then echo codex-cli 0.169.0; else touch "$HOME/asked"; exit 1; fi',
    { kwargs: { verify_version: true } },
  );
  expect((await bench.run({ prompt: 'x' })).error?.failure).toMatchObject({ reason: 'cli_unusable' });
  expect((await bench.run({ prompt: 'x' })).error?.code).toBe('interrupted');
});

test('a program too old is refused by version, saying which was tried, when asked to look', async () => {
  const bench = benchWithScript('codex', 'echo codex-cli 0.3.1', { kwargs: { verify_version: true } });
  const { error } = await bench.run({ prompt: 'x' });
  expect(error?.failure).toMatchObject({ code: 'unavailable', reason: 'cli_unusable' });
  expect(error?.message).toMatch(/0\.3\.1.*0\.100\.0.*0\.169\.0/);
});

test('a program that cannot even tell its version is unusable here, and says what it said', async () => {
  const { error } = await benchWithScript(
    'pi',
    'echo "SyntaxError: no export named enableCompileCache" >&2; exit 1',
  ).run({ prompt: 'x' });
  expect(error?.failure).toMatchObject({ code: 'unavailable', reason: 'cli_unusable' });
  expect(error?.message).toContain('enableCompileCache');
});

test('close() ends what runs', async () => {
  const bench = benchWithScript('claude', `${say(init)}\nsleep 300`);
  let started = () => {};
  const running = new Promise<void>((resolve) => (started = resolve));
  const run = bench.run({ prompt: 'x' }, { onChunk: () => started() });
  await running;
  await bench.endpoint.close();
  expect((await run).error?.code).toBe('closed');
  expect(liveChildren()).toBe(0);
});

test('signals are honoured as recorded when a run is cancelled', async () => {
  for (const [agent, name] of [
    ['claude', 'sigterm-stream'],
    ['codex', 'sigterm-tool'],
    ['gemini', 'sigterm-norelaunch-stream'],
    ['pi', 'sigterm-stream'],
  ] as const) {
    const controller = new AbortController();
    const bench = benchWithCapture(agent, name, { replay: { REPLAY_SIGNALS: '1' } });
    const { error } = await bench.run(
      { prompt: 'x' },
      {
        signal: controller.signal,
        onChunk: ({ type }) => type !== 'system' && controller.abort(IModelError.of('cancelled', 'no', {})),
      },
    );
    expect(error?.code, agent).toBe('cancelled');
    expect(processesWithVariable('LIONAGI_RUN_ID', bench.seen()[0]?.env.LIONAGI_RUN_ID ?? '-')).toEqual([]);
  }
});

test('200 runs cancelled at random moments leave no process and no temporary file', async () => {
  // Tools in sessions of their own, one of them orphaned at once, and a program that takes a moment to end.
  const script = `setsid sleep 333 &\n(setsid sleep 334 &)\n${say(init)}\nsleep 0.02\n${say(text)}\nsleep 335`;
  const bench = benchWithScript('claude', script);
  const seen = new Set<string>();
  const oneRun = async (index: number) => {
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(IModelError.of('cancelled', 'no', {})), (index * 37) % 150);
    const { error } = await runOnce(
      bench.endpoint,
      { prompt: `${index}`, kill_grace: 1 },
      { signal: controller.signal },
    );
    clearTimeout(timer);
    seen.add(error?.code ?? 'none');
  };
  for (let index = 0; index < 200; index += 8)
    await Promise.all(Array.from({ length: 8 }, (_, offset) => oneRun(index + offset)));
  expect([...seen]).toEqual(['cancelled']);
  expect(liveChildren()).toBe(0);
  expect(leftFolders()).toEqual([]);
  const home = `HOME=${join(bench.repo, '..')}`;
  const left = listProcesses().filter(({ pid }) => readEnvironment(pid).includes(home));
  expect(left).toEqual([]);
}, 60_000);

test('no folder of a run is left', async () => {
  await vi.waitFor(() => expect(leftFolders()).toEqual([]));
});

function readEnvironment(pid: number): string {
  const path = `/proc/${pid}/environ`;
  try {
    return existsSync(path) ? readFileSync(path, 'latin1') : '';
  } catch {
    return '';
  }
}
