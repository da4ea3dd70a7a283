import { execFileSync } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { IModelError, printValue } from '../errors.ts';

/** How a process ended: one of the two is null. Both are null only where the system told neither. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** How a process ended, in words. */
export function exitText({ code, signal }: ProcessExit): string {
  return signal === null ? `exit code ${code}` : `signal ${signal}`;
}

/** What to start. No shell is involved anywhere: every argument arrives as it stands. */
export interface SpawnOptions {
  /** Absolute path of the program. */
  readonly file: string;
  readonly args: readonly string[];
  /** Absolute path of an existing folder. */
  readonly cwd: string;
  /** The whole environment; nothing of this process's own is added. */
  readonly env: Readonly<Record<string, string>>;
}

/** A child process that leads a process group (and session) of its own. */
export interface ChildProgram {
  readonly pid: number;
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Null until the process was collected; after that its id may belong to somebody else, and its group is not signalled any more. */
  readonly exit: ProcessExit | null;
  /** Resolves when the process was collected. Never rejects. */
  readonly exited: Promise<ProcessExit>;
  /** Signals the whole group, or does nothing when its leader is gone. Synchronous. */
  signalGroup(signal: NodeJS.Signals): void;
}

/**
 * Starts a program and resolves once the system accepted it.
 *
 * @throws {@link IModelError} `unavailable` with reason `cli_not_found` or `cli_unusable` when the program cannot be started;
 * `invalid_request` when the folder does not exist, or the arguments hold a NUL or are too long for the system.
 */
export async function spawnProgram(options: SpawnOptions): Promise<ChildProgram> {
  requireFolder(options.cwd);
  requireNoNul(options);
  // A hundred modules, which programs without an agent need not load.
  const { execa } = await import('execa');
  const child = execa(options.file, options.args, {
    cwd: options.cwd,
    env: options.env,
    extendEnv: false,
    // A group of its own, so that one signal reaches the program's helpers. On Windows it would open a console instead.
    detached: process.platform !== 'win32',
    cleanup: false,
    windowsHide: true,
    stdio: 'pipe',
    buffer: false,
    encoding: 'buffer',
    reject: false,
  });
  const exited = new Promise<ProcessExit>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  const started = new Promise<unknown>((resolve) => {
    child.once('spawn', () => resolve(null));
    child.once('error', resolve);
  });
  const { pid, stdin, stdout, stderr } = child;
  // Where the system refuses at once, execa hands back a process without an id and tells the reason in its result.
  const problem = pid === undefined ? (await child).cause : await started;
  if (pid === undefined || problem !== null) throw spawnFailure(options, problem);
  // A program that ends without reading its input breaks the pipe; that is its own affair.
  stdin.on('error', () => {});
  stdout.on('error', () => {});
  stderr.on('error', () => {});
  return {
    pid,
    stdin,
    stdout,
    stderr,
    get exit() {
      const { exitCode: code, signalCode: signal } = child;
      return code === null && signal === null ? null : { code, signal };
    },
    exited,
    signalGroup(signal) {
      if (child.exitCode !== null || child.signalCode !== null) return;
      if (process.platform === 'win32') endTree(pid);
      else sendSignal(-pid, signal);
    },
  };
}

/** Signals a process, or with a negative id a group; one that is gone already is no error. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // ESRCH: it is gone, which is what signalling was for. EPERM: it changed its user; nothing more can be done.
  }
}

/** Windows has no signals and no groups; its own tool ends a process with all its children. */
function endTree(pid: number): void {
  try {
    execFileSync('taskkill', ['/PID', String(pid), '/T', '/F'], { stdio: 'ignore', windowsHide: true });
  } catch {
    // It is gone already.
  }
}

function requireFolder(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return;
  throw IModelError.of('invalid_request', `Expected \`repo\` and \`ws\` to name an existing folder, got \`${path}\``, {
    path: 'repo',
    value: path,
  });
}

/** No system can hand a NUL to a program in an argument or a variable. */
function requireNoNul({ file, args, env }: SpawnOptions): void {
  const value = [file, ...args].find((text) => text.includes('\0'));
  if (value !== undefined) {
    const message = `Expected texts without NUL where a program gets them as arguments, got ${printValue(value)}`;
    throw IModelError.of('invalid_request', message, {});
  }
  const name = Object.keys(env).find((key) => env[key]?.includes('\0'));
  // Its value may be a key.
  if (name !== undefined)
    throw IModelError.of('invalid_request', `Expected \`${name}\` to hold no NUL`, { path: name });
}

function spawnFailure(options: SpawnOptions, problem: unknown): IModelError {
  const code = systemCode(problem);
  if (code === 'E2BIG') {
    return IModelError.of(
      'invalid_request',
      `The arguments for \`${options.file}\` are longer than the system takes`,
      {},
      { cause: problem },
    );
  }
  const reason = code === 'ENOENT' && !exists(options.file) ? 'cli_not_found' : 'cli_unusable';
  return IModelError.of(
    'unavailable',
    `Cannot start \`${options.file}\`: ${reason === 'cli_not_found' ? 'there is no such program' : (code ?? 'unknown reason')}`,
    { reason, retryable: false, source: 'tool' },
    { cause: problem },
  );
}

function exists(path: string): boolean {
  try {
    accessSync(path, constants.F_OK);
    return true;
  } catch {
    return false;
  }
}

/** The system's name of an error, which execa and Node put on the error or on its cause. */
function systemCode(problem: unknown): string | null {
  for (let error = problem, depth = 0; error instanceof Error && depth < 5; error = error.cause, depth += 1) {
    const { code } = error as NodeJS.ErrnoException;
    if (typeof code === 'string' && /^E[A-Z0-9]+$/.test(code)) return code;
  }
  return null;
}
