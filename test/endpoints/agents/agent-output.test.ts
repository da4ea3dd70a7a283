import { afterAll, expect, test } from 'vitest';
import { answers, say } from './answers.ts';
import { benchWithScript, every, noFolderLeft } from './harness.ts';

afterAll(noFolderLeft);

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
