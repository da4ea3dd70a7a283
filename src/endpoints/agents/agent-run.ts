import type { Writable } from 'node:stream';
import { runProgram } from '../../process/run-program.ts';
import { TemporaryFolder } from '../../process/temporary-folder.ts';
import type { EndpointJob, EndpointReply } from '../endpoint.ts';
import { requireVersion } from './agent-command.ts';
import type { AgentHandlers } from './agent-handlers.ts';
import { settle } from './agent-outcome.ts';
import { AgentOutput } from './agent-output.ts';
import { openWorkspace } from './agent-paths.ts';
import type { AgentRequest } from './agent-program.ts';
import { AgentSession } from './agent-session.ts';
import { holdSession } from './agent-session-lock.ts';
import { type AgentStart, prepareStart, type RunPlace, type StartOptions } from './agent-start.ts';
import { defaultStallTimeout, defaultTimeout } from './agent-verdict.ts';

const defaults = { killGrace: 5, maxLineBytes: 64 * 1024 * 1024, maxChunks: 10_000 };
/** How long a program may go on after its last word: Codex reports to its maker, for up to 5 s without a network. */
const lingerMs = 5_000;

/** One call of an agent. */
export interface AgentRunOptions<R extends AgentRequest> extends StartOptions<R> {
  readonly job: EndpointJob;
  readonly handlers: AgentHandlers;
}

/**
 * Runs an agent once, and resolves or rejects when its process, everything it started, and its temporary files are gone.
 *
 * @throws {@link IModelError} whatever stopped it, after one `error` chunk; the signal's reason when that aborted.
 */
export async function runAgent<R extends AgentRequest>(options: AgentRunOptions<R>): Promise<EndpointReply> {
  const { program, request, job } = options;
  const resume = request.resume ?? (request.continue_conversation === true ? 'latest' : null);
  const workspace = openWorkspace(request.repo, request.ws);
  const key =
    resume === null ? null : `${program.provider} ${resume === 'latest' ? `latest in ${workspace.cwd}` : resume}`;
  const release = key === null ? () => {} : await holdSession(key, job.signal);
  const temporary = new TemporaryFolder('imodel');
  try {
    return await runOnce(options, { workspace, resume, temporary, streaming: job.sink !== null });
  } finally {
    await temporary.remove();
    release();
  }
}

async function runOnce<R extends AgentRequest>(options: AgentRunOptions<R>, place: RunPlace): Promise<EndpointReply> {
  const { program, request, job } = options;
  const { signal } = job;
  const start = prepareStart(options, place);
  const { launch, command, environment, cwd, secrets } = start;
  const cliVersion = request.verify_version === true ? await requireVersion(program, { ...start, signal }) : null;
  const session = sessionOf(options, start, cliVersion);
  const output = new AgentOutput(program.createReader(session, request), session, job);
  const end = await runProgram({
    ...{ file: command[0] ?? '', cwd, env: environment, input: launch.input, signal, secrets, lingerMs },
    folder: place.temporary.path,
    args: [...command.slice(1), ...(request.extra_args ?? []), ...launch.args],
    ...(launch.keepsInput === true ? { keepInput: (stdin: Writable) => session.answerOn(stdin) } : {}),
    deadlineMs: (request.timeout ?? defaultTimeout) * 1_000,
    stallMs: request.stall_timeout === null ? null : (request.stall_timeout ?? defaultStallTimeout) * 1_000,
    killGraceMs: (request.kill_grace ?? defaults.killGrace) * 1_000,
    maxLineBytes: request.max_line_bytes ?? defaults.maxLineBytes,
    onStarted: () => job.sent(),
    onLine: (line, whole) => output.take(line, whole),
    onOversized: () =>
      session.note('warning', { message: 'A line of output was longer than `max_line_bytes` and was dropped' }),
    isSettled: () => session.record.terminal !== null,
  });
  return settle({ program, request, job, session, output, end, start });
}

function sessionOf<R extends AgentRequest>(
  { program, request, job, handlers }: AgentRunOptions<R>,
  { launch, cwd, mask }: AgentStart,
  cliVersion: string | null,
): AgentSession {
  return new AgentSession({
    ...{ provider: program.provider, sink: job.sink, handlers, cwd, cliVersion, mask },
    model: request.model ?? null,
    keepRaw: request.keep_raw ?? false,
    maxChunks: request.max_chunks ?? defaults.maxChunks,
    includeSummary: request.cli_include_summary ?? true,
    startMetadata: launch.start ?? {},
    warnings: launch.warnings ?? [],
    journal: (note) => job.journal?.(note),
  });
}
