import type { Chunk } from '../../schemas/chunk.ts';
import type { HookPoint } from '../../schemas/hook.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';

/** What a hook is told beside its subject: whether its failure ends the call, and the parameters of the call. */
export interface HookContext {
  /** Whether a failure of this hook ends the call; from the call, else from the iModel's `exitHook`. */
  readonly exit: boolean;
  /** Aborts when the hook's time is up or its call is ended. What the hook still does then is not waited for. */
  readonly signal: AbortSignal;
  /** The parameters given with the call. */
  readonly [parameter: string]: unknown;
}

/** The class of the call that is about to be made. */
export type CallClass = typeof ApiCalling;

/**
 * Runs before a call is made. A call of the right class that it returns takes the place of the one that would have been made; everything else
 * is ignored. A throw refuses the call if `exit` is set, and is ignored otherwise.
 */
export type PreEventCreateHook = (callClass: CallClass, context: HookContext) => unknown;

/** Runs after admission, before the request is sent. A throw refuses the call: nothing is sent. */
export type PreInvocationHook = (call: ApiCalling, context: HookContext) => unknown;

/**
 * Runs once, however a call ends whose pre hook has passed. Response, error and `outcome` can be read from the call. A throw is recorded in
 * `metadata.hook_errors`; with `exit` set a completed call then fails, and keeps its response.
 */
export type PostInvocationHook = (call: ApiCalling, context: HookContext) => unknown;

/** A class of chunks, a class's name, or a chunk's `type`. */
export type ChunkKey = string | (abstract new (...args: never[]) => unknown);

/**
 * Sees each chunk of its kind before the reader does. What it returns takes the chunk's place; nothing, null and errors leave the chunk as it
 * is; {@link DROP} takes it out. A throw ends the stream if `exit` is set, and leaves the chunk as it is otherwise.
 */
export type ChunkHandler = (
  call: ApiCalling,
  key: ChunkKey,
  chunk: Chunk,
  context: Omit<HookContext, 'signal'>,
) => unknown;

/** The hooks by their point. */
export interface Hooks {
  readonly pre_event_create: PreEventCreateHook;
  readonly pre_invocation: PreInvocationHook;
  readonly post_invocation: PostInvocationHook;
}

/** What a chunk handler returns to take its chunk out of the stream. */
export const DROP: unique symbol = Symbol.for('imodel.drop');

/** The points under the names that the reference gives them. */
export const HookEventTypes = {
  PreEventCreate: 'pre_event_create',
  PreInvocation: 'pre_invocation',
  PostInvocation: 'post_invocation',
} as const satisfies Record<string, HookPoint>;

/** Seconds a hook has unless its call says otherwise. */
export const hookTimeouts: Readonly<Record<HookPoint, number>> = {
  pre_event_create: 10,
  pre_invocation: 30,
  post_invocation: 30,
};
