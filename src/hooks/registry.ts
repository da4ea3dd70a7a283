import { type HookPoint, hookPoints } from '../../schemas/hook.ts';
import { toSnakeCase } from '../../schemas/imodel.ts';
import { IModelError, printValue } from '../errors.ts';
import type {
  ChunkHandler,
  ChunkKey,
  Hooks,
  PostInvocationHook,
  PreEventCreateHook,
  PreInvocationHook,
} from './hook.ts';

const aliases: ReadonlyMap<string, HookPoint> = new Map([
  ['pre_event_create_hook', 'pre_event_create'],
  ['pre_invoke', 'pre_invocation'],
  ['post_invoke', 'post_invocation'],
]);

/** Hooks by their point, an alias of it (`pre_invoke`, `post_invoke`, `pre_event_create_hook`), or either in camelCase. */
export interface HookTable {
  readonly pre_event_create?: PreEventCreateHook | undefined;
  readonly pre_event_create_hook?: PreEventCreateHook | undefined;
  readonly preEventCreate?: PreEventCreateHook | undefined;
  readonly pre_invocation?: PreInvocationHook | undefined;
  readonly pre_invoke?: PreInvocationHook | undefined;
  readonly preInvocation?: PreInvocationHook | undefined;
  readonly post_invocation?: PostInvocationHook | undefined;
  readonly post_invoke?: PostInvocationHook | undefined;
  readonly postInvocation?: PostInvocationHook | undefined;
}

/** Chunk handlers by the name of a class or the type of a chunk; classes themselves need a map. */
export type ChunkHandlerTable = ReadonlyMap<ChunkKey, ChunkHandler> | Readonly<Record<string, ChunkHandler>>;

/** What a registry is made from: hooks side by side with `streamHandlers`, or hooks under `hooks`. */
export interface HookRegistryOptions extends HookTable {
  readonly hooks?: HookTable | undefined;
  readonly streamHandlers?: ChunkHandlerTable | undefined;
  /** As `streamHandlers`, spelled as in the reference. */
  readonly stream_handlers?: ChunkHandlerTable | undefined;
}

/** What is registered at one moment. Never changed: a call keeps the one it began with. */
export interface RegisteredHooks {
  readonly hooks: Partial<Hooks>;
  readonly handlers: ReadonlyMap<ChunkKey, ChunkHandler>;
}

const nothing: RegisteredHooks = { hooks: {}, handlers: new Map() };

/**
 * The hooks of one iModel or of several. One hook for each point, one handler for each kind of chunk. What is registered later holds for
 * later calls; calls that have begun keep what they began with.
 *
 * @example
 * ```ts
 * const hooks = new HookRegistry({ post_invocation: (call) => console.log(call.outcome, call.usage) });
 * const model = new iModel({ model: 'openai/gpt-4o', hookRegistry: hooks });
 * ```
 */
export class HookRegistry {
  #registered: RegisteredHooks = nothing;

  /** @throws IModelError `config` for an unknown point, something that is no function, or a chunk key that is neither text nor class. */
  constructor(options: HookRegistryOptions = {}) {
    const { hooks, streamHandlers, stream_handlers: writtenHandlers, ...flat } = requireObject(options, 'hookRegistry');
    this.#addHooks(flat, 'hookRegistry');
    if (hooks !== undefined) this.#addHooks(requireObject(hooks, 'hooks'), 'hooks');
    for (const table of [streamHandlers, writtenHandlers]) if (table !== undefined) this.#addHandlers(table);
  }

  /** What is registered now. */
  get registered(): RegisteredHooks {
    return this.#registered;
  }

  /** True while there is neither a hook nor a handler. */
  get isEmpty(): boolean {
    return this.#registered === nothing;
  }

  /** Sets the hook of a point, for later calls. One that was there is replaced, with a warning of the process. */
  register<P extends HookPoint>(point: P, hook: Hooks[P]): void {
    if (this.#registered.hooks[point] !== undefined) warnOf(`The hook of ${point} was replaced`);
    this.#set(requirePoint(point, 'point'), hook);
  }

  /** Takes the hook of a point away. */
  unregister(point: HookPoint): void {
    const { [requirePoint(point, 'point')]: _gone, ...hooks } = this.#registered.hooks;
    this.#replace({ ...this.#registered, hooks });
  }

  /** Sets the handler of a kind of chunks. One that was there is replaced, with a warning of the process. */
  handle(key: ChunkKey, handler: ChunkHandler): void {
    if (this.#registered.handlers.has(key)) warnOf(`The chunk handler of ${nameOf(key)} was replaced`);
    this.#addHandlers(new Map([[key, handler]]));
  }

  /** Takes the handler of a kind of chunks away. */
  unhandle(key: ChunkKey): void {
    const handlers = new Map(this.#registered.handlers);
    handlers.delete(key);
    this.#replace({ ...this.#registered, handlers });
  }

  /** Registers what runs before a call is made, and returns it: usable as a decorator. */
  readonly preEventCreateHook = <H extends PreEventCreateHook>(hook: H, _context?: unknown): H => {
    this.register('pre_event_create', hook);
    return hook;
  };

  /** Registers what runs before a request is sent, and returns it: usable as a decorator. */
  readonly preInvoke = <H extends PreInvocationHook>(hook: H, _context?: unknown): H => {
    this.register('pre_invocation', hook);
    return hook;
  };

  /** Registers what runs when a call is over, and returns it: usable as a decorator. */
  readonly postInvoke = <H extends PostInvocationHook>(hook: H, _context?: unknown): H => {
    this.register('post_invocation', hook);
    return hook;
  };

  #addHooks(table: object, path: string): void {
    for (const [name, hook] of Object.entries(table)) {
      if (hook === undefined) continue;
      const point = requirePoint(name, path);
      if (this.#registered.hooks[point] !== undefined) {
        throw config(`${path}.${name}`, hook, `Expected one hook for ${point}, got another under \`${name}\``);
      }
      this.#set(point, hook, `${path}.${name}`);
    }
  }

  #set(point: HookPoint, hook: unknown, path: string = point): void {
    if (typeof hook !== 'function') throw config(path, hook, `Expected \`${path}\` to be a function`);
    this.#replace({ ...this.#registered, hooks: { ...this.#registered.hooks, [point]: hook } });
  }

  #addHandlers(table: ChunkHandlerTable): void {
    const entries = table instanceof Map ? [...table] : Object.entries(requireObject(table, 'streamHandlers'));
    const handlers = new Map(this.#registered.handlers);
    for (const [key, handler] of entries) {
      if (typeof key !== 'string' && typeof key !== 'function') {
        throw config('streamHandlers', key, 'Expected a key of `streamHandlers` to be a text or a class');
      }
      const path = `streamHandlers.${nameOf(key)}`;
      if (typeof handler !== 'function') throw config(path, handler, `Expected \`${path}\` to be a function`);
      handlers.set(key, handler);
    }
    this.#replace({ ...this.#registered, handlers });
  }

  #replace(registered: RegisteredHooks): void {
    const isEmpty = registered.handlers.size === 0 && Object.keys(registered.hooks).length === 0;
    this.#registered = isEmpty ? nothing : registered;
  }
}

/** The handler of a chunk, and the key it stands under: by class, by the class's name, by the chunk's type. No inheritance. */
export function findHandler(
  handlers: ReadonlyMap<ChunkKey, ChunkHandler>,
  chunk: unknown,
): { readonly key: ChunkKey; readonly handler: ChunkHandler } | null {
  if (handlers.size === 0 || typeof chunk !== 'object' || chunk === null) return null;
  const { constructor: chunkClass, type } = chunk as { readonly constructor?: unknown; readonly type?: unknown };
  const isClass = typeof chunkClass === 'function';
  const keys = [isClass ? (chunkClass as unknown as ChunkKey) : null, isClass ? chunkClass.name : null, type];
  for (const key of keys) {
    const handler = handlers.get(key as ChunkKey);
    if (handler !== undefined) return { key: key as ChunkKey, handler };
  }
  return null;
}

/** A chunk key as text. */
export function nameOf(key: ChunkKey): string {
  return typeof key === 'string' ? key : key.name;
}

/** A registry as it was given, or one made of its parts. */
export function asRegistry(given: HookRegistry | HookRegistryOptions | null | undefined): HookRegistry {
  return given instanceof HookRegistry ? given : new HookRegistry(given ?? {});
}

function requirePoint(name: string, path: string): HookPoint {
  const written = toSnakeCase(name);
  const point = aliases.get(written) ?? hookPoints.find((known) => known === written);
  if (point !== undefined) return point;
  const known = [...hookPoints, ...aliases.keys()].join(', ');
  throw config(path, name, `Expected a name in \`${path}\` to be one of ${known}`);
}

function requireObject<T extends object>(value: T, path: string): T {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw config(path, value, `Expected \`${path}\` to be an object`);
}

function config(field: string, value: unknown, message: string): IModelError {
  const got = printValue(value);
  return IModelError.of('config', `${message}, got ${got}`, { field, value: got });
}

function warnOf(message: string): void {
  process.emitWarning(message, 'IModelWarning');
}
