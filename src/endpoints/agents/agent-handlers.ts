import { IModelError, printValue } from '../../errors.ts';
import type { Fields } from '../endpoint.ts';

/** Names of the callbacks that see what an agent does, the same for every agent. */
export const agentHandlerNames = [
  'on_system',
  'on_thinking',
  'on_text',
  'on_tool_use',
  'on_tool_result',
  'on_final',
  'on_input',
] as const;

/** See {@link agentHandlerNames}. */
export type AgentHandlerName = (typeof agentHandlerNames)[number];

/**
 * Callbacks of one call. They run one after the other in the order of what they hear, and the program is read no further while one is
 * pending. One that throws or rejects fails the call and stops the program.
 *
 * They get: the program's own event (`on_system`); the text (`on_thinking`, `on_text`); `{ id, name, input }`; `{ tool_use_id, content, is_error }`;
 * and at the end, whatever it was, the response object (`on_final`). `on_input` gets `{ id, prompt }` where an agent asks a human, and returns
 * the answer.
 */
export type AgentHandlers = Readonly<Partial<Record<AgentHandlerName, (value: unknown) => unknown>>>;

/**
 * Puts the handlers of a call over those of its endpoint.
 *
 * @param option - Name of the option that holds a whole set, such as `claude_handlers`.
 * @throws {@link IModelError} `invalid_request` for an unknown name or a value that is no function.
 */
export function readHandlers(option: string, values: Fields, stored: AgentHandlers): AgentHandlers {
  const set = values[option];
  if (set !== undefined && set !== null && typeof set !== 'object') refuse(option, set, 'an object of functions');
  const merged: Partial<Record<AgentHandlerName, (value: unknown) => unknown>> = { ...stored };
  for (const [name, handler] of [...Object.entries(set ?? {}), ...Object.entries(values)]) {
    if (name === option) continue;
    const known = agentHandlerNames.find((candidate) => candidate === name);
    if (known === undefined) {
      if (set !== undefined && set !== null && name in set)
        refuse(`${option}.${name}`, handler, `one of ${agentHandlerNames.join(', ')}`);
      continue;
    }
    if (handler === undefined || handler === null) continue;
    if (typeof handler !== 'function') refuse(name, handler, 'a function');
    merged[known] = handler as (value: unknown) => unknown;
  }
  return merged;
}

/** Calls the handlers of one run, each after the one before it is done. */
export class HandlerQueue {
  readonly #handlers: AgentHandlers;
  /** What is under way; null when nothing is. */
  #pending: Promise<void> | null = null;

  constructor(handlers: AgentHandlers) {
    this.#handlers = handlers;
  }

  /** Whether no handler is under way. */
  get isIdle(): boolean {
    return this.#pending === null;
  }

  /** Calls a handler, at once when none is under way. What it throws comes out here or of {@link settled}. */
  call(name: AgentHandlerName, value: unknown): void {
    const handler = this.#handlers[name];
    if (handler === undefined) return;
    if (this.#pending !== null) {
      this.#pending = this.#pending.then(() => handler(value)).then(() => undefined);
      return;
    }
    const outcome = handler(value);
    if (outcome instanceof Promise) this.#pending = outcome.then(() => undefined);
  }

  /** Resolves when all handlers that were called are done, and rejects with what one of them threw. */
  async settled(): Promise<void> {
    const pending = this.#pending;
    this.#pending = null;
    await pending;
  }
}

function refuse(field: string, value: unknown, wanted: string): never {
  throw IModelError.of('invalid_request', `Expected \`${field}\` to be ${wanted}, got ${printValue(value)}`, {
    path: field,
  });
}
