import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { answers, say } from './answers.ts';
import { types } from './chunk-kinds.ts';
import { benchWithCapture, benchWithScript, noFolderLeft } from './harness.ts';

afterAll(noFolderLeft);

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
