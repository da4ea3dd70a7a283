import { setMaxListeners } from 'node:events';

const watches = new WeakMap<AbortSignal, AbortWatch>();

/** Calls back when a signal aborts. @returns What takes that back. */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  return watchOf(signal, false).add(listener);
}

/**
 * Listens to a signal from now on, whether or not somebody waits for it: for one that belongs to a connection with one call after the other.
 * Others are let go between their calls, since what is listened to is not collected while what it depends on lives.
 */
export function keepListening(signal: AbortSignal): void {
  watchOf(signal, true);
}

function watchOf(signal: AbortSignal, stays: boolean): AbortWatch {
  let watch = watches.get(signal);
  if (watch === undefined) {
    watch = new AbortWatch(signal, stays);
    watches.set(signal, watch);
    // Others may listen for each of a thousand calls; Node would warn at the eleventh.
    setMaxListeners(0, signal);
    signal.addEventListener('abort', watch, { once: true });
  }
  return watch;
}

/** Somebody who waits for a signal. */
interface Listening {
  readonly listener: () => void;
  /** Where it stands among the others; -1 once it waits no more. */
  index: number;
}

/** Listens to one signal for all who wait for it: a listener of its own for each of a thousand calls costs more than their actor does. */
class AbortWatch {
  readonly #signal: AbortSignal;
  readonly #stays: boolean;
  readonly #all: Listening[] = [];

  constructor(signal: AbortSignal, stays: boolean) {
    this.#signal = signal;
    this.#stays = stays;
  }

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
    if (own.index < 0) return;
    const last = this.#all.pop();
    if (last !== undefined && last !== own) {
      last.index = own.index;
      this.#all[own.index] = last;
    }
    own.index = -1;
    if (this.#stays || this.#all.length > 0) return;
    this.#signal.removeEventListener('abort', this);
    watches.delete(this.#signal);
  }
}
