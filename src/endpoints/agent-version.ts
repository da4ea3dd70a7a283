import { programIdentity } from '../process/find-program.ts';

/** How long a program may take to tell its version; the slowest start, cold, in about 3 s. */
const probeTimeoutMs = 15_000;

/** What a program said about itself. */
export interface VersionProbe {
  /** Null when it gave none, or did not answer. */
  readonly version: string | null;
  /** What it said instead, for an error. */
  readonly complaint: string;
}

const probes = new Map<string, Promise<VersionProbe>>();

/**
 * Asks a program for its version; remembered until its file changes. Never rejects.
 *
 * @param question - The arguments that make it say its version.
 */
export function probeVersion(
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd: string,
  question: readonly string[] = ['--version'],
): Promise<VersionProbe> {
  const key = [...command, ...question].map((part) => programIdentity(part) ?? part).join(' ');
  const known = probes.get(key);
  if (known !== undefined) return known;
  const probe = ask([...command, ...question], env, cwd);
  probes.set(key, probe);
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
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd: string,
): Promise<VersionProbe> {
  const [file = '', ...args] = command;
  const { execa } = await import('execa');
  const result = await execa(file, args, {
    cwd,
    env,
    extendEnv: false,
    stdin: 'ignore',
    reject: false,
    timeout: probeTimeoutMs,
    maxBuffer: 1024 * 1024,
  });
  const version = /\d+\.\d+\.\d+(?:-[0-9A-Za-z.]+)?/.exec(result.exitCode === 0 ? result.stdout : '')?.[0] ?? null;
  const complaint = result.timedOut
    ? `no answer within ${probeTimeoutMs / 1_000} s`
    : firstError(result.stderr || result.stdout);
  return { version, complaint: version === null ? complaint || `exit code ${result.exitCode}` : '' };
}

/** The line of a complaint that names the error; the first line where none does. */
function firstError(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return (lines.find((line) => /error/i.test(line)) ?? lines[0] ?? '').trim().slice(0, 300);
}

function numbersOf(version: string): number[] {
  return (version.split('-')[0] ?? '').split('.').map(Number);
}
