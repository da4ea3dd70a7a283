import type { Fields } from '../endpoints/endpoint.ts';
import { IModelError, printValue } from '../errors.ts';
import { record } from '../http/vendor-error.ts';

/**
 * The input of a request of the Responses protocol as turns of the chat protocol: calls join the assistant's turn before them, each output is a turn
 * of its own, and earlier reasoning, which only its vendor can read, is left out.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/responses/create} for the kinds of items (read 2026-11)
 * @throws IModelError `invalid_request` for an item or a part that has no counterpart.
 */
export function chatMessages(input: unknown): Fields[] {
  if (typeof input === 'string') return [{ role: 'user', content: input }];
  if (!Array.isArray(input)) return [];
  const turns: Record<string, unknown>[] = [];
  for (const item of input as readonly unknown[]) {
    if (typeof item === 'string') turns.push({ role: 'user', content: item });
    else addItem(turns, record(item) ?? {});
  }
  return turns;
}

function addItem(turns: Record<string, unknown>[], item: Fields): void {
  switch (item.type) {
    case undefined:
    case 'message':
      turns.push({ role: String(item.role ?? 'user'), content: contentOf(item.content) });
      break;
    case 'function_call': {
      const call = {
        id: String(item.call_id ?? ''),
        type: 'function',
        function: { name: String(item.name ?? ''), arguments: String(item.arguments ?? '{}') },
      };
      const last = turns.at(-1);
      if (last?.role === 'assistant') last.tool_calls = [...((last.tool_calls as unknown[] | undefined) ?? []), call];
      else turns.push({ role: 'assistant', content: null, tool_calls: [call] });
      break;
    }
    case 'function_call_output':
      turns.push({ role: 'tool', tool_call_id: String(item.call_id ?? ''), content: outputOf(item.output) });
      break;
    case 'reasoning':
      break;
    default:
      throw unknownKind('item', item.type);
  }
}

function contentOf(content: unknown): unknown {
  if (!Array.isArray(content)) return typeof content === 'string' ? content : '';
  return content.map((part: unknown) => partOf(record(part) ?? {}));
}

function outputOf(output: unknown): string {
  if (typeof output === 'string') return output;
  if (!Array.isArray(output)) return '';
  return output.map((part: unknown) => String(record(part)?.text ?? '')).join('');
}

function partOf(part: Fields): Fields {
  switch (part.type) {
    case 'input_text':
    case 'output_text':
    case 'text':
      return { type: 'text', text: String(part.text ?? '') };
    case 'refusal':
      return { type: 'text', text: String(part.refusal ?? '') };
    case 'input_image': {
      if (typeof part.image_url !== 'string') throw unknownKind('part', 'input_image without image_url');
      const detail = part.detail === undefined ? {} : { detail: part.detail };
      return { type: 'image_url', image_url: { url: part.image_url, ...detail } };
    }
    case 'input_file': {
      if (typeof part.file_data !== 'string') throw unknownKind('part', 'input_file without file_data');
      return { type: 'file', file: { filename: String(part.filename ?? 'file'), file_data: part.file_data } };
    }
    case 'image_url':
    case 'file':
      return part;
    default:
      throw unknownKind('part', part.type);
  }
}

function unknownKind(what: 'item' | 'part', type: unknown): IModelError {
  const message = `A ${what} of \`input\` of the type ${printValue(type)} cannot be given to this iModel`;
  return IModelError.of('invalid_request', message, { path: 'input', value: printValue(type) });
}
