import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Prints one line of the report: what, how much, and what is promised. */
export function row(name, value, promise) {
  console.log(`${name.padEnd(62)} ${String(value).padStart(16)}   ${promise}`);
}

/** The middle of a list of numbers. */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

/** The p-th percentile, 0 to 100, of a list of numbers. */
export function percentile(values, p) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * p) / 100))];
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');

/** Bytes of heap in use after a full collection. */
export function collectedHeap() {
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}
