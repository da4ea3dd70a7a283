import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { IModelError } from '../../src/errors.ts';
import { liveChildren } from '../../src/process/live.ts';
import { descendantsOf, isAlive, processesWithVariable } from '../../src/process/process-table.ts';
import { type ProgramEnd, type ProgramOptions, runProgram } from '../../src/process/run-program.ts';
import { hostProgram } from './host-program.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'imodel-run-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Started {
  readonly lines: string[];
  readonly oversized: () => number;
  readonly runId: string;
  readonly end: Promise<ProgramEnd>;
  readonly controller: AbortController;
}

/** Runs a script of Node, or of the shell, with everything else at its default. */
function start(script: string, options: Partial<ProgramOptions> & { readonly shell?: boolean } = {}): Started {
  const lines: string[] = [];
  let oversized = 0;
  const runId = randomUUID();
  const controller = new AbortController();
  const { shell, ...own } = options;
  const end = runProgram({
    file: shell === true ? '/bin/sh' : process.execPath,
    args: shell === true ? ['-c', script] : ['-e', script],
    cwd: folder,
    env: { PATH: process.env.PATH ?? '' },
    runId,
    input: '',
    folder: null,
    signal: controller.signal,
    deadlineMs: null,
    stallMs: null,
    killGraceMs: 2_000,
    lingerMs: 200,
    maxLineBytes: 1024 * 1024,
    secrets: [],
    onStarted: () => {},
    onLine: (line) => {
      lines.push(line);
    },
    onOversized: () => {
      oversized += 1;
    },
    isSettled: () => false,
    ...own,
  });
  return { lines, oversized: () => oversized, runId, end, controller };
}

const marked = (runId: string) => processesWithVariable('LIONAGI_RUN_ID', runId);

test('hands over lines in order and tells exit code and error output', async () => {
  const { lines, end } = start(
    'console.log("one"); console.log("two"); console.error("\\u001b[31mwoe\\u001b[0m"); process.exit(3)',
  );
  expect(await end).toEqual({ exit: { code: 3, signal: null }, endedBy: 'itself', stderr: 'woe' });
  expect(lines).toEqual(['one', 'two']);
});

test('writes the input and closes it, so that a program reading to the end comes to an end', async () => {
  const input = `-x ${'äöü'.repeat(400_000)}`;
  const { lines, end } = start(
    'let n = 0; process.stdin.on("data", (d) => { n += d.length }); process.stdin.on("end", () => console.log(n))',
    { input },
  );
  await end;
  expect(lines).toEqual([String(Buffer.byteLength(input))]);
});

test('survives a program that ends without reading its input', async () => {
  const { end } = start('process.exit(0)', { input: 'x'.repeat(1_000_000) });
  expect((await end).exit.code).toBe(0);
});

test('reports a last line without a newline as unfinished', async () => {
  const seen: [string, boolean][] = [];
  const { end } = start('process.stdout.write("a\\nb")', { onLine: (line, whole) => void seen.push([line, whole]) });
  await end;
  expect(seen).toEqual([
    ['a', true],
    ['b', false],
  ]);
});

test('stops reading while the reader is behind', async () => {
  let release = () => {};
  let handed = 0;
  const { end, runId } = start(
    'const s = "x".repeat(1000) + "\\n"; let n = 0; const go = () => { while (n < 5000) { n += 1; if (!process.stdout.write(s)) { process.stdout.once("drain", go); return } } }; go()',
    {
      onLine: () => {
        handed += 1;
        return handed === 1 ? new Promise<void>((resolve) => (release = resolve)) : undefined;
      },
    },
  );
  await vi.waitFor(() => expect(handed).toBe(1));
  await sleep(300);
  expect(handed).toBe(1);
  // 5 MB do not fit into the pipe, so the program cannot have ended.
  expect(marked(runId)).toHaveLength(1);
  release();
  await end;
  expect(handed).toBe(5_000);
});

test('does not count a slow reader as a stall, but counts silence', async () => {
  const slow = start('console.log(1)', { stallMs: 1_000, onLine: () => sleep(1_300) });
  expect((await slow.end).endedBy).toBe('itself');
  const silent = start('setTimeout(() => {}, 60000)', { stallMs: 300 });
  expect((await silent.end).endedBy).toBe('stall');
});

test('stops at the deadline', async () => {
  const { end, runId } = start('setInterval(() => console.log("."), 20)', { deadlineMs: 400 });
  const result = await end;
  expect(result.endedBy).toBe('deadline');
  expect(result.exit).toEqual({ code: null, signal: 'SIGTERM' });
  expect(marked(runId)).toEqual([]);
});

test('lets a program that has said all live on for a while, then ends it', async () => {
  let settled = false;
  const { end } = start('console.log("end"); setInterval(() => {}, 1000)', {
    isSettled: () => settled,
    onLine: () => {
      settled = true;
    },
  });
  expect((await end).endedBy).toBe('lingering');
});

test('kills a program that ignores SIGTERM after the grace, and only then resolves', async () => {
  const { lines, end, runId, controller } = start(
    'process.on("SIGTERM", () => {}); console.log("up"); setInterval(() => {}, 1000)',
    {
      killGraceMs: 300,
    },
  );
  await vi.waitFor(() => expect(lines).toEqual(['up']));
  const before = performance.now();
  controller.abort(new Error('enough'));
  const result = await end;
  expect(result).toMatchObject({ endedBy: 'abort', exit: { code: null, signal: 'SIGKILL' } });
  expect(performance.now() - before).toBeGreaterThan(250);
  expect(marked(runId)).toEqual([]);
});

test('ends a grandchild that left the group and the session, also one that dropped the marker', async () => {
  const { lines, end, runId, controller } = start(
    'setsid sleep 300 & setsid env -i sleep 301 & echo up; exec sleep 302',
    { shell: true },
  );
  await vi.waitFor(() => expect(lines).toEqual(['up']));
  await vi.waitFor(() => expect(marked(runId).length).toBeGreaterThanOrEqual(2));
  const leader = marked(runId).find((row) => row.parentPid === process.pid);
  const tree = descendantsOf(leader?.pid ?? 0);
  expect(tree).toHaveLength(2);
  controller.abort(new Error('enough'));
  await end;
  expect(marked(runId)).toEqual([]);
  expect(tree.filter(isAlive)).toEqual([]);
});

test('finds a tool whose parents are gone by its marker', async () => {
  const { lines, end, runId, controller } = start('(setsid sleep 300 &) ; echo up; exec sleep 301', { shell: true });
  await vi.waitFor(() => expect(lines).toEqual(['up']));
  await vi.waitFor(() => expect(marked(runId)).toHaveLength(2));
  controller.abort(new Error('enough'));
  await end;
  expect(marked(runId)).toEqual([]);
});

test('lets go of a pipe that a child keeps open, and leaves that child alone', async () => {
  const { lines, end, runId } = start('sleep 30 & echo done', { shell: true });
  expect(await end).toMatchObject({ exit: { code: 0 }, endedBy: 'itself' });
  expect(lines).toEqual(['done']);
  const left = marked(runId);
  expect(left).toHaveLength(1);
  for (const { pid } of left) process.kill(pid, 'SIGKILL');
});

test('reads 5 MB of error output without a deadlock and keeps its end', async () => {
  const { end } = start(
    'const line = "e".repeat(999) + "\\n"; let n = 0; const go = () => { while (n < 5000) { n += 1; if (!process.stderr.write(line)) { process.stderr.once("drain", go); return } } process.stderr.write("the last line\\n") }; go()',
  );
  const { stderr } = await end;
  expect(stderr.endsWith('the last line')).toBe(true);
  expect(stderr.length).toBeLessThanOrEqual(64 * 1024);
});

test('rejects with what the reader threw, after the program is gone', async () => {
  const { end, runId } = start('setInterval(() => console.log("."), 20)', {
    onLine: () => {
      throw new TypeError('no');
    },
  });
  await expect(end).rejects.toThrow('no');
  expect(marked(runId)).toEqual([]);
});

test('rejects with a typed error for a missing program, a file that is none, and a missing folder', async () => {
  const missing = start('', { file: join(folder, 'absent'), args: [] });
  await expect(missing.end).rejects.toMatchObject({
    code: 'unavailable',
    failure: { reason: 'cli_not_found', retryable: false },
  });
  const plain = join(folder, 'plain.txt');
  writeFileSync(plain, 'not a program');
  await expect(start('', { file: plain, args: [] }).end).rejects.toMatchObject({ failure: { reason: 'cli_unusable' } });
  const nowhere = await start('', { cwd: join(folder, 'nowhere') }).end.catch((error: unknown) => error);
  expect(IModelError.is(nowhere) && nowhere.failure).toMatchObject({ code: 'invalid_request', path: 'repo' });
  await expect(start('', { args: ['-e', 'x'.repeat(200_000)] }).end).rejects.toMatchObject({ code: 'invalid_request' });
  expect(liveChildren()).toBe(0);
});

test('does not start a program for a call that was aborted before', async () => {
  const controller = new AbortController();
  controller.abort(new Error('too late'));
  await expect(start('', { signal: controller.signal }).end).rejects.toThrow('too late');
});

test('does not signal a group whose leader was collected', async () => {
  const kill = vi.spyOn(process, 'kill');
  const { end } = start('console.log(1)');
  await end;
  expect(kill).not.toHaveBeenCalled();
  kill.mockRestore();
});

test('goes on with a program that said its last word and then spoke again', async () => {
  let settled = false;
  const { end, lines } = start(
    'console.log("end"); setTimeout(() => console.log("on"), 100); setTimeout(() => console.log("end"), 600)',
    {
      lingerMs: 300,
      isSettled: () => settled,
      onLine: (line) => {
        lines.push(line);
        settled = line === 'end';
      },
    },
  );
  expect(await end).toMatchObject({ exit: { code: 0 }, endedBy: 'itself' });
  expect(lines).toEqual(['end', 'on', 'end']);
});

test('lets go of a pipe into which a child talks without a pause', async () => {
  const { end, runId } = start('(while :; do echo .; sleep 0.2; done) & echo done', { shell: true });
  expect(await end).toMatchObject({ exit: { code: 0 }, endedBy: 'itself' });
  // It ends by itself too: its next word finds no pipe.
  await expect.poll(() => marked(runId)).toEqual([]);
}, 20_000);

test.each([
  ['an argument', { args: ['a\0b'] }],
  ['a variable', { env: { KEY: 'secret\0' } }],
])('refuses a NUL in %s before anything is started, and prints no variable', async (_, options) => {
  const error = await start('', options).end.catch((thrown: unknown) => thrown);
  expect(IModelError.is(error) && error.code).toBe('invalid_request');
  expect(String(error)).not.toContain('secret');
});

test('leaves no guardian when the program has ended', async () => {
  const { end } = start('console.log(1)');
  await end;
  expect(descendantsOf(process.pid).filter(isAlive)).toEqual([]);
});

test.each(['SIGTERM', 'SIGINT', 'exit', 'SIGKILL'])(
  'leaves no process and no folder when the host ends by %s',
  async (how) => {
    const runId = randomUUID();
    const host = await hostProgram(`
    import { runProgram } from '../src/process/run-program.js';
    import { TemporaryFolder } from '../src/process/temporary-folder.js';
    const temporary = new TemporaryFolder('imodel');
    temporary.write('key', 'secret');
    void runProgram({
      file: '/bin/sh', args: ['-c', 'setsid sleep 300 & (setsid sleep 302 &) ; echo up; exec sleep 301'], cwd: '/', runId: '${runId}',
      env: { PATH: process.env.PATH }, input: '', signal: new AbortController().signal, deadlineMs: null, folder: temporary.path,
      stallMs: null, killGraceMs: 5000, lingerMs: 1000, maxLineBytes: 1000, secrets: [], onStarted() {}, onOversized() {},
      isSettled: () => false,
      onLine() { process.stdout.write(temporary.path); process.stdin.once('data', () => process.exit(0)); },
    });`);
    const run = execa(process.execPath, [host], { reject: false, buffer: false, stdin: 'pipe' });
    const path = String(await new Promise((resolve) => run.stdout.once('data', resolve)));
    expect(existsSync(path)).toBe(true);
    await vi.waitFor(() => expect(marked(runId)).toHaveLength(3), { timeout: 10_000 });
    if (how === 'exit') run.stdin.write('go');
    else run.kill(how as NodeJS.Signals);
    const result = await run;
    if (how === 'exit') expect(result.exitCode).toBe(0);
    else expect(result.signal).toBe(how);
    await vi.waitFor(() => expect(marked(runId)).toEqual([]), { timeout: 5_000 });
    await vi.waitFor(() => expect(existsSync(path)).toBe(false), { timeout: 5_000 });
  },
);
