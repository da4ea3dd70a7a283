import { setMaxListeners } from 'node:events';

const watches = new WeakMap<AbortSignal, AbortWatch>();

/** Calls back when a signal aborts. @returns What takes that back. */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  let watch = watches.get(signal);
  if (watch === undefined) {
    watch = new AbortWatch();
    watches.set(signal, watch);
    // Others may listen for each of a thousand calls; Node would warn at the eleventh.
    setMaxListeners(0, signal);
    signal.addEventListener('abort', watch, { once: true });
  }
  return watch.add(listener);
}

/** Somebody who waits for a signal. */
interface Listening {
  readonly listener: () => void;
  /** Where it stands among the others; -1 once it waits no more. */
  index: number;
}

/**
 * Listens to one signal for all who wait for it. A signal may be that of a connection with one call after the other, or end a thousand calls, and
 * a listener of its own for each of them costs more than its actor does.
 */
class AbortWatch {
  readonly #all: Listening[] = [];

  add(listener: () => void): () => void {
    const own: Listening = { listener, index: this.#all.length };
    this.#all.push(own);
    return () => this.#remove(own);
  }

  /** The signal aborted. */
  handleEvent(): void {
    // One that hears of it may take others back.
    for (const own of [...this.#all]) if (own.index >= 0) own.listener();
  }

  /** The last takes its place. */
  #remove(own: Listening): void {
    const last = own.index < 0 ? undefined : this.#all.pop();
    if (last !== undefined && last !== own) {
      last.index = own.index;
      this.#all[own.index] = last;
    }
    own.index = -1;
  }
}
