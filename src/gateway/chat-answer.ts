import type { FinishReason, ToolUse, Usage } from '../../schemas/chunk.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { record } from '../http/vendor-error.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';
import { saidBy } from './declined.ts';
import type { AnswerContext } from './dialect.ts';

/**
 * The answer to a one-shot chat request. What a vendor of the same protocol answered is handed on untouched, with what it left out.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/chat/object} (read 2026-11)
 */
export function writeCompletion(call: ApiCalling, { target, callId, createdAt }: AnswerContext): unknown {
  const frame = {
    id: `chatcmpl-${callId}`,
    object: 'chat.completion',
    created: createdAt,
    model: nameOf(target.model),
  };
  const vendor = record(call.response);
  if (target.family === 'chat' && Array.isArray(vendor?.choices)) return addPresent(frame, vendor);
  const toolUses = target.family === 'agent' ? [] : call.toolUses;
  const { text, declined } = saidBy(call);
  const message = {
    role: 'assistant',
    content: text === '' && (toolUses.length > 0 || declined !== '') ? null : text,
    refusal: declined === '' ? null : declined,
    ...(call.thinking === '' ? {} : { reasoning_content: call.thinking }),
    ...(toolUses.length === 0 ? {} : { tool_calls: toolUses.map(writeToolCall) }),
  };
  // Words of refusal are an answer, and a whole one.
  const reason = declined !== '' && call.finishReason === 'refusal' ? 'stop' : call.finishReason;
  const finish = chatFinish(reason, toolUses.length > 0);
  return {
    ...frame,
    ...(typeof vendor?.model === 'string' ? { model: vendor.model } : {}),
    choices: [{ index: 0, message, logprobs: null, finish_reason: finish }],
    ...(call.usage === null ? {} : { usage: chatUsage(call.usage) }),
  };
}

/** What an iModel is called where its vendor named no model: the vendor's name of it, else its id. */
export function nameOf({ modelName, id }: { readonly modelName: string; readonly id: string }): string {
  return modelName === '' ? id : modelName;
}

/** A finish reason in chat's words, which are fewer than ours. */
export function chatFinish(reason: FinishReason | null, callsTools: boolean): string {
  switch (reason) {
    case 'length':
    case 'content_filter':
      return reason;
    case 'tool_calls':
      // An agent ends with the tools it ran itself: for its caller that is the end.
      return callsTools ? reason : 'stop';
    case 'refusal':
      return 'content_filter';
    default:
      return callsTools ? 'tool_calls' : 'stop';
  }
}

/** A usage report in chat's words. */
export function chatUsage({
  inputTokens,
  outputTokens,
  totalTokens,
  cachedInputTokens,
  reasoningTokens,
}: Usage): Fields {
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: totalTokens,
    ...(cachedInputTokens === undefined ? {} : { prompt_tokens_details: { cached_tokens: cachedInputTokens } }),
    ...(reasoningTokens === undefined ? {} : { completion_tokens_details: { reasoning_tokens: reasoningTokens } }),
  };
}

function writeToolCall({ id, name, input, rawArguments }: ToolUse): Fields {
  return { id, type: 'function', function: { name, arguments: rawArguments ?? JSON.stringify(input) } };
}

function addPresent(to: Record<string, unknown>, fields: Fields): Fields {
  for (const name of Object.keys(fields)) {
    const value = fields[name];
    if (value !== null && value !== undefined) to[name] = value;
  }
  return to;
}
