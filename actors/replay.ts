import { initialTransition, transition } from 'xstate';
import type { Failure } from '../schemas/failure.ts';
import type { CallIdentity, JournalEntry } from '../schemas/journal.ts';
import type { ActorState, CallRowState, LiveCall, LiveState } from '../schemas/live-state.ts';
import { wayTo } from './actor-state.ts';
import { stepCall } from './call.ts';
import type { CallRow } from './call-row.ts';
import { Dispatcher } from './dispatcher.ts';
import type { DispatcherInput } from './dispatcher-input.ts';
import { type DispatcherState, restoreRow } from './dispatcher-state.ts';
import type { DispatcherView } from './dispatcher-view.ts';
import { type ModelEvent, type ModelMode, type ModelRegions, modelMachine, modeOf } from './imodel.ts';
import { readEvent, readIdentity, readLimits, readResilience } from './journal-codec.ts';

/** A {@link LiveState} whose calls may be without their payloads. */
export type ReplayedState = Omit<LiveState, 'calls'> & {
  readonly calls: readonly (CallRowState & Partial<LiveCall>)[];
};

/** Hears what a replayed actor decides. */
export interface ReplayObserver {
  /** The journal speaks of a call for the first time, or again in a snapshot. */
  met?(row: CallRow): void;
  /** An attempt begins. */
  started?(row: CallRow): void;
  /** Another attempt will follow. */
  retrying?(row: CallRow, failure: Failure, delayMs: number): void;
  /** All attempts have failed, and another model carries on. */
  rescued?(row: CallRow, failure: Failure): void;
  /** A call has come to its end; see `statusOf(row.state)` for which. */
  ended?(row: CallRow, failure: Failure | null): void;
}

/**
 * An actor that is led through a journal: the same statechart and the same policies, and no endpoint, clock or chance but what is written
 * there. Nothing is sent to anybody.
 */
export class Replay {
  readonly #observer: ReplayObserver;
  #rows = new Map<number, CallRow>();
  readonly #requests = new WeakMap<CallRow, Record<string, unknown>>();
  #machine = modelMachineAtRest();
  #dispatcher: Dispatcher | null = null;
  #answers: readonly (number | boolean)[] = [];
  #answered = 0;
  #at = 0;
  #seq = 0;
  #modelId = '';

  constructor(observer: ReplayObserver = {}) {
    this.#observer = observer;
  }

  /** The number of the last entry taken; 0 before the first. */
  get seq(): number {
    return this.#seq;
  }

  /** How far it has come: when the last entry was written, or what time has passed since. Epoch milliseconds. */
  get at(): number {
    return this.#at;
  }

  get modelId(): string {
    return this.#modelId;
  }

  /** Whether there is a state: after the first snapshot, and not between missing entries and the next snapshot. */
  get hasState(): boolean {
    return this.#dispatcher !== null;
  }

  get regions(): ModelRegions {
    return this.#machine.value;
  }

  /** The strictest mode, in one word. */
  get mode(): ModelMode {
    return modeOf(this.regions, this.view());
  }

  /** Numbers for people. @throws Error when there is no state. */
  view(): DispatcherView {
    return this.#running().view();
  }

  /** The calls that have not ended, oldest first. */
  rows(): Iterable<CallRow> {
    return this.#dispatcher?.rows() ?? [];
  }

  /** Takes the next entry of a journal, which must have been checked. Entries before the first snapshot are passed over. */
  take(entry: JournalEntry): void {
    this.#seq = entry.seq;
    this.#at = entry.at;
    switch (entry.type) {
      case 'snapshot':
        this.#begin(entry);
        break;
      case 'dropped':
        this.#dispatcher = null;
        break;
      case 'note':
        break;
      case 'model.start':
      case 'model.pause':
      case 'model.resume':
      case 'model.drain':
      case 'model.close':
        this.#turn({ type: entry.type });
        break;
      default:
        this.#hear(entry);
    }
  }

  /** Lets time pass in which nothing was heard: what was used of limits expires. @param at - Epoch milliseconds; earlier ones are ignored. */
  pass(at: number): void {
    this.#at = Math.max(this.#at, at);
  }

  /** The actor's state. @throws Error when there is none. */
  state(): ActorState {
    return { life: this.regions.life, ...this.#running().write() };
  }

  /** The state as `toDict({ state: true })` wrote it then, byte by byte; of calls no payload where the journal did not keep requests. */
  liveState(): ReplayedState {
    const state = this.state();
    const rows = [...this.rows()];
    const calls = state.calls.map((call, index) => ({ ...call, ...this.#requests.get(rows[index] as CallRow) }));
    return { ...state, calls, saved_at: this.#at };
  }

  #running(): Dispatcher {
    if (this.#dispatcher === null) throw new Error('The journal has no snapshot before this entry');
    return this.#dispatcher;
  }

  #begin({ limits, resilience, state, calls, requests, model_id: modelId }: EntryOf<'snapshot'>): void {
    const { life, ...dispatcher } = state;
    this.#modelId = modelId;
    this.#machine = modelMachineAtRest();
    this.#dispatcher = new Dispatcher(this.#input(readLimits(limits), readResilience(resilience)), { send: () => {} });
    this.#restore(dispatcher, calls, requests);
    for (const type of wayTo[life]) this.#turn({ type });
  }

  #restore(state: DispatcherState, calls: readonly number[], requests: readonly Record<string, unknown>[] = []): void {
    this.#rows = new Map();
    const rows = state.calls.map((call, index) => {
      const row = restoreRow(call);
      this.#know(calls[index] ?? 0, row, requests[index]);
      return row;
    });
    this.#dispatcher?.receive({ type: 'calls.restore', restored: { state, rows } });
  }

  #hear(entry: EntryOf<Parameters<typeof readEvent>[0]['type'] | 'calls.restore'>): void {
    if (this.#dispatcher === null) return;
    this.#answers = entry.answers ?? [];
    this.#answered = 0;
    if (entry.type === 'calls.restore') this.#restore(entry.state, entry.calls, entry.requests);
    else this.#dispatcher.receive(readEvent(entry, (call, who) => this.#row(call, who)));
  }

  #row(call: number, who: CallIdentity | undefined): CallRow {
    const known = this.#rows.get(call);
    if (known !== undefined) return known;
    const row = readIdentity(who ?? { id: '' });
    // Without a word who it is, it is one that has ended.
    if (who === undefined) row.state = stepCall(row.state, 'call.skip');
    else this.#know(call, row, who.request);
    return row;
  }

  #know(call: number, row: CallRow, request: Record<string, unknown> | undefined): void {
    row.journalNumber = call;
    this.#rows.set(call, row);
    if (request !== undefined) this.#requests.set(row, request);
    this.#observer.met?.(row);
  }

  #turn(event: ModelEvent): void {
    [this.#machine] = transition(modelMachine, this.#machine, event);
  }

  #input(limits: DispatcherInput['limits'], resilience: DispatcherInput['resilience']): DispatcherInput {
    return {
      limits,
      resilience,
      clock: { now: () => this.#at, setTimeout: () => undefined, clearTimeout: () => {} },
      random: () => Number(this.#answer()),
      machine: { send: (edge) => this.#turn(edge) },
      effects: {
        start: (row) => this.#observer.started?.(row),
        stop: () => {},
        estimate: () => {
          const answer = this.#answer();
          return typeof answer === 'number' ? answer : -1;
        },
        retrying: (row, failure, delayMs) => this.#observer.retrying?.(row, failure, delayMs),
        rescue: (row, failure) => {
          const isRescued = this.#answer() === true;
          if (isRescued) this.#observer.rescued?.(row, failure);
          return isRescued;
        },
        ending: () => this.#answer() === true,
        ended: (row, failure) => {
          this.#rows.delete(row.journalNumber);
          this.#observer.ended?.(row, failure);
        },
      },
    };
  }

  #answer(): number | boolean {
    const answer = this.#answers[this.#answered] ?? false;
    this.#answered += 1;
    return answer;
  }
}

type EntryOf<T extends JournalEntry['type']> = Extract<JournalEntry, { type: T }>;

/** The machine before it is told anything. Its effects are only described, never carried out. */
function modelMachineAtRest() {
  const nothing = (): void => {};
  const [machine] = initialTransition(modelMachine, {
    limits: { queueCapacity: 1, onFull: 'wait', concurrency: null, window: nothingLimited },
    resilience: { retry: null, breaker: null },
    clock: { now: () => 0, setTimeout: nothing, clearTimeout: nothing },
    random: () => 0,
    effects: { start: nothing, stop: nothing, retrying: nothing, rescue: () => false, ended: nothing },
  });
  return machine;
}

const nothingLimited = { requests: null, tokens: null, lengthMs: 1, marginMs: 0 } as const;
