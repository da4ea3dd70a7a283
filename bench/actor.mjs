// What one call costs inside the actor: submit, admit, settle, through XState's mailbox, with an endpoint that does nothing.
import { createActor } from 'xstate';
import { CallRow } from '../dist/actors/call-row.js';
import { dispatcherLogic } from '../dist/actors/dispatcher.js';
import { systemClock } from '../dist/src/runtime/system-clock.js';
import { collectedHeap, median, row } from './report.mjs';

const limits = (concurrency) => ({
  queueCapacity: 1_000_000,
  onFull: 'wait',
  concurrency,
  window: { requests: null, tokens: null, lengthMs: 60_000, marginMs: 300 },
});

const resilience = {
  retry: { maxRetries: 3, baseDelayMs: 1_000, maxDelayMs: 60_000, backoffFactor: 2, jitterFactor: 1, excludeCodes: [] },
  breaker: null,
};

/** Nanoseconds per call with `inFlight` running and `waiting` behind them: each settled call starts the next, each start submits one more. */
function costPerCall(inFlight, waiting, calls) {
  const running = [];
  let head = 0;
  const effects = {
    start: (started) => running.push(started),
    stop: () => {},
    retrying: () => {},
    rescue: () => false,
    ended: () => {},
  };
  const actor = createActor(dispatcherLogic, {
    input: { limits: limits(inFlight), resilience, random: Math.random, effects, clock: systemClock, machine: null },
  });
  actor.start();
  actor.send({ type: 'gate.open' });
  let id = 0;
  const submit = () => {
    id += 1;
    actor.send({ type: 'call.submit', row: new CallRow({ id: `call-${id}` }) });
  };
  for (let n = 0; n < inFlight + waiting; n += 1) submit();
  const begin = process.hrtime.bigint();
  for (let n = 0; n < calls; n += 1) {
    submit();
    const settled = running[head];
    running[head] = undefined;
    head += 1;
    actor.send({ type: 'call.settle', row: settled, failure: null, tokens: null });
  }
  const nanoseconds = Number(process.hrtime.bigint() - begin) / calls;
  actor.stop();
  return nanoseconds;
}

/** Bytes of heap per call that waits, the row and its place in every index included. */
function bytesPerWaiting(count) {
  const actor = createActor(dispatcherLogic, {
    input: {
      limits: limits(1),
      resilience,
      random: Math.random,
      effects: { start: () => {}, stop: () => {}, retrying: () => {}, rescue: () => false, ended: () => {} },
      clock: systemClock,
      machine: null,
    },
  });
  actor.start();
  const before = collectedHeap();
  for (let n = 0; n < count; n += 1) actor.send({ type: 'call.submit', row: new CallRow({ id: `call-${n}` }) });
  const bytes = (collectedHeap() - before) / count;
  actor.stop();
  return bytes;
}

export function actor() {
  costPerCall(16, 0, 200_000);
  const measure = (inFlight, waiting) =>
    median([1, 2, 3, 4, 5].map(() => costPerCall(inFlight, waiting, 200_000))) / 1_000;
  const base = measure(16, 0);
  for (const [inFlight, waiting] of [
    [16, 0],
    [1_000, 0],
    [16, 1_000],
    [16, 100_000],
    [1_000, 100_000],
  ]) {
    const cost = measure(inFlight, waiting);
    row(
      `actor work per call, ${inFlight} in flight, ${waiting} waiting`,
      `${cost.toFixed(2)} µs`,
      `at most 2 µs; ${(cost / base).toFixed(2)} × the first row`,
    );
  }
  row(
    'heap per waiting call, in the actor',
    `${bytesPerWaiting(100_000).toFixed(0)} bytes`,
    'part of at most 1,000 beside the payload',
  );
}
