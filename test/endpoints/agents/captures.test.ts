import { describe, expect, test } from 'vitest';
import { benchWithCapture, casesOf, every, leftFolders, steady } from './harness.ts';

/** One document over many lines, which is no protocol: it is refused below. */
const otherFormats = new Set(['gemini/json-output']);
/** Recorded until the recorder gave up: the program itself never ends. */
const endless = new Set(['codex/connection-refused', 'gemini/sigterm-tool']);
const speed = process.env.REPLAY_SPEED ?? '0';

describe.each(every)('every capture of %s', (agent) => {
  const cases = casesOf(agent).filter((name) => !otherFormats.has(`${agent}/${name}`));

  test.each(cases)('%s', async (name) => {
    const timeout = endless.has(`${agent}/${name}`) ? (speed === '1' ? 16 : 2.5) : 60;
    const bench = benchWithCapture(agent, name, { replay: { REPLAY_SPEED: speed } });
    const { chunks, reply, error } = await bench.run({ prompt: 'Say hello.', timeout });
    const failure = error === null ? null : steady(error.failure, bench.repo, timeout);
    expect({
      chunks: chunks.map((chunk) => steady(chunk, bench.repo, timeout)),
      failure,
      text: reply?.view.text ?? null,
    }).toMatchSnapshot();
    expect(chunks[0]?.type === 'system' || chunks[0]?.type === 'error').toBe(true);
    const last = chunks.filter(({ type }) => type === 'result' || type === 'error');
    expect(last).toHaveLength(1);
    expect(chunks.at(-1)).toBe(last[0]);
    expect(error === null).toBe(last[0]?.type === 'result');
  });
});

test('runs in another format are refused as a protocol, not taken for success', async () => {
  const bench = benchWithCapture('gemini', 'json-output');
  const { error } = await bench.run({ prompt: 'x' });
  expect(error?.code).toBe('interrupted');
});

test('no folder of a run is left', () => {
  expect(leftFolders()).toEqual([]);
});
