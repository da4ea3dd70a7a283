// What one call costs inside the actor: submit, admit, sent, answer, settle, through XState's mailbox, with an endpoint that does nothing; and
// what its journal adds, in turns of one run.
import { createActor } from 'xstate';
import { writeActor } from '../dist/actors/actor-state.js';
import { CallRow } from '../dist/actors/call-row.js';
import { dispatcherLogic } from '../dist/actors/dispatcher-logic.js';
import { defaultJournalSize, Journal } from '../dist/src/runtime/journal/journal.js';
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

/** The journal that an iModel has by default, of a dispatcher that is still to come. */
function journalOf(dispatcher, concurrency) {
  return new Journal({
    actor: () => ({
      modelId: 'bench',
      limits: limits(concurrency),
      resilience,
      state: writeActor('running', dispatcher()),
      rows: [...dispatcher().rows()],
    }),
    calls: () => dispatcher().size,
    now: Date.now,
    size: defaultJournalSize,
  });
}

/**
 * Nanoseconds of processor time per call with `inFlight` running and `waiting` behind them: each settled call starts the next, each start
 * submits one more.
 */
async function costPerCall({ inFlight, waiting, isJournaled }, calls) {
  const running = [];
  let head = 0;
  const effects = {
    start: (started) => running.push(started),
    stop: () => {},
    retrying: () => {},
    rescue: () => false,
    ended: () => {},
  };
  const journal = isJournaled ? journalOf(() => actor.getSnapshot().dispatcher, inFlight) : null;
  const actor = createActor(dispatcherLogic, {
    input: {
      ...{ limits: limits(inFlight), resilience, random: Math.random, effects, clock: systemClock, machine: null },
      journal: journal?.recorder ?? null,
    },
  });
  actor.start();
  journal?.snapshot();
  actor.send({ type: 'gate.open' });
  let id = 0;
  const submit = () => {
    id += 1;
    actor.send({ type: 'call.submit', row: new CallRow({ id: `call-${id}` }) });
  };
  for (let n = 0; n < inFlight + waiting; n += 1) {
    submit();
    if (n % 1_000 === 0) await null;
  }
  const begin = process.cpuUsage();
  for (let n = 0; n < calls; n += 1) {
    submit();
    const row = running[head];
    running[head] = undefined;
    head += 1;
    actor.send({ type: 'call.sent', row });
    actor.send({ type: 'call.answer', row });
    actor.send({ type: 'call.settle', row, failure: null, tokens: null });
    // Snapshots are taken between two turns.
    if (n % 16 === 0) await null;
  }
  const { user, system } = process.cpuUsage(begin);
  actor.stop();
  return ((user + system) * 1_000) / calls;
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

export async function actor() {
  const calls = 100_000;
  await costPerCall({ inFlight: 16, waiting: 0, isJournaled: true }, calls);
  let base = null;
  for (const [inFlight, waiting] of [
    [16, 0],
    [1_000, 0],
    [16, 1_000],
    [16, 100_000],
    [1_000, 100_000],
  ]) {
    const plain = [];
    const journaled = [];
    for (let run = 0; run < 5; run += 1) {
      plain.push(await costPerCall({ inFlight, waiting, isJournaled: false }, calls));
      journaled.push(await costPerCall({ inFlight, waiting, isJournaled: true }, calls));
    }
    const cost = median(journaled) / 1_000;
    base ??= cost;
    row(
      `actor work per call, ${inFlight} in flight, ${waiting} waiting`,
      `${cost.toFixed(2)} µs`,
      `at most 2 µs; ${(cost / base).toFixed(2)} × the first row; ${(median(plain) / 1_000).toFixed(2)} µs without its journal`,
    );
  }
  row(
    'heap per waiting call, in the actor',
    `${bytesPerWaiting(100_000).toFixed(0)} bytes`,
    'part of at most 1,000 beside the payload',
  );
}
