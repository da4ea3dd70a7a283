/**
 * iModels: actors that own the calls of one language model each, in this process or on a bus.
 *
 * @example
 * ```ts
 * import { iModel } from 'imodel';
 * await using model = new iModel({ model: 'openai/gpt-4o-mini', limitRequests: 100 });
 * const call = await model.invoke({ messages: [{ role: 'user', content: 'hello' }] });
 * console.log(call.text);
 * ```
 * @packageDocumentation
 */

export type { ReplayedState } from '../actors/replay.ts';
export type { CallDict, CallStatus } from '../schemas/call.ts';
export type { AnswerView, Chunk, ChunkType, FinishReason, ToolUse, Usage } from '../schemas/chunk.ts';
export type { ModelEventMessage, ModelEventType } from '../schemas/event.ts';
export type { CallEnding, CallExplanation, CallPhase, CallPhaseName } from '../schemas/explanation.ts';
export type { Failure, FailureCode } from '../schemas/failure.ts';
export type {
  AskPoint,
  CallOutcome,
  HookAnswer,
  HookAnswerAt,
  HookAsk,
  HookAskAt,
  HookPoint,
} from '../schemas/hook.ts';
export type { CallOptions, CloseOptions } from '../schemas/imodel.ts';
export type { JournalEntry } from '../schemas/journal.ts';
export type { Price, PriceTable } from '../schemas/prices.ts';
export type { ModelDict } from '../schemas/snapshot.ts';
export type { ModelState } from '../schemas/state.ts';
export type { ControlRequest } from '../schemas/wire.ts';
export type {
  Bus,
  BusOptions,
  BusStatus,
  Message,
  MessageHandler,
  PublishOptions,
  RequestOptions,
  SubscribeOptions,
  Subscription,
} from './bus/bus.ts';
export { createMemoryBus } from './bus/memory.ts';
export type { NatsBus, NatsOptions } from './bus/nats.ts';
export { connectNats } from './bus/nats.ts';
export { subjects } from './bus/subjects.ts';
export type {
  ChunkSink,
  Endpoint,
  EndpointConfig,
  EndpointJob,
  EndpointReply,
  Fields,
  JobTrace,
} from './endpoints/endpoint.ts';
export { IModelError } from './errors.ts';
export type { Gateway, GatewayHost, GatewayOptions } from './gateway/gateway.ts';
export { startGateway } from './gateway/gateway.ts';
export type { AuditLog, AuditLogOptions } from './hooks/audit.ts';
export { createAuditLog } from './hooks/audit.ts';
export type { AuditRecord, AuditSink, AuditStreamOptions } from './hooks/audit-sinks.ts';
export { auditFile, auditStream } from './hooks/audit-sinks.ts';
export type { Budget, BudgetOptions } from './hooks/budget.ts';
export { createBudget } from './hooks/budget.ts';
export type { CallCache, CallCacheOptions } from './hooks/cache.ts';
export { createCallCache } from './hooks/cache.ts';
export type { StreamingProcessFunc } from './hooks/chunk-handling.ts';
export type {
  CallClass,
  ChunkHandler,
  ChunkKey,
  HookContext,
  PostInvocationHook,
  PreEventCreateHook,
  PreInvocationHook,
} from './hooks/hook.ts';
export { DROP, HookEventTypes } from './hooks/hook.ts';
export type { EventLog, EventLogOptions } from './hooks/log.ts';
export { createEventLog } from './hooks/log.ts';
export type { OnHookHandler, OnHookOptions } from './hooks/on-hook.ts';
export { onHook } from './hooks/on-hook.ts';
export type { ChunkHandlerTable, HookRegistryOptions, HookTable } from './hooks/registry.ts';
export { HookRegistry } from './hooks/registry.ts';
export { iModel } from './imodel.ts';
export type { CopyOptions, IModelFunctions, IModelOptions } from './imodel-options.ts';
export type { EndpointOptions } from './providers/endpoint-options.ts';
export type { ProviderName } from './providers/index.ts';
export type { EndpointListing, ListEndpointsOptions } from './providers/list.ts';
export { listEndpoints } from './providers/list.ts';
export { matchEndpoint } from './providers/match.ts';
export { ApiCalling } from './runtime/calls/api-calling.ts';
export type { CallTiming } from './runtime/calls/call-dict.ts';
export type { ModelStream } from './runtime/calls/model-stream.ts';
export { readJournal } from './runtime/journal/read-journal.ts';
export type { ReplayedModel, ReplayOptions } from './runtime/journal/replay.ts';
export { explain, replay } from './runtime/journal/replay.ts';
export { loadConfig } from './runtime/load-config.ts';
export { loadPrices } from './runtime/load-prices.ts';
export type { ShutdownOptions, ShutdownReport } from './runtime/manager.ts';
export { iModelManager } from './runtime/manager.ts';
export type { RemoteCall } from './runtime/remote/remote-call.ts';
export type { Connection, RemoteModel, RemoteStreamOptions } from './runtime/remote/remote-model.ts';
export { connect } from './runtime/remote/remote-model.ts';
export type { RemoteStream } from './runtime/remote/remote-stream.ts';
export type { Runtime, RuntimeConfig, RuntimeOptions } from './runtime/runtime.ts';
export { createRuntime } from './runtime/runtime.ts';
export type { ServedModel } from './runtime/serving/serve.ts';
export type { KeptPart } from './runtime/state/part-keeper.ts';
export type { FromDictOptions } from './runtime/state/read-model.ts';
export type { ToDictOptions } from './runtime/state/write-model.ts';
export type { WindowQuestion } from './tokens/context-windows.ts';
export { contextWindowOf } from './tokens/context-windows.ts';
export { loadTokenizer } from './tokens/encoding.ts';
export { estimateTokens } from './tokens/estimate.ts';
export type { ModelTable } from './tokens/model-table.ts';
export { TokenBudget } from './tokens/token-budget.ts';
