import { IModelError } from '../../errors.ts';
import type { ProgramEnd } from '../../process/run-program.ts';
import { exitText } from '../../process/spawn.ts';
import { unlessAborted } from '../../process/unless-aborted.ts';
import type { EndpointJob, EndpointReply } from '../endpoint.ts';
import type { AgentOutput } from './agent-output.ts';
import { type AgentProblem, problemFailure } from './agent-problem.ts';
import type { AgentProgram, AgentRequest } from './agent-program.ts';
import type { AgentSession } from './agent-session.ts';
import type { AgentStart } from './agent-start.ts';
import { defaultStallTimeout, defaultTimeout, explained, judge } from './agent-verdict.ts';

/** A run whose program is gone. */
export interface EndedRun<R extends AgentRequest> {
  readonly program: AgentProgram<R>;
  readonly request: R;
  readonly job: EndpointJob;
  readonly session: AgentSession;
  readonly output: AgentOutput;
  readonly end: ProgramEnd;
  /** How it was started, to look again when it said nothing. */
  readonly start: AgentStart;
}

/**
 * Says how a run went: its last chunk, then its reply.
 *
 * @throws {@link IModelError} why it failed, or the reason of the job's signal; with what the agent had done until then.
 */
export async function settle<R extends AgentRequest>(run: EndedRun<R>): Promise<EndpointReply> {
  const { session, end } = run;
  const { signal } = run.job;
  if (signal.aborted) throw stopped(run);
  const problem = await problemOf(run);
  if (problem === null) session.close(end.exit);
  else session.closeFailed(problem, end.exit);
  await unlessAborted(session.settled(), signal);
  if (signal.aborted) throw stopped(run);
  if (problem !== null) throw failed(run, problem);
  const { record } = session;
  return {
    response: record.response(end.exit, null),
    view: record.view(),
    ...(record.sessionId !== null && run.program.keepsSession(run.request) ? { sessionId: record.sessionId } : {}),
  };
}

/** Why it failed; null for success. */
async function problemOf<R extends AgentRequest>(run: EndedRun<R>): Promise<AgentProblem | null> {
  const { program, session, output, end, request, start, job } = run;
  const judged = judge(program, session.record, output, end, request);
  if (judged !== null) {
    const found = output.understood ? judged : await explained(program, judged, { ...start, signal: job.signal });
    return { ...found, message: start.mask(found.message) };
  }
  if (end.endedBy === 'itself' && end.exit.code !== 0) {
    session.note('warning', { message: `${program.title} succeeded, then ended with ${exitText(end.exit)}` });
  }
  return null;
}

function failed<R extends AgentRequest>(run: EndedRun<R>, problem: AgentProblem): IModelError {
  const { request, session, end } = run;
  const { timeout = defaultTimeout, stall_timeout: stall } = request;
  const limit = end.endedBy === 'stall' ? (stall ?? defaultStallTimeout) : timeout;
  const failure = problemFailure(problem, !session.record.touched, limit * 1_000);
  const cause = end.stderr === '' ? {} : { cause: new Error(end.stderr) };
  return withWhatCame(new IModelError(failure, cause), run, problem);
}

function stopped<R extends AgentRequest>(run: EndedRun<R>): unknown {
  const { reason } = run.job.signal;
  const message = reason instanceof Error ? reason.message : String(reason);
  return withWhatCame(reason, run, { kind: 'cancelled', message, status: null, retryAfterMs: null });
}

/** What the agent had done is the call's, however it ends: it has been paid for. */
function withWhatCame<E, R extends AgentRequest>(error: E, { session, end }: EndedRun<R>, problem: AgentProblem): E {
  const { record } = session;
  if (IModelError.is(error)) error.partial = { response: record.response(end.exit, problem), view: record.view() };
  return error;
}
