import type { AnswerView, FinishReason, ToolUse, Usage } from '../../schemas/chunk.ts';
import { record } from '../http/vendor-error.ts';
import { count } from './openai-usage.ts';

/** Reads a message. Texts are joined; tools the vendor ran itself are no tool uses. */
export function messageView(body: unknown): AnswerView {
  const message = record(body);
  const blocks: readonly unknown[] = Array.isArray(message?.content) ? message.content : [];
  let text = '';
  let thinking = '';
  const toolUses: ToolUse[] = [];
  for (const value of blocks) {
    const block = record(value);
    if (block?.type === 'text') text += String(block.text ?? '');
    else if (block?.type === 'thinking') thinking += String(block.thinking ?? '');
    else if (block?.type === 'tool_use') {
      toolUses.push({ id: String(block.id ?? ''), name: String(block.name ?? ''), input: { ...record(block.input) } });
    }
  }
  return {
    text,
    thinking,
    toolUses,
    finishReason: anthropicFinishReason(message?.stop_reason),
    usage: anthropicUsage(message?.usage),
  };
}

/** A stop reason in the shared vocabulary; null while there is none. */
export function anthropicFinishReason(reason: unknown): FinishReason | null {
  switch (reason) {
    case null:
    case undefined:
      return null;
    case 'end_turn':
    case 'stop_sequence':
      return 'stop';
    case 'max_tokens':
    case 'model_context_window_exceeded':
      return 'length';
    case 'tool_use':
      return 'tool_calls';
    case 'pause_turn':
      return 'pause';
    case 'refusal':
      return 'refusal';
    default:
      return 'other';
  }
}

/**
 * Reads a usage report. The vendor counts cached prompt tokens beside `input_tokens`; here they are part of them.
 *
 * @returns Null when there is no report.
 */
export function anthropicUsage(value: unknown): Usage | null {
  const raw = record(value);
  if (raw === undefined) return null;
  const written = count(raw.cache_creation_input_tokens);
  const cached = count(raw.cache_read_input_tokens);
  const reasoning = count(record(raw.output_tokens_details)?.thinking_tokens);
  const inputTokens = (count(raw.input_tokens) ?? 0) + (written ?? 0) + (cached ?? 0);
  const outputTokens = count(raw.output_tokens) ?? 0;
  return {
    inputTokens,
    outputTokens,
    totalTokens: inputTokens + outputTokens,
    ...(cached === undefined ? {} : { cachedInputTokens: cached }),
    ...(written === undefined ? {} : { cacheWriteTokens: written }),
    ...(reasoning === undefined ? {} : { reasoningTokens: reasoning }),
    raw: value,
  };
}
