import type { ProgramEnd } from '../../process/run-program.ts';
import { exitText } from '../../process/spawn.ts';
import { type AgentProblem, problemOf } from './agent-problem.ts';
import type { AgentProgram, AgentRequest } from './agent-program.ts';
import type { AgentRecord } from './agent-record.ts';
import { isAtLeast, type ProbeOptions, probeVersion } from './agent-version.ts';

/** Seconds a run may take, and seconds it may be silent, unless told otherwise: agents work for a long time. */
export const defaultTimeout = 3_600;
export const defaultStallTimeout = 900;

/**
 * Decides whether a run succeeded: what the program said beats how it ended, and an exit code of 0 proves nothing.
 *
 * @returns Null for success.
 */
export function judge<R extends AgentRequest>(
  program: AgentProgram<R>,
  { terminal, suspect }: AgentRecord,
  output: { readonly truncated: boolean },
  { exit, endedBy, stderr: complaints }: ProgramEnd,
  request: R,
): AgentProblem | null {
  if (terminal !== null) return terminal.ok ? null : terminal.problem;
  const { title } = program;
  if (endedBy === 'deadline') {
    return plain('deadline', `${title} had not ended after ${request.timeout ?? defaultTimeout} s and was stopped`);
  }
  if (endedBy === 'stall') {
    return plain(
      'deadline',
      `${title} had said nothing for ${request.stall_timeout ?? defaultStallTimeout} s and was stopped`,
    );
  }
  if (output.truncated && exit.signal === null) {
    return plain('protocol', `${title} ended in the middle of an event (${exitText(exit)})`);
  }
  if (suspect !== null) return suspect;
  const byCode = exit.code === null ? undefined : program.exitKinds[exit.code];
  const stderr = withoutChatter(complaints, program.chatter);
  const how = exitText(exit);
  // Error output tells a reason only where the program says by its exit that it failed: some write chatter there in good runs.
  if (exit.code !== null && exit.code !== 0 && exit.code < 128 && stderr !== '') {
    return problemOf({
      message: `${title} ended with ${how}: ${telling(stderr)}`,
      stderr,
      otherwise: byCode ?? 'unknown',
    });
  }
  if (exit.code === null || exit.code === 0 || exit.code >= 128) {
    return plain(byCode ?? 'aborted', `${title} ended without a result (${how})`);
  }
  return plain(byCode ?? 'unknown', `${title} ended with ${how}`);
}

/**
 * Looks once more at a run that said nothing at all: a program that cannot even tell its version is unusable here, and one of another
 * version may have other options.
 */
export async function explained(
  program: Pick<AgentProgram, 'title' | 'install' | 'testedVersion' | 'minimumVersion'>,
  problem: AgentProblem,
  start: ProbeOptions,
): Promise<AgentProblem> {
  if (problem.kind !== 'unknown' && problem.kind !== 'config') return problem;
  const { version, complaint } = await probeVersion(start);
  const tried = `tried with ${program.testedVersion}, taken from ${program.minimumVersion} on`;
  if (version === null) {
    return plain(
      'cli_unusable',
      `${program.title} does not work here: ${complaint} (${tried}). Install it with \`${program.install}\``,
    );
  }
  if (!isAtLeast(version, program.minimumVersion)) {
    return plain(
      'cli_unusable',
      `${problem.message} (found ${program.title} ${version}; ${tried}). Update it with \`${program.install}\``,
    );
  }
  return problem.kind === 'config'
    ? { ...problem, message: `${problem.message} (found ${version}; ${tried})` }
    : problem;
}

function withoutChatter(stderr: string, chatter: RegExp | undefined): string {
  if (chatter === undefined) return stderr;
  return stderr
    .split('\n')
    .filter((line) => !chatter.test(line))
    .join('\n')
    .trim();
}

function plain(kind: AgentProblem['kind'], message: string): AgentProblem {
  return { kind, message, status: null, retryAfterMs: null };
}

/** What of the error output fits into a sentence: all of it, else the line that names the error, else its end. */
function telling(stderr: string): string {
  if (stderr.length <= 500) return stderr;
  const line = stderr.split('\n').find((text) => /\b(?:error|unknown|invalid|failed)\b/i.test(text));
  return line === undefined ? `…${stderr.slice(-500)}` : line.trim().slice(0, 500);
}
