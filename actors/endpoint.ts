import { type ActorRefFrom, setup } from 'xstate';

/** What an endpoint actor hears: changes only, never a message per call. */
export type EndpointEvent =
  /** An upstream answered, whatever it said. */
  | { readonly type: 'upstream.answered' }
  /** No upstream could be reached: refused, reset, not resolved, program not found. */
  | { readonly type: 'upstream.lost' }
  | { readonly type: 'endpoint.close' };

/**
 * How an endpoint stands with its upstream. It decides nothing about calls (their iModel does); it tells operators, and the iModels that
 * reach it over a bus, whether calls have a chance.
 */
export const endpointMachine = setup({
  types: { events: {} as EndpointEvent },
}).createMachine({
  id: 'endpoint',
  initial: 'connecting',
  states: {
    /** Nobody has answered yet. */
    connecting: {
      on: { 'upstream.answered': 'ready', 'upstream.lost': 'degraded', 'endpoint.close': 'closed' },
    },
    ready: {
      on: { 'upstream.lost': 'degraded', 'endpoint.close': 'closed' },
    },
    /** The latest call found no upstream; the next one that does makes it ready again. */
    degraded: {
      on: { 'upstream.answered': 'ready', 'endpoint.close': 'closed' },
    },
    closed: { type: 'final' },
  },
});

/** A running endpoint machine. */
export type EndpointActor = ActorRefFrom<typeof endpointMachine>;

/** The states of an endpoint, as people see them. */
export const endpointStatuses = ['connecting', 'ready', 'degraded', 'closed'] as const;

/** See {@link endpointStatuses}. */
export type EndpointStatus = (typeof endpointStatuses)[number];
