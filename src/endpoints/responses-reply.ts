import type { AnswerView, FinishReason, ToolUse } from '../../schemas/chunk.ts';
import { record } from '../http/vendor-error.ts';
import { parseToolArguments } from './answer.ts';
import type { Fields } from './endpoint.ts';
import { readUsage } from './openai-usage.ts';

/** Reads a response of the Responses API. */
export function responseView(body: unknown): AnswerView {
  const response = record(body);
  const items: readonly unknown[] = Array.isArray(response?.output) ? response.output : [];
  let text = '';
  let thinking = '';
  let refused = false;
  const toolUses: ToolUse[] = [];
  for (const value of items) {
    const item = record(value) ?? {};
    if (item.type === 'message') {
      for (const part of listOf(item.content)) {
        if (part.type === 'refusal') refused = true;
        text += String((part.type === 'refusal' ? part.refusal : part.text) ?? '');
      }
    } else if (item.type === 'reasoning') {
      thinking += [...listOf(item.summary), ...listOf(item.content)].map((part) => String(part.text ?? '')).join('');
    } else if (isClientCall(item)) {
      toolUses.push(toolUseOf(item));
    }
  }
  const reason = responseFinishReason(response, toolUses.length > 0);
  return {
    text,
    thinking,
    toolUses,
    finishReason: reason === 'stop' && refused ? 'refusal' : reason,
    usage: readUsage(response?.usage),
  };
}

/** Why a response ended; null while it has not (`queued`, `in_progress`). */
export function responseFinishReason(response: Fields | undefined, calledTools: boolean): FinishReason | null {
  switch (response?.status) {
    case 'completed':
      return calledTools ? 'tool_calls' : 'stop';
    case 'incomplete': {
      const reason = record(response.incomplete_details)?.reason;
      if (reason === 'max_output_tokens') return 'length';
      return reason === 'content_filter' ? 'content_filter' : 'other';
    }
    case 'failed':
      return 'error';
    case 'cancelled':
      return 'other';
    default:
      return null;
  }
}

/** True for calls that the caller has to answer. */
export function isClientCall(item: Fields): boolean {
  return item.type === 'function_call' || item.type === 'custom_tool_call';
}

/** Arguments of a call as JSON text; a custom tool's plain text becomes `{"input": …}`. */
export function callArguments(item: Fields): string {
  if (item.type === 'custom_tool_call') return JSON.stringify({ input: String(item.input ?? '') });
  return typeof item.arguments === 'string' ? item.arguments : '';
}

function toolUseOf(item: Fields): ToolUse {
  const raw = callArguments(item);
  const { input, error } = parseToolArguments(raw);
  return {
    id: String(item.call_id ?? item.id ?? ''),
    name: String(item.name ?? ''),
    input,
    ...(error === undefined ? {} : { rawArguments: raw }),
  };
}

function listOf(value: unknown): Fields[] {
  return Array.isArray(value) ? value.map((entry) => record(entry) ?? {}) : [];
}
