import type { FinishReason, Usage } from '../../schemas/chunk.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { record } from '../http/vendor-error.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';
import { nameOf } from './chat-answer.ts';
import type { AnswerContext } from './dialect.ts';

/**
 * The answer to a one-shot request of Anthropic's protocol. What a model of Anthropic's answered is handed on untouched.
 *
 * @see {@link https://docs.claude.com/en/api/messages} (read 2026-11)
 */
export function writeMessage(call: ApiCalling, { target, callId }: AnswerContext): unknown {
  const vendor = record(call.response);
  if (target.family === 'messages' && Array.isArray(vendor?.content)) return vendor;
  const toolUses = target.family === 'agent' ? [] : call.toolUses;
  return {
    id: `msg_${callId.replaceAll('-', '')}`,
    type: 'message',
    role: 'assistant',
    model: typeof vendor?.model === 'string' ? vendor.model : nameOf(target.model),
    content: [
      // Only Anthropic signs its reasoning; an empty signature says that there is none.
      ...(call.thinking === '' ? [] : [{ type: 'thinking', thinking: call.thinking, signature: '' }]),
      ...(call.text === '' ? [] : [{ type: 'text', text: call.text }]),
      ...toolUses.map(({ id, name, input }) => ({ type: 'tool_use', id, name, input })),
    ],
    stop_reason: stopReason(call.finishReason, toolUses.length > 0),
    stop_sequence: null,
    usage: messagesUsage(call.usage),
  };
}

/** A finish reason in Anthropic's words. */
export function stopReason(reason: FinishReason | null, callsTools: boolean): string {
  switch (reason) {
    case 'length':
      return 'max_tokens';
    case 'refusal':
    case 'content_filter':
      return 'refusal';
    case 'pause':
      return 'pause_turn';
    default:
      return callsTools ? 'tool_use' : 'end_turn';
  }
}

/** A usage report in Anthropic's words, which count cached tokens beside the others; zeros where the vendor reported none. */
export function messagesUsage(usage: Usage | null): Fields {
  const cached = usage?.cachedInputTokens ?? 0;
  const written = usage?.cacheWriteTokens ?? 0;
  return {
    input_tokens: Math.max(0, (usage?.inputTokens ?? 0) - cached - written),
    cache_creation_input_tokens: written,
    cache_read_input_tokens: cached,
    output_tokens: usage?.outputTokens ?? 0,
  };
}
