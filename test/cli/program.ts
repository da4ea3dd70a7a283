import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll } from 'vitest';
import { programPath } from '../build.ts';

/** How a program ended. */
export interface Ended {
  /** Its exit code, or 128 and the number of the signal that ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that runs. */
export interface Running {
  readonly child: ChildProcessWithoutNullStreams;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Resolves when stdout and stderr together match; rejects when the program has ended without. */
  until(pattern: RegExp): Promise<void>;
  readonly ended: Promise<Ended>;
}

/** How a program is started. */
export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** What is on stdin; without it stdin is at its end. */
  readonly input?: string;
}

/** A folder that is gone when the tests of a file are over; it is the home of the programs it starts too. */
export const folder = mkdtempSync(join(tmpdir(), 'imodel-cli-'));

const running = new Set<ChildProcessWithoutNullStreams>();

afterAll(() => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/** Starts `imodel` with an environment that holds nothing of the machine's but the way to Node. */
export function startProgram(args: readonly string[], options: StartOptions = {}): Running {
  return startNode([programPath, ...args], options);
}

/** Runs `imodel` to its end. */
export function runProgram(args: readonly string[], options: StartOptions = {}): Promise<Ended> {
  return startProgram(args, options).ended;
}

/** Starts Node with a script. */
export function startNode(args: readonly string[], { env = {}, input = '' }: StartOptions = {}): Running {
  const path = `${dirname(process.execPath)}:/usr/bin:/bin`;
  const child = spawn(process.execPath, args, { cwd: folder, env: { PATH: path, HOME: folder, ...env } });
  running.add(child);
  let stdout = '';
  let stderr = '';
  let look = (): void => {};
  child.stdout.on('data', (data) => {
    stdout += String(data);
    look();
  });
  child.stderr.on('data', (data) => {
    stderr += String(data);
    look();
  });
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code, signal) => {
      running.delete(child);
      resolve({ code: code ?? 128 + (signal === null ? 0 : constants.signals[signal]), stdout, stderr });
    });
  });
  const until = (pattern: RegExp): Promise<void> =>
    new Promise((resolve, reject) => {
      look = () => {
        if (pattern.test(stdout + stderr)) resolve();
      };
      look();
      void ended.then(({ code }) => reject(new Error(`Ended with ${code} before ${pattern}:\n${stdout}${stderr}`)));
    });
  return { child, stdout: () => stdout, stderr: () => stderr, until, ended };
}

/** The lines of an output that hold JSON, parsed. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
