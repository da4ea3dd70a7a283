import { type ActorRefFrom, type SnapshotFrom, sendTo, setup } from 'xstate';
import type { DispatcherEdge } from './dispatcher-events.ts';
import type { DispatcherInput } from './dispatcher-input.ts';
import { dispatcherLogic } from './dispatcher-logic.ts';
import type { DispatcherView } from './dispatcher-view.ts';

/** What an iModel machine hears: what its owner wants, and what its dispatcher reports. */
export type ModelEvent =
  | { readonly type: 'model.start' }
  | { readonly type: 'model.pause' }
  | { readonly type: 'model.resume' }
  /** Take no more calls, end those that wait, let those that run finish. */
  | { readonly type: 'model.drain' }
  /** As drain, but end those that run too. */
  | { readonly type: 'model.close' }
  | DispatcherEdge;

/** What an iModel machine is made from. */
export type ModelInput = Omit<DispatcherInput, 'machine'>;

/**
 * The modes of one iModel. It decides when calls may start and hears of changes only; the calls themselves pass through its
 * dispatcher.
 */
export const modelMachine = setup({
  types: {
    input: {} as ModelInput,
    context: {} as ModelInput,
    events: {} as ModelEvent,
  },
  actors: { dispatcher: dispatcherLogic },
  actions: {
    openGate: sendTo('dispatcher', { type: 'gate.open' }),
    shutGate: sendTo('dispatcher', { type: 'gate.shut' }),
    refuseCalls: sendTo('dispatcher', { type: 'calls.refuse' }),
    stopCalls: sendTo('dispatcher', { type: 'calls.stop' }),
  },
}).createMachine({
  id: 'imodel',
  context: ({ input }) => input,
  invoke: {
    id: 'dispatcher',
    src: 'dispatcher',
    input: ({ context, self }) => ({ ...context, machine: self }),
  },
  type: 'parallel',
  states: {
    life: {
      initial: 'starting',
      states: {
        starting: {
          on: {
            'model.start': 'running',
            'model.pause': 'paused',
            'model.drain': 'draining',
            'model.close': 'closing',
          },
        },
        running: {
          entry: 'openGate',
          on: { 'model.pause': 'paused', 'model.drain': 'draining', 'model.close': 'closing' },
        },
        paused: {
          entry: 'shutGate',
          on: { 'model.resume': 'running', 'model.drain': 'draining', 'model.close': 'closing' },
        },
        draining: {
          // What began before a pause must be able to make its further attempts, or it would never end.
          entry: ['refuseCalls', 'openGate'],
          on: { 'model.close': 'closing', 'dispatcher.idle': 'closed' },
        },
        closing: {
          // Refused first: who calls again when its call is stopped must not be taken.
          entry: ['refuseCalls', 'stopCalls'],
          on: { 'dispatcher.idle': 'closed' },
        },
        closed: {},
      },
    },
    rate: {
      initial: 'open',
      states: {
        open: { on: { 'limit.hit': 'throttled', 'cooling.begun': 'cooling' } },
        /** Our own limit is used up. */
        throttled: { on: { 'window.refreshed': 'open' } },
        /** The vendor wants no requests. */
        cooling: { on: { 'cooling.ended': 'open' } },
      },
    },
    breaker: {
      initial: 'closed',
      states: {
        closed: { on: { 'breaker.tripped': 'tripped' } },
        /** Calls fail at once. */
        tripped: { on: { 'breaker.trial': 'trial' } },
        /** Single calls find out whether the vendor is back. */
        trial: { on: { 'breaker.tripped': 'tripped', 'breaker.closed': 'closed' } },
      },
    },
    queue: {
      initial: 'accepting',
      states: {
        accepting: { on: { 'queue.full': 'full' } },
        full: { on: { 'queue.drained': 'accepting' } },
      },
    },
  },
});

/** The running machine of one iModel. */
export type ModelActor = ActorRefFrom<typeof modelMachine>;

/** The regions' states, as the machine names them. */
export type ModelRegions = SnapshotFrom<typeof modelMachine>['value'];

/** One word for people, strictest first. */
export const modelModes = [
  'closed',
  'draining',
  'paused',
  'tripped',
  'cooling',
  'throttled',
  'full',
  'busy',
  'idle',
] as const;

/** See {@link modelModes}. */
export type ModelMode = (typeof modelModes)[number];

/** The strictest of what the regions and the dispatcher say. */
export function modeOf(
  regions: ModelRegions,
  view: Pick<DispatcherView, 'running' | 'waiting' | 'coolingUntil'>,
): ModelMode {
  if (regions.life === 'closed') return 'closed';
  if (regions.life === 'draining' || regions.life === 'closing') return 'draining';
  if (regions.life === 'paused') return 'paused';
  if (regions.breaker !== 'closed') return 'tripped';
  if (regions.rate === 'cooling' || view.coolingUntil !== null) return 'cooling';
  if (regions.rate === 'throttled') return 'throttled';
  if (regions.queue === 'full') return 'full';
  return view.running + view.waiting > 0 ? 'busy' : 'idle';
}
