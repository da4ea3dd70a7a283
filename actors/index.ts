/**
 * What decides: the machine of an iModel, its dispatcher and the life cycle of a call, without I/O, clock or logger. To run them
 * yourself, to draw them, or to test against them.
 *
 * @example
 * ```ts
 * import { createActor } from 'xstate';
 * import { modelMachine } from 'imodel/actors';
 * const actor = createActor(modelMachine, { input: { limits, effects, clock } });
 * ```
 * @packageDocumentation
 */

export type { CallEvent, CallState } from './call.ts';
export { callChart, callEvents, callState, statusOf, stepCall } from './call.ts';
export type { CallRowInput } from './call-row.ts';
export { CallRow } from './call-row.ts';
export type { Clock } from './clock.ts';
export type { DispatcherEdge, DispatcherEvent } from './dispatcher-events.ts';
export type { DispatcherEffects, DispatcherInput, DispatcherLimits } from './dispatcher-input.ts';
export type { DispatcherLogic } from './dispatcher-logic.ts';
export { dispatcherLogic } from './dispatcher-logic.ts';
export type { DispatcherView } from './dispatcher-view.ts';
export type { ModelActor, ModelEvent, ModelInput, ModelMode, ModelRegions } from './imodel.ts';
export { modelMachine, modelModes, modeOf } from './imodel.ts';
export type { WindowLimits } from './policy/window.ts';
