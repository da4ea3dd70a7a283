import { longestUseMs } from '../../../actors/policy/window.ts';
import type { ModelDict } from '../../../schemas/snapshot.ts';
import { within } from '../../bus/within.ts';
import { IModelError } from '../../errors.ts';
import type { iModel } from '../../imodel.ts';
import type { ApiCalling } from '../calls/api-calling.ts';
import type { CallRecorder } from '../model/call-reports.ts';
import { readDict } from './read-dict.ts';
import { refuseLaterVersion } from './read-model.ts';
import { applyLog, type LogEntry, readLog } from './state-log.ts';
import { type KeptState, parseSnapshot, type StateStore } from './state-store.ts';

/** A call waits no longer than this for its start to be kept; a store that does not answer must not stop the vendor too. In milliseconds. */
const patienceMs = 2_000;

/** A process that ends waits no longer than this for its last snapshot. In milliseconds. */
const lastSnapshotMs = 5_000;

/** What a {@link StateKeeper} is made from. */
export interface StateKeeperOptions {
  readonly model: iModel;
  readonly store: StateStore;
  /** Milliseconds between two snapshots. */
  readonly intervalMs: number;
  /** Hears what could not be kept. */
  readonly onError: (error: unknown) => void;
}

/** Keeps the state of one iModel in a store, so that another process can go on with it whenever this one dies. */
export class StateKeeper implements CallRecorder {
  readonly #model: iModel;
  readonly #store: StateStore;
  readonly #intervalMs: number;
  readonly #onError: (error: unknown) => void;
  #timer: unknown;
  #saving: Promise<void> = Promise.resolve();
  #saved = '';
  /** Snapshots that are being written. */
  #writing = 0;
  /** Whether the store has let somebody wait in vain, and has not answered since. */
  #isLate = false;
  #closed = false;

  /** Nothing is kept before {@link begin}. */
  constructor({ model, store, intervalMs, onError }: StateKeeperOptions) {
    this.#model = model;
    this.#store = store;
    this.#intervalMs = intervalMs;
    this.#onError = onError;
  }

  /** Records from now on, and writes the first snapshot. */
  begin(): void {
    this.#model.live.reports.recorder = this;
    void this.save().catch(this.#onError);
    this.#wait();
  }

  starting(call: ApiCalling): Promise<void> | null {
    const { row } = call;
    const entry: LogEntry = { start: call.id, at: this.#model.live.clock.now() };
    if (row !== null && row.tokens > 0) entry.tokens = row.tokens;
    if (row?.streaming === true) entry.streaming = true;
    if (call.replyTo !== null) entry.reply_to = call.replyTo;
    return this.#append(entry);
  }

  ended(call: ApiCalling): void {
    void this.#append({ end: call.id, at: this.#model.live.clock.now() });
  }

  /**
   * Writes a snapshot of this moment, unless nothing has happened since the last one.
   *
   * @throws IModelError or Error when it could not be written; the one before is then still there.
   */
  save(): Promise<void> {
    const mark = this.#mark();
    if (mark === this.#saved) return this.#saving;
    const { id } = this.#model;
    // Both at once: what happens after this moment is in the log, what happened before in the snapshot.
    const generation = this.#store.turn(id);
    const snapshot = this.#model.writeText({ state: true }, generation);
    this.#saved = mark;
    this.#writing += 1;
    const saving = this.#saving
      .catch(() => {})
      .then(() => this.#store.write(id, generation, snapshot))
      .catch((error: unknown) => {
        this.#saved = '';
        throw error;
      })
      .finally(() => {
        this.#writing -= 1;
      });
    this.#saving = saving;
    return saving;
  }

  /** Writes the last snapshot. What happens afterwards is not kept: it is for the next process to do. */
  async close(): Promise<void> {
    if (this.#closed) return this.#saving;
    try {
      await inTime(this.save(), lastSnapshotMs);
    } finally {
      this.abandon();
    }
  }

  /** Keeps nothing more. */
  abandon(): void {
    this.#closed = true;
    this.#model.live.clock.clearTimeout(this.#timer);
    this.#model.live.reports.recorder = null;
  }

  #append(entry: LogEntry): Promise<void> | null {
    try {
      const kept = this.#store.append(this.#model.id, JSON.stringify(entry));
      return kept === null ? null : this.#patiently(kept, this.#isLate);
    } catch (error) {
      this.#onError(error);
      return null;
    }
  }

  /** @returns What a start waits for. One that was late is enough: while the store does not answer, nobody else waits for it. */
  #patiently(kept: Promise<void>, isLate: boolean): Promise<void> | null {
    const done = kept.then(() => {
      this.#isLate = false;
    });
    if (isLate) {
      // That it is late was said.
      done.catch(() => {});
      return null;
    }
    return inTime(done, patienceMs).catch((error: unknown) => {
      this.#isLate = true;
      this.#onError(error);
    });
  }

  /** Changes whenever something has happened that a snapshot shows. */
  #mark(): string {
    const { live } = this.#model;
    const { counters, limits, usedRequests, usedTokens, coolingUntil } = live.view();
    return JSON.stringify([counters, limits, usedRequests, usedTokens, coolingUntil, live.regions.life]);
  }

  #wait(): void {
    const { clock } = this.#model.live;
    this.#timer = clock.setTimeout(() => {
      if (this.#closed) return;
      try {
        // One that takes longer than the interval is not followed by a queue of others.
        if (this.#writing === 0) void this.save().catch(this.#onError);
      } catch (error) {
        this.#onError(error);
      }
      this.#wait();
    }, this.#intervalMs);
    if (this.#timer instanceof Object && 'unref' in this.#timer) (this.#timer as NodeJS.Timeout).unref();
  }
}

/**
 * The dict that a store holds of an iModel, with what has happened since it was written.
 *
 * @throws IModelError `config`, naming the place and the path in it.
 */
export function keptDict(kept: KeptState, model: iModel): ModelDict {
  const { place } = kept;
  const data = parseSnapshot(kept.snapshot, place);
  refuseLaterVersion(data, place);
  const dict = readDict(data, place);
  if (dict.id !== undefined && dict.id !== model.id) {
    const message = `Expected ${place} to hold the state of ${model.id}, got that of ${dict.id}`;
    throw IModelError.of('config', message, { field: `${place}: id`, value: dict.id });
  }
  const log = readLog(kept.log, place);
  if (dict.state === undefined) return dict;
  const { window } = model.live.view().limits;
  const isLimited = window.requests !== null || window.tokens !== null;
  return { ...dict, state: applyLog(dict.state, log, isLimited ? longestUseMs(window) : null) };
}

/** @throws IModelError `unavailable` when it takes longer. */
async function inTime(work: Promise<void>, ms: number): Promise<void> {
  if (await within(work, ms)) return;
  throw IModelError.of('unavailable', `Its place has not answered within ${ms} ms`, { source: 'runtime' });
}
