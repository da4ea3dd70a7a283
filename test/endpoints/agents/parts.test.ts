import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { agentHostNames, effortLevels } from '../../../schemas/requests/agent.ts';
import { ag2PackageVersion } from '../../../src/endpoints/agents/ag2.ts';
import { examineAgents } from '../../../src/endpoints/agents/agent-doctor.ts';
import { bareAgentModels, parseModelSpec, printModelSpec } from '../../../src/endpoints/agents/agent-model.ts';
import { openWorkspace, requireInnerPath, resolveInside } from '../../../src/endpoints/agents/agent-paths.ts';
import { problemFailure, problemOf } from '../../../src/endpoints/agents/agent-problem.ts';
import { buildPrompt } from '../../../src/endpoints/agents/agent-prompt.ts';
import { summarize } from '../../../src/endpoints/agents/agent-summary.ts';
import { isAtLeast } from '../../../src/endpoints/agents/agent-version.ts';
import { claudeCode } from '../../../src/endpoints/agents/claude-code.ts';
import { codex } from '../../../src/endpoints/agents/codex.ts';
import { geminiCode } from '../../../src/endpoints/agents/gemini-code.ts';
import { pi } from '../../../src/endpoints/agents/pi.ts';
import { toToml } from '../../../src/endpoints/agents/toml.ts';
import { iModel } from '../../../src/imodel.ts';
import { inferProvider } from '../../../src/providers/infer.ts';
import { matchEndpoint } from '../../../src/providers/match.ts';
import { temporaryFolder } from './harness.ts';

const user = (content: string) => ({ role: 'user' as const, content });
const assistant = (content: string) => ({ role: 'assistant' as const, content });

test.each([
  ['a prompt that is not empty', { prompt: 'p', messages: [user('m')] }, false, 'p'],
  ['one user message', { messages: [user('one')] }, false, 'one'],
  ['two turns', { messages: [user('one'), user('two')] }, false, '[user]\none\n\n[user]\ntwo'],
  ['a lone assistant message', { messages: [assistant('a')] }, false, '[assistant]\na'],
  ['without labels', { messages: [user('one'), assistant('two')], role_labels: false }, false, 'one\ntwo'],
  [
    'a tool by its name',
    { messages: [user('one'), { role: 'tool' as const, name: 'read', content: 'text' }] },
    false,
    '[user]\none\n\n[tool read]\ntext',
  ],
  ['null content', { messages: [user('one'), { role: 'assistant' as const, content: null }] }, false, 'one'],
  ['a resumed session', { messages: [user('one'), assistant('two'), user('three')] }, true, 'three'],
  ['a resumed session without an answer', { messages: [user('one'), user('two')] }, true, '[user]\none\n\n[user]\ntwo'],
])('the prompt of %s', (_, request, resuming, text) => {
  expect(buildPrompt(request, resuming).text).toBe(text);
});

test('system messages are joined, wherever they stand, also on resume', () => {
  const messages = [{ role: 'system' as const, content: 'a' }, user('x'), { role: 'developer' as const, content: 'b' }];
  expect(buildPrompt({ messages }, false).system).toBe('a\n\nb');
  expect(buildPrompt({ messages }, true).system).toBe('a\n\nb');
});

test.each([
  ['nothing', {}],
  ['no text', { messages: [{ role: 'user' as const, content: null }] }],
  [
    'a picture elsewhere',
    {
      messages: [
        { role: 'user' as const, content: [{ type: 'image_url' as const, image_url: 'https://x.test/a.png' }] },
      ],
    },
  ],
])('a prompt of %s is refused', (_, request) => {
  expect(() => buildPrompt(request, false)).toThrow('Expected');
});

test('efforts come off the end of a model and print back', () => {
  fc.assert(
    fc.property(
      fc.stringMatching(/^[a-z][a-z0-9.]{0,12}$/),
      fc.option(fc.constantFrom(...effortLevels)),
      (model, effort) => {
        const spec = { model, effort };
        const parsed = parseModelSpec(printModelSpec(spec), codex.models);
        expect(parsed).toEqual(spec);
      },
    ),
  );
});

test.each([
  ['opus-4-7-high', 'claude-opus-4-7', 'high'],
  ['sonnet', 'sonnet', null],
  ['opus-max', 'opus', 'max'],
  ['claude-sonnet-4-5', 'claude-sonnet-4-5', null],
  ['haiku-4-5', 'claude-haiku-4-5', null],
])('claude model %s is %s with effort %s', (text, model, effort) => {
  expect(parseModelSpec(text, claudeCode.models)).toEqual({ model, effort });
});

test('a bare name stands for an agent that exists with a model, wherever a model is named', () => {
  for (const [name, { provider, model }] of bareAgentModels) {
    expect(inferProvider({ model: name }), name).toEqual({ provider, model });
    expect(matchEndpoint(provider, 'chat', { kwargs: { model } }).config.kwargs.model, name).toBe(model);
  }
  expect(inferProvider({ model: 'claude', provider: 'openai' })).toEqual({ provider: 'openai', model: 'claude' });
  expect(new iModel({ model: 'claude' })).toMatchObject({ isCli: true, modelName: 'sonnet' });
});

test.each([
  ['claude_code', ['claude-code', 'claude'], 'query_cli'],
  ['codex', ['openai-codex'], 'query_cli'],
  ['gemini_code', ['gemini-code', 'gemini_cli', 'gemini-cli'], 'query_cli'],
  ['pi', ['pi-code', 'pi_code'], 'query_cli'],
])('%s is found by its aliases and by any endpoint name', (provider, aliases, path) => {
  for (const name of [provider, ...aliases]) {
    for (const wanted of ['chat', 'cli', 'query_cli']) {
      const endpoint = matchEndpoint(name, wanted);
      expect(endpoint.config).toMatchObject({
        provider,
        endpoint: path,
        timeout: 3600,
        baseUrl: null,
        requiresTokens: false,
      });
      expect(endpoint.isCli).toBe(true);
      expect(endpoint.defaultLimits).toEqual({ queueCapacity: 10, concurrency: 3 });
    }
  }
});

test('ag2 has three endpoints, chat is the group chat, and an unknown one is refused', () => {
  const path = (name: string) => matchEndpoint('autogen', name).config.endpoint;
  expect([path('chat'), path('groupchat'), path('ask'), path('remote')]).toEqual([
    'group_chat',
    'group_chat',
    'agent',
    'nlip',
  ]);
  expect(() => matchEndpoint('ag2', 'nope')).toThrow('nope');
});

test.each([
  ['true', '"true"'],
  ['a"b\n\u007f', '"a\\"b\\n\\u007f"'],
  [12, '12'],
  [1.5, '1.5'],
  [true, 'true'],
  [['a', 1], '["a",1]'],
  [{ a: 'b', 'c d': { e: [] } }, '{a="b","c d"={e=[]}}'],
])('the TOML of %j is %s', (value, text) => {
  expect(toToml(value)).toBe(text);
});

test.each([
  ['status beats text', { message: 'rate limit', status: 401 }, { kind: 'auth', status: 401 }],
  [
    'a status in the text',
    { message: 'unexpected status 503 Service Unavailable' },
    { kind: 'overloaded', status: 503 },
  ],
  [
    'a wait that is named',
    { message: 'Rate limit reached. Please try again in 12.5s.' },
    { kind: 'quota', retryAfterMs: 12_500 },
  ],
  ['minutes', { message: 'usage limit reached, try again in 3 minutes' }, { kind: 'quota', retryAfterMs: 180_000 }],
  [
    'a prompt that is too long',
    { message: 'API Error: 400 prompt is too long', status: 400 },
    { kind: 'context', status: 400 },
  ],
  [
    'the error output, when the message tells nothing',
    { message: 'ended with exit code 1', stderr: 'Not logged in' },
    { kind: 'auth' },
  ],
  ['nothing known', { message: 'strange' }, { kind: 'unknown', status: null }],
])('a problem by %s', (_, evidence, expected) => {
  expect(problemOf(evidence)).toMatchObject(expected);
});

test('only what can pass by itself is retryable, and only while nothing was told', () => {
  const quota = problemOf({ message: 'rate limit' });
  expect(problemFailure(quota, true)).toMatchObject({ code: 'rate_limited', retryable: true });
  expect(problemFailure(quota, false).retryable).toBe(false);
  expect(problemFailure(problemOf({ message: 'x', status: 401 }), true).retryable).toBe(false);
});

test('a summary counts tools, names files once, and words what was done', () => {
  const use = (name: string, input: Record<string, unknown>, id = name) => ({ id, name, input });
  const summary = summarize(
    [
      use('Read', { file_path: 'a' }),
      use('read_file', { path: 'a' }),
      use('Write', { file_path: 'b' }),
      use('Edit', { changes: [{ path: 'c', kind: 'update' }, { path: 'd', kind: 'add' }, null] }),
      use('Bash', { command: 'x'.repeat(60) }),
      use('Glob', { pattern: '*.ts' }),
      use('Task', { description: 'look' }),
      use('TodoWrite', { todos: [1, 2] }),
      use('mcp__db__query', {}),
      use('Other', {}),
    ],
    'r'.repeat(250),
    { num_turns: 2 },
  );
  expect(summary.tool_counts).toMatchObject({ Read: 1, read_file: 1, Edit: 1 });
  expect(summary.file_operations).toEqual({ reads: ['a'], writes: ['b'], edits: ['c', 'd', 'unknown'] });
  expect(summary.key_actions).toEqual([
    'Read a',
    'Wrote b',
    'Edited c',
    'Edited d',
    'Edited unknown',
    `Ran: ${'x'.repeat(50)}...`,
    'Searched files: *.ts',
    'Spawned agent: look',
    'Created 2 todos',
    'MCP db__query',
    'Used Other',
  ]);
  expect(summary.result_summary).toBe(`${'r'.repeat(200)}...`);
  expect(summarize([], '', {}).key_actions).toEqual(['No specific actions']);
});

test.each(['../x', 'a/../../b', '/etc/passwd', 'C:\\x', 'a\0b', '\\\\host\\share'])(
  'the path %j is refused in words',
  (path) => {
    expect(() => requireInnerPath('images', path)).toThrow('images');
  },
);

test('a path that a link leads out of the work space is refused, one inside is taken', () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'repo'));
  writeFileSync(join(folder, 'secret'), 'x');
  symlinkSync('../secret', join(folder, 'repo', 'link'));
  const workspace = openWorkspace(join(folder, 'repo'), undefined);
  expect(() => resolveInside('images', 'link', workspace)).toThrow('also behind links');
  expect(resolveInside('images', 'not-yet/there.png', workspace)).toBe(join(workspace.repo, 'not-yet/there.png'));
});

test('versions compare by number', () => {
  expect([
    isAtLeast('2.10.0', '2.9.9'),
    isAtLeast('2.9.9', '2.10.0'),
    isAtLeast('1.0.0-beta', '1.0.0'),
    isAtLeast('3', '2.1'),
  ]).toEqual([true, false, true, true]);
});

test('every agent is looked for, asked for its version, and has advice when it is not usable', async () => {
  const folder = temporaryFolder();
  const program = (name: string, script: string) => {
    writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(folder, name), 0o755);
  };
  program('claude', 'echo "2.1.330 (Claude Code)"');
  program('codex', 'echo "codex-cli 0.3.0"');
  program('gemini', 'echo "SyntaxError: too old a Node" >&2; exit 1');
  program('python3', 'echo "ModuleNotFoundError: neither ag2 nor autogen" >&2; exit 1');
  const reports = await examineAgents({ PATH: folder });
  const shown = Object.fromEntries(
    reports.map(({ provider, version, usable, advice }) => [provider, [version, usable, advice]]),
  );
  expect(shown).toEqual({
    claude_code: ['2.1.330', true, ''],
    codex: ['0.3.0', false, expect.stringContaining('too old')],
    gemini_code: [null, false, expect.stringContaining('too old a Node')],
    pi: [null, false, expect.stringContaining('npm install -g @earendil-works/pi-coding-agent')],
    ag2: [null, false, expect.stringContaining("pip install 'ag2[openai]>=1.0,<2'")],
  });
});

test('the documentation names every agent with its versions, and every field that only a constructor takes', () => {
  const text = readFileSync(new URL('../../../docs/agents.md', import.meta.url), 'utf8');
  for (const { provider, executable, testedVersion, minimumVersion, hostFields } of [
    claudeCode,
    codex,
    geminiCode,
    pi,
  ]) {
    const row = text.split('\n').find((line) => line.startsWith(`| \`${provider}\``));
    expect(row).toContain(`\`${executable}\``);
    expect(row).toContain(`${testedVersion}, taken from ${minimumVersion} on`);
    for (const field of [...agentHostNames, ...hostFields]) expect(text).toContain(`\`${field}\``);
  }
  expect(text).toContain(`ag2 ${ag2PackageVersion}`);
});
