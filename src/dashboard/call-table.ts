import type { ModelEventMessage } from '../../schemas/event.ts';
import type { CallView, NodeState } from '../../schemas/state.ts';
import type { HeldCall } from '../callers/caller-book.ts';
import type { CallStage, SeenCall } from './frame.ts';

/** Most calls that have not ended; beyond them only their number is shown. */
const maxLive = 300;

/** Most calls that have ended. */
const maxEnded = 100;

/** How much of the rate shown is what was measured last. */
const rateWeight = 0.6;

/**
 * The calls that were seen lately, put together from events and from what the iModels say when they are asked. Its size is bounded, however
 * many there are.
 */
export class CallTable {
  /** Oldest first. */
  readonly #live = new Map<string, SeenCall>();
  readonly #ended = new Map<string, SeenCall>();
  readonly #changed = new Set<SeenCall>();
  readonly #removed = new Set<string>();
  /** When the chunks of a call were last counted. */
  readonly #counted = new WeakMap<SeenCall, number>();

  /** All of them, those that live first. */
  *[Symbol.iterator](): Generator<SeenCall, void, undefined> {
    yield* this.#live.values();
    yield* this.#ended.values();
  }

  /** Notes what happened to a call. */
  note(event: ModelEventMessage): void {
    const { call_id: id, model_id: model, at } = event;
    if (id === undefined) return;
    if (event.type === 'post_invocation') {
      this.#end(model, id, event);
      return;
    }
    const call = this.#find(model, id, at);
    if (call === undefined) return;
    if (event.caller !== undefined) call.caller = event.caller;
    if (call.stage === 'held') {
      call.stage = 'queued';
      delete call.position;
    }
    switch (event.type) {
      case 'pre_invocation':
        call.stage = 'sending';
        call.started_at = at;
        delete call.position;
        break;
      case 'answered':
        call.stage = 'answering';
        // What went wrong with the tries before it has been made good.
        delete call.problem;
        break;
      case 'retrying':
        call.stage = 'backing_off';
        if (event.attempts !== undefined) call.attempts = event.attempts;
        if (event.failure !== undefined) call.problem = `${event.failure.code}: ${event.failure.message}`;
        break;
      default:
    }
    this.#changed.add(call);
  }

  /**
   * Takes over what an iModel says of its calls.
   *
   * @param isAll - Whether these are all it has: calls of the same process that are missing have ended unheard.
   */
  list({ id: model, node, calls = [] }: NodeState, isAll: boolean, now: number): void {
    const listed = new Set<string>();
    for (const view of calls) {
      const call = this.#find(model, view.id, view.queued_at);
      if (call === undefined) continue;
      listed.add(call.key);
      call.node = node;
      this.#measure(call, view, now);
      this.#changed.add(call);
    }
    if (!isAll) return;
    for (const call of this.#live.values()) {
      if (call.model === model && call.node === node && !listed.has(call.key)) this.#forget(call);
    }
  }

  /** Takes over which requests wait for the limits of their callers; all there are. */
  hold(all: readonly HeldCall[]): void {
    const listed = new Set<string>();
    for (const { model, id, caller, position, queued_at: queuedAt } of all) {
      const call = this.#find(model, id, queuedAt, 'held');
      if (call?.stage !== 'held') continue;
      listed.add(call.key);
      if (call.position === position) continue;
      call.caller = caller;
      call.position = position;
      this.#changed.add(call);
    }
    for (const call of this.#live.values()) if (call.stage === 'held' && !listed.has(call.key)) this.#forget(call);
  }

  /** Forgets the calls of a process that answers no more. */
  drop(model: string, node: string): void {
    for (const call of this.#live.values()) if (call.model === model && call.node === node) this.#forget(call);
  }

  /** What has changed since it was last asked for. */
  take(): { readonly calls: SeenCall[]; readonly removed: string[] } {
    const taken = { calls: [...this.#changed], removed: [...this.#removed] };
    this.#changed.clear();
    this.#removed.clear();
    return taken;
  }

  /** Undefined for a new call where there is no room for it. */
  #find(model: string, id: string, queuedAt: number, stage: CallStage = 'queued'): SeenCall | undefined {
    const key = `${model}/${id}`;
    const known = this.#live.get(key);
    if (known !== undefined || this.#live.size >= maxLive || this.#ended.has(key)) return known;
    const call: SeenCall = { key, model, id, stage, queued_at: queuedAt, chunks: 0 };
    this.#live.set(key, call);
    this.#removed.delete(key);
    return call;
  }

  #measure(call: SeenCall, view: CallView, now: number): void {
    const counted = this.#counted.get(call);
    if (counted !== undefined && now > counted) {
      const rate = ((view.chunks - call.chunks) * 1_000) / (now - counted);
      call.rate = rateWeight * rate + (1 - rateWeight) * (call.rate ?? rate);
    }
    this.#counted.set(call, now);
    call.stage = view.stage;
    call.streaming = view.streaming;
    call.chunks = view.chunks;
    call.attempts = view.attempts;
    if (view.caller !== undefined) call.caller = view.caller;
    if (view.started_at !== undefined) call.started_at = view.started_at;
    if (view.first_chunk_at !== undefined) call.first_at = view.first_chunk_at;
    if (view.position === undefined) delete call.position;
    else call.position = view.position;
  }

  #end(model: string, id: string, event: ModelEventMessage): void {
    const { at, status = 'completed', wait_ms: waitMs, duration_ms: durationMs, usage, failure, attempts } = event;
    const key = `${model}/${id}`;
    const startedAt = durationMs === undefined ? undefined : at - durationMs;
    const queuedAt = (startedAt ?? at) - (waitMs ?? 0);
    const call = this.#live.get(key) ?? { key, model, id, stage: status, queued_at: queuedAt, chunks: 0 };
    this.#live.delete(key);
    call.stage = status;
    call.ended_at = at;
    delete call.position;
    if (startedAt !== undefined) call.started_at ??= startedAt;
    if (usage !== undefined) call.tokens = usage.total_tokens;
    if (attempts !== undefined) call.attempts = attempts;
    if (event.caller !== undefined) call.caller = event.caller;
    if (failure === undefined) delete call.problem;
    else call.problem = `${failure.code}: ${failure.message}`;
    this.#ended.set(key, call);
    this.#removed.delete(key);
    this.#changed.add(call);
    for (const oldest of this.#ended.values()) {
      if (this.#ended.size <= maxEnded) break;
      this.#forget(oldest);
    }
  }

  #forget(call: SeenCall): void {
    this.#live.delete(call.key);
    this.#ended.delete(call.key);
    this.#changed.delete(call);
    this.#removed.add(call.key);
  }
}
