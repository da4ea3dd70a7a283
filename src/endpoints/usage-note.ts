import { record } from '../http/vendor-error.ts';
import { contextWindowOf } from '../tokens/context-windows.ts';
import { estimateTokens } from '../tokens/estimate.ts';
import type { EndpointConfig, Fields } from './endpoint.ts';

const thousands = new Intl.NumberFormat('en-US');

/**
 * Tells the model how much of its context window a request takes, in a line at the end of the last message. The caller's messages are not
 * changed.
 *
 * @param request - A checked request.
 */
export function withUsageNote(request: Fields, { provider, contextWindow }: EndpointConfig): Fields {
  const { messages, model } = request;
  if (!Array.isArray(messages) || messages.length === 0) return request;
  const used = thousands.format(estimateTokens({ messages, model }));
  const limit = contextWindowOf(String(model ?? ''), { provider, override: contextWindow });
  const note = `\n\nEstimated Current Token Usage: ${used}/${thousands.format(limit)}`;
  const last = record(messages.at(-1)) ?? {};
  return { ...request, messages: [...messages.slice(0, -1), { ...last, content: noted(last.content, note) }] };
}

/** Content with the note behind its text, or behind the last of its texts. */
function noted(content: unknown, note: string): unknown {
  if (typeof content === 'string') return content + note;
  if (Array.isArray(content)) {
    const at = content.findLastIndex((part) => typeof part === 'string' || typeof record(part)?.text === 'string');
    return at === -1 ? content : content.with(at, noted(content[at], note));
  }
  const part = record(content);
  return typeof part?.text === 'string' ? { ...part, text: part.text + note } : content;
}
