import { tmpdir } from 'node:os';
import { IModelError } from '../../errors.ts';
import { childEnvironment } from '../../process/environment.ts';
import { ag2GroupChat, ag2PackageVersion } from './ag2.ts';
import { findAgent, nodeScript } from './agent-command.ts';
import type { AgentProgram } from './agent-program.ts';
import { isAtLeast, probeVersion, type VersionProbe } from './agent-version.ts';
import { claudeCode } from './claude-code.ts';
import { codex } from './codex.ts';
import { geminiCode } from './gemini-code.ts';
import { pi } from './pi.ts';

/** What is known of one agent on this machine. */
export interface AgentReport {
  /** Canonical provider name. */
  readonly provider: string;
  /** For people. */
  readonly title: string;
  /** Null when it was not found. */
  readonly path: string | null;
  /** Null when it did not answer. For AG2 that of its package. */
  readonly version: string | null;
  /** Whether it is there, answers, and is new enough. */
  readonly usable: boolean;
  /** The version the endpoint was written for; for AG2 that of its package. */
  readonly testedVersion: string;
  /** What is wrong and what helps; empty when it is usable. */
  readonly advice: string;
}

/** What of a program is needed to look for it. */
type Sought = Pick<
  AgentProgram,
  'provider' | 'title' | 'executable' | 'pathVariable' | 'install' | 'testedVersion' | 'minimumVersion' | 'environment'
>;

const programs = [claudeCode, codex, geminiCode, pi] as const;
const ag2Question = [
  '-c',
  'import importlib\nfor name in ("ag2", "autogen"):\n    try:\n        print(importlib.import_module(name).__version__)\n        break\n    except ImportError:\n        pass\nelse:\n    raise SystemExit("ModuleNotFoundError: neither ag2 nor autogen can be imported")',
];

/**
 * Looks for every agent's program and asks it for its version. Nothing is sent to any vendor, and no login is checked.
 *
 * @param hostEnvironment - Where programs are looked for. @defaultValue `process.env`
 */
export async function examineAgents(
  hostEnvironment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<AgentReport[]> {
  const reports = programs.map((program) => examine(program, hostEnvironment, ['--version']));
  const ag2 = { ...ag2GroupChat, testedVersion: ag2PackageVersion };
  return Promise.all([...reports, examine(ag2, hostEnvironment, ag2Question)]);
}

async function examine(
  program: Sought,
  hostEnvironment: Readonly<Record<string, string | undefined>>,
  question: readonly string[],
): Promise<AgentReport> {
  const { provider, title, testedVersion } = program;
  const known = { provider, title, testedVersion };
  const environment = childEnvironment({ host: hostEnvironment, ...program.environment });
  let path: string;
  try {
    path = findAgent(program, {}, hostEnvironment, environment);
  } catch (error) {
    if (!IModelError.is(error)) throw error;
    return { ...known, path: null, version: null, usable: false, advice: error.message };
  }
  const command =
    program.provider === 'pi' && nodeScript(path) !== null && isAtLeast(process.versions.node, '22.19.0')
      ? [process.execPath, path]
      : [path];
  const { signal } = new AbortController();
  const probe = await probeVersion({ command, environment, cwd: tmpdir(), signal, question });
  const advice = adviceFor(program, probe);
  return { ...known, path, version: probe.version, usable: advice === '', advice };
}

function adviceFor(program: Sought, { version, complaint }: VersionProbe): string {
  if (version === null) return `${program.title} does not answer: ${complaint}. Install it with \`${program.install}\``;
  // For AG2 the program's own version is Python's, which the question did not ask for.
  const enough = program.provider === 'ag2' || isAtLeast(version, program.minimumVersion);
  return enough
    ? ''
    : `Version ${version} is too old, taken is ${program.minimumVersion} or newer. Update it with \`${program.install}\``;
}
