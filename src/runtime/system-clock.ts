import { performance } from 'node:perf_hooks';
import type { Clock } from '../../actors/clock.ts';

// The wall clock can be set back; a window or a duration must not notice. So: epoch time of the start plus monotonic time since.
const startedAt = Date.now() - performance.now();

/** Longest delay of a Node timer; a longer one would fire at once. */
const maxDelayMs = 2 ** 31 - 1;

/** The clock of the machine: epoch milliseconds that never go back, and Node's timers. */
export const systemClock: Clock = {
  now: () => startedAt + performance.now(),
  setTimeout: (callback, delayMs) => setTimeout(callback, Math.min(delayMs, maxDelayMs)),
  clearTimeout: (handle) => clearTimeout(handle as NodeJS.Timeout),
};
