import type { Fields } from '../endpoints/endpoint.ts';
import { IModelError, printValue } from '../errors.ts';
import { record } from '../http/vendor-error.ts';

/**
 * The turns of a conversation in Anthropic's form as OpenAI's chat protocol has them: tool uses become `tool_calls`, each tool result a turn of its own.
 * Earlier reasoning is left out: it is signed for Anthropic alone.
 *
 * @see {@link https://docs.claude.com/en/api/messages} for the kinds of blocks (read 2026-11)
 * @throws IModelError `invalid_request` for a block that has no counterpart.
 */
export function chatTurns(messages: readonly Fields[]): Fields[] {
  return messages.flatMap((message) => {
    const { content } = message;
    if (!Array.isArray(content)) return [message];
    const blocks = content.map((block: unknown) =>
      typeof block === 'string' ? { type: 'text', text: block } : (record(block) ?? {}),
    );
    return message.role === 'assistant' ? [assistantTurn(blocks)] : userTurns(String(message.role), blocks);
  });
}

/** The text of a prompt that is one text or a list of text blocks. */
export function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content
    .map((block: unknown) => (typeof block === 'string' ? block : String(record(block)?.text ?? '')))
    .filter((text) => text !== '')
    .join('\n\n');
}

function assistantTurn(blocks: readonly Fields[]): Fields {
  let text = '';
  const calls: Fields[] = [];
  for (const block of blocks) {
    switch (block.type) {
      case 'text':
        text += String(block.text ?? '');
        break;
      case 'tool_use':
        calls.push({
          id: String(block.id ?? ''),
          type: 'function',
          function: { name: String(block.name ?? ''), arguments: JSON.stringify(block.input ?? {}) },
        });
        break;
      case 'thinking':
      case 'redacted_thinking':
        break;
      default:
        throw unknownBlock(block);
    }
  }
  return {
    role: 'assistant',
    content: text === '' && calls.length > 0 ? null : text,
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
}

/** Results come first, since they answer the turn before; what was shown with them, and said beside them, follows as the user's. */
function userTurns(role: string, blocks: readonly Fields[]): Fields[] {
  const results: Fields[] = [];
  const parts: Fields[] = [];
  for (const block of blocks) {
    if (block.type !== 'tool_result') {
      parts.push(chatPart(block));
      continue;
    }
    const inner: readonly unknown[] = Array.isArray(block.content) ? block.content : [];
    results.push({ role: 'tool', tool_call_id: String(block.tool_use_id ?? ''), content: textOf(block.content) });
    for (const item of inner) {
      const shown = record(item);
      if (shown !== undefined && shown.type !== 'text') parts.push(chatPart(shown));
    }
  }
  return parts.length === 0 ? results : [...results, { role, content: parts }];
}

function chatPart(block: Fields): Fields {
  const source = record(block.source);
  switch (block.type) {
    case 'text':
      return { type: 'text', text: String(block.text ?? '') };
    case 'image':
      if (source?.type === 'base64') return imageOf(`data:${String(source.media_type)};base64,${String(source.data)}`);
      if (source?.type === 'url') return imageOf(String(source.url));
      break;
    case 'document':
      if (source?.type === 'text') return { type: 'text', text: String(source.data ?? '') };
      if (source?.type === 'base64') {
        const data = `data:${String(source.media_type)};base64,${String(source.data)}`;
        return { type: 'file', file: { filename: String(block.title ?? 'document.pdf'), file_data: data } };
      }
      break;
    case 'image_url':
      return block;
  }
  throw unknownBlock(block);
}

function imageOf(url: string): Fields {
  return { type: 'image_url', image_url: { url } };
}

function unknownBlock(block: Fields): IModelError {
  const source = record(block.source)?.type;
  const kind = `${String(block.type)}${source === undefined ? '' : ` from ${String(source)}`}`;
  return IModelError.of('invalid_request', `A block of the type \`${kind}\` cannot be given to this iModel`, {
    path: 'messages',
    value: printValue(block.type),
  });
}
