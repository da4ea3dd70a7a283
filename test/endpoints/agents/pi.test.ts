import { afterAll, expect, test } from 'vitest';
import { events, only, types } from './chunk-kinds.ts';
import { benchWithCapture, noFolderLeft } from './harness.ts';

afterAll(noFolderLeft);

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
