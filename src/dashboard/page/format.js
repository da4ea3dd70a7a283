/** Milliseconds as people read them: `3 ms`, `1.24 s`, `2 min 5 s`. */
export function duration(/** @type {number} */ ms) {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 60_000) return `${Number((ms / 1_000).toFixed(ms < 10_000 ? 2 : 1))} s`;
  const seconds = Math.round(ms / 1_000);
  return `${Math.floor(seconds / 60)} min${seconds % 60 === 0 ? '' : ` ${seconds % 60} s`}`;
}

/** The time until an instant, in whole seconds: `12 s`; a moment at least. */
export function until(/** @type {number} */ ms) {
  return ms < 1_000 ? 'a moment' : duration(Math.round(ms / 1_000) * 1_000);
}

/** A number with its thousands apart. */
export function count(/** @type {number} */ value) {
  return Math.round(value).toLocaleString('en-US');
}

/** US dollars, with enough digits to be more than nothing. */
export function dollars(/** @type {number} */ value) {
  return `$${value < 0.01 && value > 0 ? value.toPrecision(2) : value.toFixed(2)}`;
}
