import { setMaxListeners } from 'node:events';

const known = new WeakSet<AbortSignal>();

/** Calls back when a signal aborts. @returns What takes that back. */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  // One signal may well end a thousand calls; Node would warn at the eleventh.
  if (!known.has(signal)) setMaxListeners(0, signal);
  known.add(signal);
  signal.addEventListener('abort', listener, { once: true });
  return () => signal.removeEventListener('abort', listener);
}
