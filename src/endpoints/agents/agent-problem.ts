import type { Failure } from '../../../schemas/failure.ts';
import { failureOf } from '../../../schemas/failure.ts';

/** What can go wrong with a command-line agent, in one vocabulary for all of them. */
export const agentErrorKinds = [
  'cli_not_found',
  'cli_unusable',
  'config',
  'auth',
  'quota',
  'context',
  'session_not_found',
  'permission',
  'max_turns',
  'untrusted',
  'network',
  'overloaded',
  'protocol',
  'aborted',
  'deadline',
  'cancelled',
  'unknown',
] as const;

/** See {@link agentErrorKinds}. */
export type AgentErrorKind = (typeof agentErrorKinds)[number];

/** Why a run failed. */
export interface AgentProblem {
  readonly kind: AgentErrorKind;
  readonly message: string;
  /** HTTP status of the vendor behind the program, where it told one. */
  readonly status: number | null;
  /** Milliseconds to wait, where somebody said so. */
  readonly retryAfterMs: number | null;
  /** The program's own word for it, where it has a closer one than the kind. */
  readonly reason?: string;
}

/** Kinds that can go away by themselves. */
const passing: ReadonlySet<AgentErrorKind> = new Set(['quota', 'network', 'overloaded']);

// In this order: the first that matches wins. The texts are those of the programs (claude 2.1.330, codex 0.169.0, gemini 0.61.0, pi 0.87.1).
const patterns: readonly (readonly [AgentErrorKind, RegExp])[] = [
  [
    'session_not_found',
    /no conversation found|no rollout found|invalid session identifier|no session found|no (?:previous |saved )?sessions? found/i,
  ],
  ['untrusted', /trusted (?:directory|folder)/i],
  ['max_turns', /max(?:imum)?[ _](?:number of )?(?:session )?turns|turn limit/i],
  ['permission', /cannot be used with root|requires? (?:sandbox|permission)/i],
  ['quota', /usage limit|rate.?limit|too many requests|quota|try again (?:at|in) \d/i],
  [
    'auth',
    /(?:incorrect|invalid) (?:x-)?api.?key|authentication.?(?:failed|error)|failed to authenticate|not logged in|invalid auth method|401.{0,40}unauthorized|please run \/login|no api key/i,
  ],
  ['context', /context (?:window|length)|prompt is too long|too many (?:input )?tokens|maximum context/i],
  ['config', /unknown (?:option|argument)|unexpected argument|invalid (?:value|choice|option)|error loading config/i],
  ['overloaded', /overloaded|internal server error|bad gateway|service unavailable/i],
  [
    'network',
    /connection (?:refused|error|failed|reset)|unable to connect|fetch failed|ECONN|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|network error|waiting for network|stream disconnected|API Error: terminated|socket hang up/i,
  ],
];

/** What is known about a failed run, best evidence first. */
export interface Evidence {
  readonly message: string;
  readonly status?: number | null | undefined;
  /** The vendor's or program's own word for it. */
  readonly reason?: string | null | undefined;
  /** Looked at only when the message tells nothing. */
  readonly stderr?: string | undefined;
  /** Used when nothing else tells a kind. */
  readonly otherwise?: AgentErrorKind | undefined;
}

/** Finds the kind: a structured status beats the reason, that beats the message, that the error output. */
export function problemOf(evidence: Evidence): AgentProblem {
  const { message } = evidence;
  const status = evidence.status ?? statusIn(message);
  const kind =
    kindOfStatus(status) ??
    kindOfText(evidence.reason ?? '') ??
    kindOfText(message) ??
    kindOfText(evidence.stderr ?? '') ??
    evidence.otherwise ??
    'unknown';
  // A refusal for size comes with a plain 400.
  const refined = kind === 'unknown' || kind === evidence.otherwise ? (kindOfText(message) ?? kind) : kind;
  return { kind: refined, message, status, retryAfterMs: refined === 'quota' ? retryAfterIn(message) : null };
}

/**
 * The failure that stands for a problem. A program that has already told the reader something, or has run a tool, is not to be tried again
 * unseen.
 *
 * @param untouched - Whether nothing of the answer reached the reader and no tool ran.
 * @param timeoutMs - The limit that passed, for `deadline`.
 */
export function problemFailure(problem: AgentProblem, untouched: boolean, timeoutMs = 0): Failure {
  const { kind, message } = problem;
  const vendor = {
    reason: problem.reason ?? kind,
    retryable: passing.has(kind) && untouched,
    ...(problem.status === null ? {} : { status: problem.status }),
    ...(problem.retryAfterMs === null ? {} : { retryAfterMs: problem.retryAfterMs }),
  };
  switch (kind) {
    case 'cli_not_found':
    case 'cli_unusable':
      return failureOf('unavailable', message, { ...vendor, source: 'tool' });
    case 'auth':
      return failureOf('unauthorized', message, vendor);
    case 'quota':
      return failureOf('rate_limited', message, vendor);
    case 'context':
      return failureOf('context_overflow', message, vendor);
    case 'overloaded':
      return failureOf('overloaded', message, vendor);
    case 'network':
      return failureOf('unavailable', message, vendor);
    case 'protocol':
      return failureOf('malformed', message, { source: 'tool' });
    case 'aborted':
      return failureOf('interrupted', message, { retryable: false, source: 'tool' });
    case 'deadline':
      return failureOf('timed_out', message, { phase: 'attempt', timeoutMs });
    case 'cancelled':
      return failureOf('cancelled', message, {});
    case 'config':
    case 'session_not_found':
    case 'permission':
    case 'max_turns':
    case 'untrusted':
    case 'unknown':
      return failureOf('rejected', message, { ...vendor, source: 'tool' });
    default:
      return kind satisfies never;
  }
}

/** Whether such a problem can go away by itself. */
export function isPassing(kind: AgentErrorKind): boolean {
  return passing.has(kind);
}

function kindOfStatus(status: number | null): AgentErrorKind | null {
  if (status === null) return null;
  if (status === 401 || status === 403) return 'auth';
  if (status === 429) return 'quota';
  if (status === 413) return 'context';
  return status >= 500 ? 'overloaded' : null;
}

function kindOfText(text: string): AgentErrorKind | null {
  if (text === '') return null;
  for (const [kind, pattern] of patterns) if (pattern.test(text)) return kind;
  return null;
}

/** An HTTP error status that a message names: `401: …`, `status 401`, `API Error: 401 …`. */
function statusIn(message: string): number | null {
  const match = /(?:^|status:? |API Error:? )([45]\d\d)\b/i.exec(message);
  return match === null ? null : Number(match[1]);
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** A wait that a message names: `try again in 12.5s`, `retry after 3 minutes`. */
function retryAfterIn(message: string): number | null {
  const match =
    /(?:again in|retry after|retry in)\s+(\d+(?:\.\d+)?)\s*(ms|milliseconds?|s|seconds?|m|minutes?|h|hours?)\b/i.exec(
      message,
    );
  if (match === null) return null;
  const word = (match[2] ?? 's').toLowerCase();
  const unit = word === 'ms' || word.startsWith('milli') ? 'ms' : word.slice(0, 1);
  return Math.round(Number(match[1]) * (unitMs[unit] ?? 1_000));
}
