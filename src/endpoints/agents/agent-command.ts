import { readFileSync, realpathSync } from 'node:fs';
import { IModelError } from '../../errors.ts';
import { findProgram } from '../../process/find-program.ts';
import type { AgentProgram, AgentRequest } from './agent-program.ts';
import { isAtLeast, type ProbeOptions, probeVersion } from './agent-version.ts';

/**
 * Finds an agent's program: the option `cli_path`, then its environment variable, then `PATH`.
 *
 * @throws {@link IModelError} `unavailable` with reason `cli_not_found`, saying how to install it.
 */
export function findAgent(
  program: Pick<AgentProgram, 'title' | 'executable' | 'pathVariable' | 'install'>,
  request: Pick<AgentRequest, 'cli_path'>,
  hostEnvironment: Readonly<Record<string, string | undefined>>,
  environment: Readonly<Record<string, string>>,
): string {
  const wanted = request.cli_path ?? (hostEnvironment[program.pathVariable] || program.executable);
  const found = findProgram(wanted, environment);
  if (found !== null) return found;
  const place = wanted === program.executable ? 'in PATH' : `at \`${wanted}\``;
  throw IModelError.of(
    'unavailable',
    `${program.title} (\`${program.executable}\`) was not found ${place}. Install it with \`${program.install}\`, or name its path in \`cli_path\` or ${program.pathVariable}`,
    { reason: 'cli_not_found', retryable: false, source: 'tool' },
  );
}

/**
 * Asks for the version, and refuses one that is too old or gives none.
 *
 * @returns The version.
 * @throws {@link IModelError} `unavailable` with reason `cli_unusable`, naming what was found and what was tried.
 */
export async function requireVersion(
  program: Pick<AgentProgram, 'title' | 'install' | 'testedVersion' | 'minimumVersion'>,
  start: ProbeOptions,
): Promise<string> {
  const { command } = start;
  const { version, complaint } = await probeVersion(start);
  if (version !== null && isAtLeast(version, program.minimumVersion)) return version;
  const found = version === null ? `gave no version (${complaint})` : `is version ${version}`;
  throw IModelError.of(
    'unavailable',
    `${program.title} at \`${command[command.length - 1]}\` ${found}; taken are versions from ${program.minimumVersion} on, tried was ${program.testedVersion}. Update it with \`${program.install}\``,
    { reason: 'cli_unusable', retryable: false, source: 'tool' },
  );
}

/** Whether a file is a script of Node, and where it really lies; null when it is something else. */
export function nodeScript(path: string): string | null {
  try {
    const real = realpathSync(path);
    return /^#!.*\bnode\b/.test(readFileSync(real, { encoding: 'latin1' }).slice(0, 100)) ? real : null;
  } catch {
    return null;
  }
}
