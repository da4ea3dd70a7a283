import { describe, expect, it } from 'vitest';
import { createActor, getInitialSnapshot, getNextSnapshot, type SnapshotFrom } from 'xstate';
import { getAdjacencyMap, getSimplePaths } from 'xstate/graph';
import { CallRow } from '../../actors/call-row.ts';
import type { DispatcherEffects, DispatcherLimits } from '../../actors/dispatcher-input.ts';
import { type ModelEvent, modelMachine, modeOf } from '../../actors/imodel.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

const limits: DispatcherLimits = {
  queueCapacity: 2,
  onFull: 'wait',
  concurrency: 1,
  window: { requests: 1, tokens: null, lengthMs: 1_000, marginMs: 0 },
};

const noEffects: DispatcherEffects = {
  start: () => {},
  stop: () => {},
  retrying: () => {},
  rescue: () => false,
  ended: () => {},
};

const resilience = { retry: null, breaker: null };

const eventTypes = [
  'model.start',
  'model.pause',
  'model.resume',
  'model.drain',
  'model.close',
  'limit.hit',
  'window.refreshed',
  'cooling.begun',
  'cooling.ended',
  'breaker.tripped',
  'breaker.trial',
  'breaker.closed',
  'queue.full',
  'queue.drained',
  'dispatcher.idle',
] as const satisfies readonly ModelEvent['type'][];

/** What each region may do, written by hand: the test fails where chart and expectation part. */
const allowed: Record<string, Partial<Record<ModelEvent['type'], string>>> = {
  'life.starting': {
    'model.start': 'running',
    'model.pause': 'paused',
    'model.drain': 'draining',
    'model.close': 'closing',
  },
  'life.running': { 'model.pause': 'paused', 'model.drain': 'draining', 'model.close': 'closing' },
  'life.paused': { 'model.resume': 'running', 'model.drain': 'draining', 'model.close': 'closing' },
  'life.draining': { 'model.close': 'closing', 'dispatcher.idle': 'closed' },
  'life.closing': { 'dispatcher.idle': 'closed' },
  'life.closed': {},
  'rate.open': { 'limit.hit': 'throttled', 'cooling.begun': 'cooling' },
  'rate.cooling': { 'cooling.ended': 'open' },
  'breaker.closed': { 'breaker.tripped': 'tripped' },
  'breaker.tripped': { 'breaker.trial': 'trial' },
  'breaker.trial': { 'breaker.tripped': 'tripped', 'breaker.closed': 'closed' },
  'rate.throttled': { 'window.refreshed': 'open' },
  'queue.accepting': { 'queue.full': 'full' },
  'queue.full': { 'queue.drained': 'accepting' },
};

interface Arrow {
  readonly event: ModelEvent;
  readonly state: SnapshotFrom<typeof modelMachine>;
}

const input = () => ({
  limits,
  resilience,
  random: () => 0,
  effects: noEffects,
  clock: new VirtualClock(),
});
const events = eventTypes.map((type) => ({ type }));

describe('the iModel machine', () => {
  it('takes every event in every combination of its regions as it should', () => {
    const reached = new Set<string>();
    const map = getAdjacencyMap(modelMachine, { input: input(), events });
    const nodes = Object.values(map);
    expect(nodes).toHaveLength(6 * 3 * 3 * 2);
    for (const { state: from, transitions } of nodes) {
      for (const { event, state: to } of Object.values<Arrow>(transitions)) {
        for (const region of ['life', 'rate', 'breaker', 'queue'] as const) {
          const before = from.value[region];
          reached.add(`${region}.${before}`);
          const expected = allowed[`${region}.${before}`]?.[event.type] ?? before;
          expect(to.value[region], `${region}.${before} on ${event.type}`).toBe(expected);
        }
      }
    }
    expect(reached).toEqual(new Set(Object.keys(allowed)));
  });

  it.each(['model.', 'limit.|window.|cooling.', 'breaker.', 'queue.'])(
    'walks every path of the events %s without a loop',
    (names) => {
      const some = events.filter(({ type }) => new RegExp(`^(${names}|dispatcher.)`).test(type));
      const paths = getSimplePaths(modelMachine, { input: input(), events: some });
      expect(paths.length).toBeGreaterThan(0);
      for (const { steps } of paths) {
        let actor = getInitialSnapshot(modelMachine, input());
        for (const { event, state } of steps) {
          if ((event.type as string) !== 'xstate.init')
            actor = getNextSnapshot(modelMachine, actor, event as ModelEvent);
          expect(actor.value).toEqual(state.value);
        }
      }
    },
  );

  it('runs every path with a real dispatcher behind it and ends closed, with no timer left', () => {
    const controls = events.filter(({ type }) => type.startsWith('model.'));
    for (const path of getSimplePaths(modelMachine, { input: input(), events: controls })) {
      const clock = new VirtualClock();
      const running: CallRow[] = [];
      const ended: CallRow[] = [];
      const actor = createActor(modelMachine, {
        clock,
        input: {
          limits,
          resilience,
          random: () => 0,
          clock,
          effects: {
            ...noEffects,
            start: (row) => running.push(row),
            stop: (row) => dispatcher?.send({ type: 'call.settle', row, failure: null, tokens: null }),
            ended: (row) => ended.push(row),
          },
        },
      });
      actor.start();
      const dispatcher = actor.getSnapshot().children.dispatcher;
      let submitted = 0;
      for (const { event } of path.steps) {
        if ((event.type as string) !== 'xstate.init') actor.send(event as ModelEvent);
        submitted += 1;
        dispatcher?.send({ type: 'call.submit', row: new CallRow({ id: String(submitted) }) });
        clock.advanceSync(1_000);
      }
      actor.send({ type: 'model.close' });
      expect(actor.getSnapshot().value.life).toBe('closed');
      expect(ended).toHaveLength(submitted);
      expect(clock.timers).toBe(0);
    }
  });
});

describe('modeOf', () => {
  const open = { life: 'running', rate: 'open', breaker: 'closed', queue: 'accepting' } as const;
  it.each([
    ['closed', { ...open, life: 'closed', rate: 'throttled' }, 1],
    ['draining', { ...open, life: 'draining' }, 1],
    ['draining', { ...open, life: 'closing' }, 1],
    ['paused', { ...open, life: 'paused', rate: 'throttled' }, 1],
    ['tripped', { ...open, breaker: 'trial', rate: 'cooling' }, 1],
    ['cooling', { ...open, rate: 'cooling', queue: 'full' }, 1],
    ['throttled', { ...open, rate: 'throttled', queue: 'full' }, 1],
    ['full', { ...open, queue: 'full' }, 1],
    ['busy', open, 1],
    ['idle', open, 0],
  ] as const)('says %s', (mode, regions, running) => {
    expect(modeOf(regions, { running, waiting: 0, coolingUntil: null })).toBe(mode);
  });

  it('says cooling as soon as the vendor asks for it, also when nobody waits', () => {
    expect(modeOf(open, { running: 0, waiting: 0, coolingUntil: 5 })).toBe('cooling');
  });
});
