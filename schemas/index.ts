/**
 * What travels: the zod schemas of requests, calls, chunks, events, failures and configuration, with the types inferred from them.
 *
 * @example
 * ```ts
 * import { streamMessage } from 'imodel/schemas';
 * const message = streamMessage.parse(JSON.parse(text));
 * if (message.kind === 'chunk') process.stdout.write(message.content ?? '');
 * ```
 * @packageDocumentation
 */

export type { CallDict, CallStatus, WireCall, WrittenError } from './call.ts';
export { callDict, callStatuses, callTiming, execution, wireCall, wireUsage } from './call.ts';
export type { CallerConfig } from './caller.ts';
export { callerConfig, callerName, keyHash } from './caller.ts';
export type { AnswerView, Chunk, ChunkType, FinishReason, ToolUse, Usage, WireChunk } from './chunk.ts';
export { chunkTypes, finishReasons, toolUse, usage, wireChunk } from './chunk.ts';
export type { GatewayConfig, NatsConfig } from './config.ts';
export { gatewayConfig, natsConfig, runtimeConfig } from './config.ts';
export type { ModelEventMessage, ModelEventType } from './event.ts';
export { modelEvent, modelEventTypes } from './event.ts';
export type { Failure, FailureCode, FailureDetails, FailureOf, TimeoutPhase } from './failure.ts';
export { failure, failureCodes, failureOf, failureSources, timeoutPhases } from './failure.ts';
export type {
  AskPoint,
  CallOutcome,
  HookAnswer,
  HookAnswerAt,
  HookAsk,
  HookAskAt,
  HookEventDict,
  HookPoint,
  HookReport,
} from './hook.ts';
export {
  askPoints,
  callOutcomes,
  hookActions,
  hookAnswer,
  hookAsk,
  hookEventDict,
  hookPoints,
  hookReport,
} from './hook.ts';
export type { AskedHookOptions, CallOptions, CloseOptions, ModelOptions } from './imodel.ts';
export { askedHookOptions, callOptions, endpointOptions, modelId, modelOptions, writtenOptions } from './imodel.ts';
export type { JournalEntry } from './journal.ts';
export { journalEntry, journalVersion } from './journal.ts';
export type { Price, PriceTable } from './prices.ts';
export { price, priceTable } from './prices.ts';
export type { ModelDict } from './snapshot.ts';
export { dictVersion, modelDict } from './snapshot.ts';
export type { ModelState } from './state.ts';
export { modelState } from './state.ts';
export type { ControlRequest, CtlRequest, StreamMessage } from './wire.ts';
export {
  callId,
  callRequest,
  cancelReply,
  cancelRequest,
  controlRequest,
  ctlRequest,
  failureReply,
  resumeReply,
  resumeRequest,
  streamMessage,
  streamReply,
} from './wire.ts';
