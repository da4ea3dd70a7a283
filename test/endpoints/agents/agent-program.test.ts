import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { IModelError } from '../../../src/errors.ts';
import { answers, say } from './answers.ts';
import {
  agents,
  benchWithCapture,
  benchWithScript,
  every,
  markedProcesses,
  noFolderLeft,
  temporaryFolder,
} from './harness.ts';

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

test('no folder of a run is left', noFolderLeft);

function cancelled(): IModelError {
  return IModelError.of('cancelled', 'The call was cancelled', {});
}
