import type { AnswerView, FinishReason, ToolUse } from '../../schemas/chunk.ts';
import { readVendorError, record, type VendorError } from '../http/vendor-error.ts';
import { parseToolArguments } from './answer.ts';
import type { Fields } from './endpoint.ts';
import { readUsage } from './openai-usage.ts';
import { ReasoningSteps } from './reasoning-steps.ts';
import { splitThinkPrefix } from './think-prefix.ts';

/**
 * Reads a chat completion.
 *
 * @param thinkTag - The tag of reasoning that may stand in front of the text; none when undefined.
 */
export function chatView(body: unknown, thinkTag: string | undefined): AnswerView {
  const reply = record(body);
  const choice = record(Array.isArray(reply?.choices) ? reply.choices[0] : undefined);
  const message = record(choice?.message);
  const plain = contentText(message?.content);
  const refusal = typeof message?.refusal === 'string' ? message.refusal : '';
  const { thinking, text } = thinkTag === undefined ? { thinking: '', text: plain } : splitThinkPrefix(plain, thinkTag);
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

/** What must be known of a vendor to find its errors; see `ChatReadingOptions`. */
interface ChatFaultOptions {
  readonly failingReasons?: readonly string[];
  readonly errorText?: (body: unknown) => string | undefined;
}

/** An error with the vendor's better words for it, if there are any. */
export function reworded(error: VendorError, body: unknown, { errorText }: ChatFaultOptions): VendorError {
  const message = errorText?.(body);
  return message === undefined ? error : { ...error, message };
}

/**
 * The error in a completion with a success status: at the top, inside the first choice, or as a finish reason that means failure.
 *
 * @param options - Such finish reasons, and how the vendor words its errors.
 */
export function chatFault(body: unknown, options: ChatFaultOptions): VendorError | null {
  const reply = record(Array.isArray(body) ? body[0] : body);
  const choice = record(Array.isArray(reply?.choices) ? reply.choices[0] : undefined);
  const isFault = reply?.error !== undefined && reply.error !== null;
  if (isFault || (reply?.object === 'error' && choice === undefined))
    return reworded(readVendorError(body, JSON.stringify(body)), body, options);
  if (choice?.error !== undefined && choice.error !== null) return readVendorError(choice, JSON.stringify(choice));
  const reason = choice?.finish_reason;
  return typeof reason === 'string' && options.failingReasons?.includes(reason) === true
    ? failingReasonFault(reason)
    : null;
}

/** The error that a finish reason stands for: the model stopped for want of something at the vendor's. */
export function failingReasonFault(reason: string): VendorError {
  return { status: 503, message: `The model stopped: ${reason}`, code: reason };
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

/** Reasoning by its names: `reasoning_content` (DeepSeek, vLLM), `reasoning` (Groq, Ollama, OpenRouter), `reasoning_steps` (Perplexity). */
function thinkingText(message: Fields | undefined): string {
  if (typeof message?.reasoning_content === 'string') return message.reasoning_content;
  if (typeof message?.reasoning === 'string') return message.reasoning;
  const steps = message?.reasoning_steps;
  return Array.isArray(steps) ? new ReasoningSteps().add(steps).join('\n') : '';
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
