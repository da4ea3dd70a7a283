import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { iModel } from '../../../src/imodel.ts';
import { liveChildren } from '../../../src/process/live.ts';
import { listProcesses } from '../../../src/process/process-table.ts';
import { type Bench, benchWithCapture, benchWithScript, every, leftFolders } from './harness.ts';

const init = '{"type":"system","subtype":"init","session_id":"s1","model":"m","tools":[],"cwd":"/"}';
const result = '{"type":"result","subtype":"success","is_error":false,"result":"hi","session_id":"s1"}';
const say = (...lines: readonly string[]) => lines.map((line) => `printf '%s\\n' '${line}'`).join('\n');

/** Processes whose home is that of a bench. */
function living(bench: Bench): number {
  const home = `HOME=${join(bench.repo, '..')}\0`;
  return listProcesses().filter(({ pid }) => environmentOf(pid).includes(home)).length;
}

function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    return '';
  }
}

test.each(every)('a prompt of 5 MB with dashes in front and NUL in the middle reaches %s as it is', async (agent) => {
  const prompt = `--dangerously-evil \0 ${'é'.repeat(2_500_000)}`;
  const bench = benchWithCapture(agent, 'text');
  const { error } = await bench.run({ prompt });
  expect(error).toBeNull();
  expect(bench.seen()[0]?.stdin === prompt).toBe(true);
});

test('a system text that is too long for an argument reaches claude in a file that is gone afterwards', async () => {
  const script = `for argument in "$@"; do case "$argument" in --append-system-prompt-file=*) cp "\${argument#*=}" "$HOME/system";; esac; done`;
  const bench = benchWithScript('claude', `${script}\n${say(init, result)}`);
  const system = `-${'x'.repeat(300_000)}`;
  const { error } = await bench.run({
    messages: [
      { role: 'system', content: system },
      { role: 'user', content: 'x' },
    ],
  });
  expect(error).toBeNull();
  expect(readFileSync(join(bench.repo, '..', 'system'), 'utf8') === system).toBe(true);
});

test('a system text that is too long for an argument of codex is refused as such', async () => {
  const { error } = await benchWithCapture('codex', 'text').run({ prompt: 'x', system_prompt: 'x'.repeat(300_000) });
  expect(error?.failure).toMatchObject({ code: 'invalid_request' });
  expect(error?.message).toContain('longer than the system takes');
});

test.each(every)('nothing of the environment reaches %s that is not on its list', async (agent) => {
  const secrets = {
    AWS_SECRET_ACCESS_KEY: 'leak-1',
    DATABASE_URL: 'postgres://leak-2',
    NPM_TOKEN: 'leak-3',
    NATS_URL: 'nats://user:leak-4@127.0.0.1',
    SSH_AUTH_SOCK: '/leak-5',
    NODE_OPTIONS: '--require=/leak-6',
    LD_PRELOAD: '/leak-7.so',
  };
  const bench = benchWithCapture(agent, 'text', {
    hostEnvironment: { PATH: process.env.PATH, LANG: 'C.UTF-8', ...secrets },
  });
  await bench.run({ prompt: 'x' });
  expect(JSON.stringify(bench.seen())).not.toContain('leak-');
  expect(bench.seen()[0]?.env).toMatchObject({ LANG: 'C.UTF-8', TERM: 'dumb' });
});

test('fifty calls at once get each their own answer, and leave nothing behind', async () => {
  const warned = vi.fn();
  process.on('warning', warned);
  const bench = benchWithScript(
    'claude',
    `word=$(cat)\n${say(init)}\nprintf '{"type":"result","subtype":"success","is_error":false,"result":"%s","session_id":"s-%s"}\\n' "$word" "$word"`,
  );
  const runs = Array.from({ length: 50 }, (_, index) => bench.run({ prompt: `call-${index}` }));
  const replies = await Promise.all(runs);
  expect(replies.map(({ reply }) => reply?.view.text)).toEqual(replies.map((_, index) => `call-${index}`));
  expect([liveChildren(), living(bench), leftFolders()]).toEqual([0, 0, []]);
  expect(warned).not.toHaveBeenCalled();
  process.off('warning', warned);
}, 30_000);

test('silence is ended by the stall time-out, talk without an end by the deadline, whichever comes first', async () => {
  const silent = benchWithScript('claude', `${say(init)}\nsleep 300`);
  const stalled = await silent.run({ prompt: 'x', timeout: 60, stall_timeout: 0.4 });
  expect(stalled.error?.failure).toMatchObject({ code: 'timed_out', timeoutMs: 400 });
  expect(stalled.error?.message).toContain('said nothing for 0.4 s');
  const talker = benchWithScript(
    'claude',
    `while :; do ${say('{"type":"system","subtype":"status"}')}; sleep 0.1; done`,
  );
  const late = await talker.run({ prompt: 'x', timeout: 1, stall_timeout: 0.8 });
  expect(late.error?.failure).toMatchObject({ code: 'timed_out', timeoutMs: 1_000 });
  expect(late.error?.message).toContain('had not ended after 1 s');
  expect([living(silent), living(talker)]).toEqual([0, 0]);
});

test('closing an iModel ends what runs and what waits, with all processes gone when it resolves', async () => {
  const bench = benchWithScript(
    'claude',
    `${say(init)}\nsetsid sleep 300 &\ntrap '' TERM\nwhile :; do sleep 0.1; done`,
    {
      kwargs: { kill_grace: 0.3 },
    },
  );
  const model = new iModel({ endpoint: bench.endpoint });
  const calls = Array.from({ length: 8 }, () => model.invoke({ prompt: 'x' }).catch((error: unknown) => error));
  await vi.waitFor(() => expect(liveChildren()).toBe(3), { timeout: 10_000 });
  await model.close({ drain: false });
  expect([liveChildren(), living(bench), leftFolders()]).toEqual([0, 0, []]);
  expect(await Promise.all(calls)).toMatchObject(calls.map(() => ({ code: 'closed' })));
});

test('a call that is cancelled while it waits for its session lets the ones behind it go on', async () => {
  const bench = benchWithScript('claude', `cat >> "$HOME/order"\nsleep 0.3\n${say(init, result)}`);
  const controller = new AbortController();
  const first = bench.run({ prompt: 'a', resume: 's1' });
  const second = bench.run({ prompt: 'b', resume: 's1' }, { signal: controller.signal });
  const third = bench.run({ prompt: 'c', resume: 's1' });
  controller.abort(new Error('no'));
  await second.catch(() => {});
  await Promise.all([first, third]);
  expect(readFileSync(join(bench.repo, '..', 'order'), 'utf8')).toBe('ac');
});

test('a failed start gives back session, folder and slot', async () => {
  const bench = benchWithScript('claude', say(init, result), { kwargs: { cli_path: '/nowhere/claude' } });
  for (let index = 0; index < 3; index += 1) {
    const { error } = await bench.run({ prompt: 'x', resume: 's1' });
    expect(error?.failure).toMatchObject({ reason: 'cli_not_found' });
  }
  expect([liveChildren(), leftFolders()]).toEqual([0, []]);
});

test('a work folder that is a file, and a picture that is not there, are the mistakes of the request', async () => {
  const bench = benchWithScript('claude', say(init, result));
  writeFileSync(join(bench.repo, 'note.txt'), 'x');
  for (const ws of ['note.txt', 'note.txt/deeper']) {
    const { error } = await bench.run({ prompt: 'x', ws });
    expect(error?.failure, ws).toMatchObject({ code: 'invalid_request', path: 'ws' });
  }
  const content = [{ type: 'image_url', image_url: 'absent.png' }];
  const { error } = await bench.run({ messages: [{ role: 'user', content }] });
  expect(error?.failure).toMatchObject({ code: 'invalid_request', path: 'messages.content.image_url' });
  expect([liveChildren(), leftFolders()]).toEqual([0, []]);
});
