import { toFailure } from '../../errors.ts';
import { programIdentity } from '../../process/find-program.ts';
import { runProgram } from '../../process/run-program.ts';
import { exitText } from '../../process/spawn.ts';

/** How long a program may take to tell its version; the slowest start, cold, in about 3 s. */
const probeTimeoutMs = 15_000;
/** How much of what it says is looked at. */
const mostLines = 200;

/** What a program said about itself. */
export interface VersionProbe {
  /** Null when it gave none, or did not answer. */
  readonly version: string | null;
  /** What it said instead, for an error. */
  readonly complaint: string;
}

/** How a program is asked. */
export interface ProbeOptions {
  /** The program, with what must stand in front of it. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Stops the asking; its reason is thrown. */
  readonly signal: AbortSignal;
  /** The arguments that make it say its version. @defaultValue `--version` */
  readonly question?: readonly string[];
}

/** The versions that programs told, by the state of their files. A program that told none is asked again. */
const told = new Map<string, string>();

/** Asks a program for its version; remembered until its file changes. Rejects only when its signal aborts. */
export async function probeVersion(options: ProbeOptions): Promise<VersionProbe> {
  const { command, question = ['--version'], signal } = options;
  const key = [...command, ...question].map((part) => programIdentity(part) ?? part).join(' ');
  const known = told.get(key);
  if (known !== undefined) return { version: known, complaint: '' };
  const probe = await ask(options, question);
  signal.throwIfAborted();
  if (probe.version !== null) told.set(key, probe.version);
  return probe;
}

/** Whether a version is at least another; words after a dash are left out. */
export function isAtLeast(version: string, minimum: string): boolean {
  const [have, want] = [numbersOf(version), numbersOf(minimum)];
  for (let index = 0; index < want.length; index += 1) {
    const difference = (have[index] ?? 0) - (want[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

async function ask(
  { command, environment, cwd, signal }: ProbeOptions,
  question: readonly string[],
): Promise<VersionProbe> {
  const [file = '', ...args] = [...command, ...question];
  const lines: string[] = [];
  try {
    const { exit, endedBy, stderr } = await runProgram({
      ...{ file, args, cwd, env: environment, input: '', folder: null, signal, secrets: [] },
      ...{ deadlineMs: probeTimeoutMs, stallMs: null, killGraceMs: 500, lingerMs: 0, maxLineBytes: 64 * 1024 },
      onStarted: () => {},
      onLine: (line) => {
        if (lines.length < mostLines) lines.push(line);
      },
      onOversized: () => {},
      isSettled: () => false,
    });
    if (endedBy === 'deadline') return { version: null, complaint: `no answer within ${probeTimeoutMs / 1_000} s` };
    const said = lines.join('\n');
    const version = exit.code === 0 ? /\d+\.\d+\.\d+(?:-[0-9A-Za-z.]+)?/.exec(said)?.[0] : undefined;
    if (version !== undefined) return { version, complaint: '' };
    return { version: null, complaint: firstError(stderr || said) || exitText(exit) };
  } catch (error) {
    return { version: null, complaint: toFailure(error).message };
  }
}

/** The line of a complaint that names the error; the first line where none does. */
function firstError(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return (lines.find((line) => /error/i.test(line)) ?? lines[0] ?? '').trim().slice(0, 300);
}

function numbersOf(version: string): number[] {
  return (version.split('-')[0] ?? '').split('.').map(Number);
}
