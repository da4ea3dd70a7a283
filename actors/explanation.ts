import type { CallEnding, CallExplanation, CallPhase, CallPhaseName } from '../schemas/explanation.ts';
import type { Failure } from '../schemas/failure.ts';
import type { JournalEntry } from '../schemas/journal.ts';
import { callState, statusOf } from './call.ts';
import type { CallRow } from './call-row.ts';
import type { DispatcherView } from './dispatcher-view.ts';
import { Replay } from './replay.ts';

const work: readonly CallPhaseName[] = ['attempt', 'fallback', 'stopping'];

/**
 * Follows the last call of an id through a journal.
 *
 * @param entries - Checked.
 * @returns Null when the journal does not know the call.
 */
export function explainCall(entries: readonly JournalEntry[], callId: string): CallExplanation | null {
  const follower = new CallFollower(callId);
  for (const entry of entries) follower.take(entry);
  return follower.explanation();
}

type OpenPhase = { -readonly [K in keyof CallPhase]: CallPhase[K] };
type PhaseFacts = Pick<CallPhase, 'name' | 'used' | 'limit' | 'due_at' | 'attempt'>;

class CallFollower {
  readonly #id: string;
  readonly #replay: Replay;
  #entry: JournalEntry | null = null;
  /** The call, once the journal has spoken of it. */
  #row: CallRow | null = null;
  /** Whether the present process has it, as far as is known. */
  #isHere = false;
  /** Whether its last attempt was not made, for the vendor wanted none. */
  #isWithheld = false;
  #submittedAt = 0;
  #ahead = 0;
  #earlier = 0;
  #phases: OpenPhase[] = [];
  #ended: (NonNullable<CallExplanation['ended']> & { readonly at: number }) | null = null;

  constructor(id: string) {
    this.#id = id;
    this.#replay = new Replay({
      met: (row) => {
        if (row.id === id) this.#meet(row);
      },
      retrying: (row, failure) => this.#fail(row, failure),
      rescued: (row, failure) => this.#fail(row, failure),
      ended: (row, failure) => this.#end(row, failure),
    });
  }

  take(entry: JournalEntry): void {
    const before = this.#entry;
    this.#entry = entry;
    if (before !== null && before.run !== entry.run) this.#lose('stopped', before.at);
    if (entry.type === 'dropped') this.#lose('unknown', entry.at);
    this.#replay.take(entry);
    const row = this.#row;
    if (row === null || !this.#isHere || this.#ended !== null) return;
    if ('call' in entry && entry.call === row.journalNumber && entry.type !== 'note') {
      this.#isWithheld = entry.type === 'call.withhold';
    }
    this.#turn(this.#phaseOf(row, this.#replay.view()), entry.at);
  }

  explanation(): CallExplanation | null {
    const row = this.#row;
    if (row === null) return null;
    const lastAt = this.#ended?.at ?? this.#entry?.at ?? 0;
    const phases = this.#phases.map((phase) => ({ ...phase, ms: (phase.until ?? lastAt) - phase.from }));
    const waited: CallExplanation['waited'] = {};
    for (const { name, ms } of phases) if (!work.includes(name)) waited[name] = (waited[name] ?? 0) + ms;
    return {
      call_id: this.#id,
      model_id: this.#replay.modelId,
      caller: row.caller,
      priority: row.priority,
      tokens: row.tokens,
      status: statusOf(row.state),
      submitted_at: this.#submittedAt,
      ahead: this.#ahead,
      started_at: row.startedAt,
      ended_at: this.#ended?.at ?? null,
      attempts: row.attempts,
      waited,
      phases,
      ended: this.#ended && { by: this.#ended.by, seq: this.#ended.seq, failure: this.#ended.failure },
      earlier: this.#earlier,
    };
  }

  /** The journal speaks of a call of this id: for the first time, or again in a snapshot. */
  #meet(row: CallRow): void {
    const isNew = row.queuedAt < 0;
    if (isNew || this.#row === null || this.#ended !== null) {
      if (this.#row !== null) this.#earlier += 1;
      const { waiting, outside } = isNew && this.#replay.hasState ? this.#replay.view() : { waiting: 0, outside: 0 };
      this.#submittedAt = isNew ? (this.#entry?.at ?? 0) : row.queuedAt;
      this.#ahead = waiting + outside;
      this.#phases = [];
      this.#ended = null;
    }
    this.#row = row;
    this.#isHere = true;
    this.#isWithheld = false;
  }

  /** Nobody has the call from now on, or nobody knows. */
  #lose(name: 'stopped' | 'unknown', at: number): void {
    this.#isHere = false;
    if (this.#row !== null && this.#ended === null) this.#turn({ name }, at);
  }

  #fail(row: CallRow, failure: Failure): void {
    const phase = this.#phases.at(-1);
    if (row === this.#row && phase?.name === 'attempt') phase.failure = failure;
  }

  #end(row: CallRow, failure: Failure | null): void {
    const { at = 0, seq = 0, type } = this.#entry ?? {};
    if (row !== this.#row || this.#ended !== null) return;
    if (failure !== null && row.run?.stopping == null) this.#fail(row, failure);
    this.#close(at);
    this.#ended = { by: endingOf(row, failure, type === 'clock.tick'), seq, failure, at };
  }

  #turn(facts: PhaseFacts, at: number): void {
    const phase = this.#phases.at(-1);
    if (phase !== undefined && phase.until === null && phase.name === facts.name && phase.attempt === facts.attempt)
      return;
    this.#close(at);
    this.#phases.push({ ...facts, seq: this.#entry?.seq ?? 0, from: at, until: null, ms: 0 });
  }

  #close(at: number): void {
    const phase = this.#phases.at(-1);
    if (phase === undefined || phase.until !== null) return;
    if (phase.from === at && !work.includes(phase.name)) this.#phases.pop();
    else phase.until = at;
  }

  #phaseOf(row: CallRow, view: DispatcherView): PhaseFacts {
    if (row.state === callState.outside) {
      return { name: 'queue', used: view.waiting, limit: view.limits.queueCapacity };
    }
    const { run } = row;
    if (run === null || run.retry?.isDue === true) return blockedPhase(view);
    if (run.retry !== null) {
      return { name: this.#isWithheld ? 'cooling' : 'backoff', due_at: run.retry.dueAt };
    }
    if (run.stopping !== null) return { name: 'stopping' };
    if (run.isHooked || run.verdict !== null) return { name: 'hook' };
    return run.isRescued ? { name: 'fallback' } : { name: 'attempt', attempt: row.attempts };
  }
}

/** What keeps the head of the queue, and so all behind it. */
function blockedPhase({ blocked, running, limits, ...view }: DispatcherView): PhaseFacts {
  const due = view.nextRefreshAt === null ? {} : { due_at: view.nextRefreshAt };
  const { concurrency, window } = limits;
  switch (blocked) {
    case 'concurrency':
      return { name: 'concurrency', used: running, ...(concurrency === null ? {} : { limit: concurrency }) };
    case 'cooling':
      return { name: 'cooling', ...(view.coolingUntil === null ? {} : { due_at: view.coolingUntil }) };
    case 'rate':
      return window.requests !== null && view.usedRequests >= window.requests
        ? { name: 'requests', used: view.usedRequests, limit: window.requests, ...due }
        : {
            name: 'tokens',
            used: view.usedTokens,
            ...(window.tokens === null ? {} : { limit: window.tokens }),
            ...due,
          };
    default:
      return { name: 'paused' };
  }
}

function endingOf(row: CallRow, failure: Failure | null, isTick: boolean): CallEnding {
  switch (failure?.code) {
    case 'cancelled':
      return 'caller';
    case 'timed_out':
      return isTick || row.run?.stopping != null ? 'deadline' : 'endpoint';
    case 'closed':
      return 'close';
    case 'interrupted':
      return 'restart';
    case 'queue_full':
      return 'queue';
    case 'estimate_too_large':
      return 'limits';
    case 'circuit_open':
      return 'breaker';
    case 'vetoed':
      return 'hook';
    default:
      return row.run?.isRescued === true && failure === null ? 'fallback' : 'endpoint';
  }
}
