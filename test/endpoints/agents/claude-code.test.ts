import { afterAll, expect, test } from 'vitest';
import { events, only, types } from './chunk-kinds.ts';
import { benchWithCapture, noFolderLeft } from './harness.ts';

afterAll(noFolderLeft);

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
