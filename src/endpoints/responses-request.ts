import type { ChatMessage } from '../../schemas/requests/openai-chat.ts';
import { IModelError } from '../errors.ts';
import { record } from '../http/vendor-error.ts';
import { type ChatToolCall, toolCallsOf } from './chat-tool-calls.ts';
import type { Fields } from './endpoint.ts';
import { contentText } from './openai-chat-reply.ts';

/**
 * Writes a request as the Responses API reads it: `messages` become `input` items, with the leading system and developer turns as
 * `instructions` unless the caller gave some; chat's names of tools, choices, formats, efforts and limits are translated. What is in the
 * API's own form stays as it is.
 *
 * @param request - A checked request; not changed.
 * @throws IModelError `invalid_request` when both `input` and `messages` are given.
 */
export function toResponsesWire(request: Fields): Fields {
  const {
    messages,
    tools,
    tool_choice: choice,
    response_format: format,
    reasoning_effort: effort,
    max_tokens: maxTokens,
    max_completion_tokens: maxCompletionTokens,
    ...rest
  } = request;
  const limit = rest.max_output_tokens ?? maxCompletionTokens ?? maxTokens;
  return {
    ...rest,
    ...(Array.isArray(messages) ? inputOf(messages as ChatMessage[], rest) : {}),
    ...(limit === undefined || limit === null ? {} : { max_output_tokens: limit }),
    ...(effort === undefined || effort === null ? {} : { reasoning: { effort, ...record(rest.reasoning) } }),
    ...(format === undefined || format === null ? {} : { text: { format: formatOf(format), ...record(rest.text) } }),
    ...(Array.isArray(tools) ? { tools: tools.map(toolOf) } : {}),
    ...(choice === undefined || choice === null ? {} : { tool_choice: choiceOf(choice) }),
  };
}

function inputOf(messages: readonly ChatMessage[], rest: Fields): Fields {
  if (rest.input !== undefined && rest.input !== null) {
    throw IModelError.of('invalid_request', 'Expected `input` or `messages`, got both', { path: 'messages' });
  }
  const first = messages.findIndex(({ role }) => !isSystem(role));
  const leading = messages.slice(0, first === -1 ? messages.length : first);
  const given = rest.instructions !== undefined && rest.instructions !== null;
  const instructions = leading.map(({ content }) => contentText(content)).join('\n\n');
  const turns = given ? messages : messages.slice(leading.length);
  const calls = turns.flatMap((turn) => turn.tool_calls ?? []);
  const customCalls = new Set(calls.filter(({ custom }) => custom !== undefined).map(({ id = '' }) => id));
  return {
    input: turns.flatMap((turn) => itemsOf(turn, customCalls)),
    ...(given || leading.length === 0 ? {} : { instructions }),
  };
}

function isSystem(role: string): boolean {
  return role === 'system' || role === 'developer';
}

function itemsOf(message: ChatMessage, customCalls: ReadonlySet<string>): Fields[] {
  const { role, content } = message;
  if (role === 'tool' || role === 'function') {
    const output = typeof content === 'string' ? content : partsOf(content, 'input_text');
    const id = message.tool_call_id ?? message.name ?? '';
    const type = customCalls.has(id) ? 'custom_tool_call_output' : 'function_call_output';
    return [{ type, call_id: id, output: output.length === 0 ? '' : output }];
  }
  if (role !== 'assistant') {
    const speaker = isSystem(role) ? 'developer' : 'user';
    return [{ role: speaker, content: typeof content === 'string' ? content : partsOf(content, 'input_text') }];
  }
  const calls = toolCallsOf(message).map(callItemOf);
  const said = typeof content === 'string' ? content : partsOf(content, 'output_text');
  return said.length === 0 ? calls : [{ role: 'assistant', content: said }, ...calls];
}

function callItemOf(call: ChatToolCall): Fields {
  const { id = '', function: called } = call;
  const custom = record(call.custom);
  if (custom !== undefined)
    return { type: 'custom_tool_call', call_id: id, name: custom.name, input: custom.input ?? '' };
  const given = called?.arguments ?? '';
  return { type: 'function_call', call_id: id, name: called?.name ?? '', arguments: given === '' ? '{}' : given };
}

function partsOf(content: unknown, textType: 'input_text' | 'output_text'): unknown[] {
  if (content === undefined || content === null) return [];
  const parts: readonly unknown[] = Array.isArray(content) ? content : [content];
  return parts.map((part) => {
    if (typeof part === 'string') return { type: textType, text: part };
    const fields = record(part) ?? {};
    if (fields.type === 'text' || fields.type === undefined) return { ...fields, type: textType };
    if (fields.type === 'file') return { type: 'input_file', ...record(fields.file) };
    if (fields.type !== 'image_url') return part;
    const image = record(fields.image_url);
    const url = image === undefined ? fields.image_url : image.url;
    return { type: 'input_image', image_url: url, ...(image?.detail === undefined ? {} : { detail: image.detail }) };
  });
}

function toolOf(tool: unknown): unknown {
  const custom = record(record(tool)?.custom);
  if (custom !== undefined) return { type: 'custom', ...custom };
  const called = record(record(tool)?.function);
  // The API's default for `strict` is true, chat's is false: a tool written for chat keeps chat's meaning.
  return called === undefined ? tool : { type: 'function', strict: false, ...called };
}

function choiceOf(choice: unknown): unknown {
  const { type = '', ...given } = record(choice) ?? {};
  const inner = record(given[String(type)]);
  if (inner === undefined) return choice;
  if (type !== 'allowed_tools') return { type, ...inner };
  return { type, ...inner, ...(Array.isArray(inner.tools) ? { tools: inner.tools.map(choiceOf) } : {}) };
}

function formatOf(format: unknown): unknown {
  const inner = record(record(format)?.json_schema);
  return inner === undefined ? format : { type: 'json_schema', ...inner };
}
