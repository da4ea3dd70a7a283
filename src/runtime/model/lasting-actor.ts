import { isRunning, stepCall } from '../../../actors/call.ts';
import { interruptedFailure } from '../../../actors/call-failures.ts';
import type { CallRow } from '../../../actors/call-row.ts';
import type { DispatcherLimits } from '../../../actors/dispatcher-input.ts';
import { restoreRow } from '../../../actors/dispatcher-state.ts';
import type { ModelInput, ModelRegions } from '../../../actors/imodel.ts';
import type { OwnerEvent } from '../../../actors/recorder.ts';
import type { ActorState } from '../../../schemas/live-state.ts';
import { ActorRestarts, type LastGood } from '../actor-restart.ts';
import type { ApiCalling } from '../calls/api-calling.ts';
import type { Executor } from '../calls/executor.ts';
import { LiveActor } from './live-actor.ts';
import type { ModelJournal } from './model-journal.ts';

/** What a {@link LastingActor} is made from. @internal */
export interface LastingActorInit extends Omit<ModelInput, 'effects' | 'journal'> {
  readonly executor: Executor;
  readonly journal: ModelJournal;
  /** The regions of its machine have changed. */
  readonly turned: (before: ModelRegions, regions: ModelRegions) => void;
  /** This row's machine failed: its call ends, unless another one has taken it over. */
  readonly abort: (call: ApiCalling, row: CallRow, cause: unknown) => void;
}

/** The machine of one iModel, and the one that takes its place when it fails. @internal */
export class LastingActor {
  readonly #init: LastingActorInit;
  readonly #restarts = new ActorRestarts();
  #current: LiveActor;

  constructor(init: LastingActorInit) {
    this.#init = init;
    this.#current = this.#create(init.limits);
  }

  /** The machine as it is now. */
  get current(): LiveActor {
    return this.#current;
  }

  /** Tells the machine, and the journal before. */
  tell(event: OwnerEvent): void {
    this.#init.journal.tell(event);
    this.#current.tell(event);
  }

  /** Goes on where another actor stood, with its calls: what ran there is interrupted, and nothing starts before {@link begin}. */
  takeOver(state: ActorState, rows: readonly CallRow[]): void {
    this.#current.send({ type: 'calls.restore', restored: { state: { ...state, is_gate_open: false }, rows } });
    this.#current.send({ type: 'calls.interrupt' });
    if (state.life === 'paused' && !this.#current.isStopped) this.tell({ type: 'model.pause' });
  }

  /** Lets calls start after {@link takeOver}, unless it was paused. */
  begin(): void {
    if (this.#current.regions.life === 'running') this.#current.send({ type: 'gate.open' });
  }

  #create(limits: DispatcherLimits): LiveActor {
    const { resilience, clock, random, executor, journal, turned } = this.#init;
    const actor = new LiveActor(
      { limits, resilience, clock, random, effects: executor, journal: journal.recorder },
      { turned, failed: (error) => this.#fail(error) },
    );
    executor.reportTo(actor.send);
    return actor;
  }

  /** The machine itself failed: a fault of ours. Nothing that waits may wait for ever. */
  #fail(error: unknown): void {
    const { journal, clock, abort } = this.#init;
    const dead = this.#current;
    const rows = dead.dispatcher.rows();
    const good = this.#restarts.next(dead, journal.entries(), clock.now());
    if (good !== null) this.#goOn(dead, good);
    for (const row of rows) abort(row.handle as ApiCalling, row, error);
  }

  /** Begins another machine where the dead one stood before the event that killed it, with the calls that it had. */
  #goOn(dead: LiveActor, { state, rows: before }: LastGood): void {
    const { executor, journal } = this.#init;
    const rows: CallRow[] = [];
    const written = state.calls.filter((call, index) => {
      const old = before[index];
      const handle = old?.handle as ApiCalling | undefined;
      if (old === undefined || handle === undefined || handle.ended) return false;
      // What still comes from its endpoint is for a row that has ended; what runs there is of no use any more.
      if (isRunning(old.state)) executor.stop(old, interruptedFailure());
      old.state = stepCall(old.state, 'call.abort');
      const row = restoreRow(call, handle);
      handle.submitAs(row);
      rows.push(row);
      return true;
    });
    this.#current = this.#create(dead.dispatcher.limits);
    journal.snapshot();
    this.tell({ type: 'model.start' });
    this.takeOver({ ...state, calls: written }, rows);
    this.begin();
  }
}
