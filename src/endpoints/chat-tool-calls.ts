import type { ChatMessage } from '../../schemas/requests/openai-chat.ts';
import { record } from '../http/vendor-error.ts';

/** A tool call of an earlier turn. */
export type ChatToolCall = NonNullable<ChatMessage['tool_calls']>[number];

/** The tools an earlier turn asked for; a call in the older form (`function_call`) has its name for an id, as its result has. */
export function toolCallsOf(message: ChatMessage): readonly ChatToolCall[] {
  const calls = message.tool_calls ?? [];
  const legacy = record(message.function_call);
  if (calls.length > 0 || legacy === undefined) return calls;
  const name = String(legacy.name ?? '');
  return [{ id: name, type: 'function', function: { name, arguments: String(legacy.arguments ?? '') } }];
}
