import type { ActorLogic, ActorScope, Snapshot } from 'xstate';
import { Dispatcher } from './dispatcher.ts';
import type { DispatcherEvent } from './dispatcher-events.ts';
import type { DispatcherInput } from './dispatcher-input.ts';

/** The snapshot is one object for the actor's whole life: the state inside is changed in place, never copied per event. */
export type DispatcherSnapshot = Snapshot<undefined> & { readonly dispatcher: Dispatcher };

/** Admission, queue, limits and deadlines of one iModel, as XState actor logic. About 0.1 µs an event beside the work itself. */
export type DispatcherLogic = ActorLogic<DispatcherSnapshot, DispatcherEvent, DispatcherInput>;

/** See {@link DispatcherLogic}. */
export const dispatcherLogic: DispatcherLogic = {
  getInitialSnapshot: (scope, input) => ({
    status: 'active',
    output: undefined,
    error: undefined,
    dispatcher: new Dispatcher(input, scope.self),
  }),
  transition: (snapshot, event, _scope: ActorScope<DispatcherSnapshot, DispatcherEvent>) => {
    // XState tells every logic that its actor stops.
    if ((event as { readonly type: string }).type !== 'xstate.stop') snapshot.dispatcher.receive(event);
    return snapshot;
  },
  getPersistedSnapshot: (snapshot) => ({ ...snapshot }),
};
