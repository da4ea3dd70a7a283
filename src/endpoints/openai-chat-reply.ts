import type { AnswerView, FinishReason, ToolUse } from '../../schemas/chunk.ts';
import { record } from '../http/vendor-error.ts';
import { parseToolArguments } from './answer.ts';
import type { Fields } from './endpoint.ts';
import { readUsage } from './openai-usage.ts';
import { splitThinkPrefix } from './think-prefix.ts';

/**
 * Reads a chat completion.
 *
 * @param thinkPrefix - Whether the text may begin with `<think>…</think>`.
 */
export function chatView(body: unknown, thinkPrefix: boolean): AnswerView {
  const reply = record(body);
  const choice = record(Array.isArray(reply?.choices) ? reply.choices[0] : undefined);
  const message = record(choice?.message);
  const plain = contentText(message?.content);
  const refusal = typeof message?.refusal === 'string' ? message.refusal : '';
  const { thinking, text } = thinkPrefix ? splitThinkPrefix(plain) : { thinking: '', text: plain };
  const toolUses = toolUsesOf(message);
  const reason = chatFinishReason(choice?.finish_reason);
  return {
    text: text === '' ? refusal : text,
    thinking: thinkingText(message) + thinking,
    toolUses,
    finishReason: reason !== 'stop' ? reason : toolUses.length > 0 ? 'tool_calls' : refusal !== '' ? 'refusal' : 'stop',
    usage: readUsage(reply?.usage) ?? readUsage(record(reply?.x_groq)?.usage),
  };
}

function toolUsesOf(message: Fields | undefined): ToolUse[] {
  const calls: unknown[] = Array.isArray(message?.tool_calls) ? message.tool_calls : [];
  const legacy = record(message?.function_call);
  const listed = calls.length === 0 && legacy !== undefined ? [{ function: legacy }] : calls;
  return listed.map((entry, index) => {
    const call = record(entry);
    const called = record(call?.function) ?? record(call?.custom);
    const raw = typeof called?.arguments === 'string' ? called.arguments : JSON.stringify(called?.arguments ?? {});
    const { input, error } = parseToolArguments(raw);
    return {
      id: typeof call?.id === 'string' && call.id !== '' ? call.id : `call_${index}`,
      name: typeof called?.name === 'string' ? called.name : '',
      input,
      ...(error === undefined ? {} : { rawArguments: raw }),
    };
  });
}

/** Content that is a text or a list of parts, as a text. */
export function contentText(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part) => (typeof part === 'string' ? part : String(record(part)?.text ?? ''))).join('');
}

/** Reasoning under either of its two names: `reasoning_content` (DeepSeek, vLLM) or `reasoning` (Groq, Ollama, OpenRouter). */
function thinkingText(message: Fields | undefined): string {
  if (typeof message?.reasoning_content === 'string') return message.reasoning_content;
  return typeof message?.reasoning === 'string' ? message.reasoning : '';
}

/** A chat finish reason in the shared vocabulary; null while there is none. */
export function chatFinishReason(reason: unknown): FinishReason | null {
  switch (reason) {
    case null:
    case undefined:
      return null;
    case 'stop':
    case 'length':
    case 'tool_calls':
    case 'content_filter':
    case 'error':
      return reason;
    case 'function_call':
      return 'tool_calls';
    default:
      return 'other';
  }
}
