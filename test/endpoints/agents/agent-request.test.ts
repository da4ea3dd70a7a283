import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { parseModelSpec } from '../../../src/endpoints/agents/agent-model.ts';
import { createClaudeCode } from '../../../src/endpoints/agents/claude-code.ts';
import { codex } from '../../../src/endpoints/agents/codex.ts';
import { createGeminiCode } from '../../../src/endpoints/agents/gemini-code.ts';
import type { Fields } from '../../../src/endpoints/endpoint.ts';
import { agents, benchWithCapture, every, noFolderLeft } from './harness.ts';
import { thrown } from './thrown.ts';

afterAll(noFolderLeft);

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
