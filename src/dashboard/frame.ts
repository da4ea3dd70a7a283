import type { ModelEventMessage } from '../../schemas/event.ts';
import type { CallView, NodeState } from '../../schemas/state.ts';

/** One iModel in one process. */
export interface SeenModel {
  /** `<id>@<node>`: the same id may be served by several processes. */
  readonly key: string;
  readonly state: Omit<NodeState, 'calls'>;
  /** Requests to it that wait for the limits of their callers, at this gateway. */
  readonly held?: number;
}

/** Where a call stands, or how it ended. What is held waits for the limits of its caller, and its iModel has not heard of it. */
export type CallStage = 'held' | CallView['stage'] | NonNullable<ModelEventMessage['status']>;

/** One call, as far as it was seen. Times are epoch milliseconds. */
export interface SeenCall {
  /** `<id of the iModel>/<id of the call>`. */
  readonly key: string;
  readonly model: string;
  readonly id: string;
  /** Which process has it; absent until that process was asked. */
  node?: string;
  caller?: string;
  stage: CallStage;
  position?: number;
  streaming?: boolean;
  queued_at: number;
  started_at?: number;
  first_at?: number;
  ended_at?: number;
  attempts?: number;
  chunks: number;
  /** Chunks a second, lately. */
  rate?: number;
  tokens?: number;
  cost_usd?: number;
  /** Why it did not complete. */
  problem?: string;
}

/** What happened to one iModel in one stretch of time; see {@link slotMs}. */
export interface TimelineSlot {
  readonly model: string;
  /** When the stretch began, epoch milliseconds. */
  readonly at: number;
  starts: number;
  ends: number;
  /** Calls that failed, were aborted or were refused. */
  errors: number;
  /** The longest wait of a call that started, in milliseconds. */
  wait_ms: number;
}

/** How long a stretch of the timeline is, in milliseconds. */
export const slotMs = 2_000;

/** How many of them are kept: five minutes. */
export const slotCount = 150;

/** What has changed since the frame before. */
export interface Frame {
  /** When it was made, by the clock of the one who watches; epoch milliseconds. */
  readonly at: number;
  /** True for the first, and for one that takes the place of frames that could not be sent: all that was known before is void. */
  readonly whole: boolean;
  readonly models: readonly SeenModel[];
  /** Keys of iModels that answer no more. */
  readonly gone: readonly string[];
  readonly calls: readonly SeenCall[];
  /** Keys of calls that are kept no more. */
  readonly removed: readonly string[];
  readonly timeline: readonly TimelineSlot[];
}
