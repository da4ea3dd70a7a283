import { IModelError, printValue } from '../errors.ts';
import type { Fields } from './endpoint.ts';

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

function refuse(field: string, value: unknown, wanted: string): never {
  throw IModelError.of('invalid_request', `Expected \`${field}\` to be ${wanted}, got ${printValue(value)}`, {
    path: field,
  });
}
