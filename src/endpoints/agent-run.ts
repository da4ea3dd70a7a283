import { randomUUID } from 'node:crypto';
import type { Writable } from 'node:stream';
import { IModelError } from '../errors.ts';
import { childEnvironment, secretsOf } from '../process/environment.ts';
import { runVariable } from '../process/live.ts';
import { type ProgramEnd, runProgram } from '../process/run-program.ts';
import { maskSecrets } from '../process/stderr-tail.ts';
import { TemporaryFolder } from '../process/temporary-folder.ts';
import { findAgent, requireVersion } from './agent-command.ts';
import { type AgentEvent, isObject } from './agent-event.ts';
import type { AgentHandlers } from './agent-handlers.ts';
import { openWorkspace } from './agent-paths.ts';
import { problemFailure } from './agent-problem.ts';
import type { AgentProgram, AgentRequest } from './agent-program.ts';
import { buildPrompt } from './agent-prompt.ts';
import { AgentSession } from './agent-session.ts';
import { holdSession } from './agent-session-lock.ts';
import { defaultStallTimeout, defaultTimeout, exitText, explained, judge } from './agent-verdict.ts';
import type { EndpointJob, EndpointReply } from './endpoint.ts';

const defaults = { killGrace: 5, maxLineBytes: 64 * 1024 * 1024, maxChunks: 10_000 };
/** How long a program may go on after its last word: Codex reports to its maker, for up to 5 s without a network. */
const lingerMs = 5_000;

/** One call of an agent. */
export interface AgentRunOptions<R extends AgentRequest> {
  readonly program: AgentProgram<R>;
  readonly request: R;
  readonly job: EndpointJob;
  readonly handlers: AgentHandlers;
  readonly apiKey: string | null;
  readonly baseUrl: string | null;
  readonly env: Readonly<Record<string, string | null>>;
  readonly hostEnvironment: Readonly<Record<string, string | undefined>>;
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
    return await runOnce(options, { workspace, resume, temporary });
  } finally {
    await temporary.remove();
    release();
  }
}

interface Place {
  readonly workspace: ReturnType<typeof openWorkspace>;
  readonly resume: string | null;
  readonly temporary: TemporaryFolder;
}

async function runOnce<R extends AgentRequest>(options: AgentRunOptions<R>, place: Place): Promise<EndpointReply> {
  const { program, request, job, hostEnvironment } = options;
  const { workspace, resume, temporary } = place;
  const apiKey = resolveKey(options.apiKey, hostEnvironment);
  const runId = randomUUID();
  const launch = program.launch(request, {
    ...{ workspace, resume, temporary, apiKey, hostEnvironment },
    prompt: buildPrompt(request, resume !== null),
    baseUrl: options.baseUrl,
    streaming: job.sink !== null,
  });
  const environment = childEnvironment({
    host: hostEnvironment,
    ...program.environment,
    inheritAll: request.inherit_env === true,
    extra: { TMPDIR: temporary.folder('tmp'), ...launch.env, ...options.env, [runVariable]: runId },
  });
  const path = findAgent(program, request, hostEnvironment, environment);
  const command = launch.interpreter === undefined ? [path] : [launch.interpreter, path];
  const cliVersion =
    request.verify_version === true ? await requireVersion(program, command, environment, workspace.cwd) : null;
  const secrets = [...secretsOf(environment), ...(launch.secrets ?? []), ...(apiKey === null ? [] : [apiKey])];
  const mask = (text: string) => maskSecrets(text, secrets);
  const session = new AgentSession({
    provider: program.provider,
    sink: job.sink,
    handlers: options.handlers,
    keepRaw: request.keep_raw ?? false,
    maxChunks: request.max_chunks ?? defaults.maxChunks,
    includeSummary: request.cli_include_summary ?? true,
    model: request.model ?? null,
    cwd: workspace.cwd,
    cliVersion,
    startMetadata: launch.start ?? {},
    warnings: launch.warnings ?? [],
    journal: (note) => job.journal?.(note),
    mask,
  });
  const output = new AgentOutput(program.createReader(session, request), session, job);
  const end = await runProgram({
    file: command[0] ?? path,
    args: [...command.slice(1), ...(request.extra_args ?? []), ...launch.args],
    cwd: workspace.cwd,
    env: environment,
    runId,
    input: launch.input,
    ...(launch.keepsInput === true
      ? {
          keepInput: (stdin: Writable) => {
            session.answer = (id, text) => stdin.write(`${JSON.stringify({ op: 'input', id, text })}\n`);
          },
        }
      : {}),
    signal: job.signal,
    deadlineMs: (request.timeout ?? defaultTimeout) * 1_000,
    stallMs: request.stall_timeout === null ? null : (request.stall_timeout ?? defaultStallTimeout) * 1_000,
    killGraceMs: (request.kill_grace ?? defaults.killGrace) * 1_000,
    lingerMs,
    maxLineBytes: request.max_line_bytes ?? defaults.maxLineBytes,
    secrets,
    onStarted: () => job.sent(),
    onLine: (line, whole) => output.take(line, whole),
    onOversized: () =>
      session.note('warning', { message: 'A line of output was longer than `max_line_bytes` and was dropped' }),
    isSettled: () => session.terminal !== null,
  });
  return settle(options, session, output, end, { command, environment, cwd: workspace.cwd, mask });
}

/** Reads lines as events; what is none is kept as noise. */
class AgentOutput {
  readonly #read: (event: AgentEvent) => void;
  readonly #session: AgentSession;
  readonly #job: EndpointJob;
  #answered = false;
  /** Whether the last line broke off in the middle of an event. */
  truncated = false;
  /** Whether there was an event at all. */
  understood = false;

  constructor(read: (event: AgentEvent) => void, session: AgentSession, job: EndpointJob) {
    this.#read = read;
    this.#session = session;
    this.#job = job;
  }

  take(line: string, whole: boolean): void | Promise<void> {
    if (line.trim() === '') return undefined;
    if (!this.#answered) {
      this.#answered = true;
      this.#job.answered();
    }
    const event = parse(line);
    if (event === null) {
      this.truncated = !whole && line.trimStart().startsWith('{');
      this.#session.noise(line);
      this.#job.journal?.({ kind: 'noise', type: 'line', raw: line.slice(0, 500) });
      return undefined;
    }
    this.understood = true;
    this.#read(event);
    return this.#session.settled();
  }
}

async function settle<R extends AgentRequest>(
  options: AgentRunOptions<R>,
  session: AgentSession,
  output: AgentOutput,
  end: ProgramEnd,
  start: Parameters<typeof explained>[2] & { readonly mask: (text: string) => string },
): Promise<EndpointReply> {
  const { program, request, job } = options;
  if (job.signal.aborted) throw job.signal.reason;
  const judged = judge(program, session, output, end, request);
  const found = judged === null || output.understood ? judged : await explained(program, judged, start);
  const problem = found === null ? null : { ...found, message: start.mask(found.message) };
  if (problem === null) {
    const { code, signal } = end.exit;
    if (end.endedBy === 'itself' && code !== 0) {
      session.note('warning', { message: `${program.title} succeeded, then ended with ${exitText(code, signal)}` });
    }
    session.close(end.exit);
    await session.settled();
    const kept = session.sessionId !== null && session.sessionId !== '' && program.keepsSession(request);
    return {
      response: session.response(end.exit, null),
      view: session.view(),
      ...(kept && session.sessionId !== null ? { sessionId: session.sessionId } : {}),
    };
  }
  session.closeFailed(problem, end.exit);
  await session.settled();
  const limit =
    end.endedBy === 'stall' ? (request.stall_timeout ?? defaultStallTimeout) : (request.timeout ?? defaultTimeout);
  throw new IModelError(
    problemFailure(problem, session.untouched, limit * 1_000),
    end.stderr === '' ? {} : { cause: new Error(end.stderr) },
  );
}

function parse(line: string): AgentEvent | null {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

/** A key may be given as the name of the variable that holds it. */
function resolveKey(key: string | null, environment: Readonly<Record<string, string | undefined>>): string | null {
  if (key === null || key === '' || key === 'internal') return null;
  return environment[key] ?? key;
}
