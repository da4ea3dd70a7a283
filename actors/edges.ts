import type { DispatcherEdge } from './dispatcher-events.ts';
import type { Blocked } from './dispatcher-view.ts';
import type { BreakerState } from './policy/breaker.ts';

/** Half-full is when the machine hears that a full queue has drained: a queue that hovers at its limit sends no message per call. */
const drainedShare = 0.5;

/** Remembers what the iModel machine was told last, and tells it what is different now. */
export class Edges {
  readonly #machine: { send(edge: DispatcherEdge): void } | null;
  #blocked: Blocked = null;
  #isFull = false;
  #breaker: BreakerState = 'closed';

  /** @param machine - Who hears it; null for nobody. */
  constructor(machine: { send(edge: DispatcherEdge): void } | null) {
    this.#machine = machine;
  }

  /** What was last said of the head of the queue. */
  get blocked(): Blocked {
    return this.#blocked;
  }

  /** Whether the queue was last said to be full. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** What keeps the head of the queue from starting, from now on. */
  block(blocked: Blocked): void {
    const before = this.#blocked;
    if (blocked === before) return;
    this.#blocked = blocked;
    if (before === 'rate') this.#tell({ type: 'window.refreshed' });
    if (before === 'cooling') this.#tell({ type: 'cooling.ended' });
    if (blocked === 'rate') this.#tell({ type: 'limit.hit' });
    if (blocked === 'cooling') this.#tell({ type: 'cooling.begun' });
  }

  /** How many wait, and how many may. */
  fill(waiting: number, capacity: number): void {
    if (!this.#isFull && waiting >= capacity) {
      this.#isFull = true;
      this.#tell({ type: 'queue.full' });
    } else if (this.#isFull && waiting <= capacity * drainedShare) {
      this.#isFull = false;
      this.#tell({ type: 'queue.drained' });
    }
  }

  break(state: BreakerState): void {
    if (state === this.#breaker) return;
    this.#breaker = state;
    this.#tell({ type: `breaker.${state}` });
  }

  idle(): void {
    this.#tell({ type: 'dispatcher.idle' });
  }

  /** Brings a machine that knows nothing yet to where another one was. */
  restore(blocked: Blocked, isFull: boolean, breaker: BreakerState): void {
    this.block(blocked);
    if (isFull) this.fill(1, 1);
    // There is no way into a trial but through a tripped breaker.
    if (breaker === 'trial') this.break('tripped');
    this.break(breaker);
  }

  #tell(edge: DispatcherEdge): void {
    this.#machine?.send(edge);
  }
}
