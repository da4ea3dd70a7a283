import type { Attributes } from '@opentelemetry/api';
import type { AnswerView, FinishReason } from '../../schemas/chunk.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { record } from '../http/vendor-error.ts';

/** The variable by which OpenTelemetry's own instrumentations are told to record prompts and answers. */
const variable = 'OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT';

/** Its values that mean spans too. */
const yes: ReadonlySet<string> = new Set(['true', 'span_only', 'span_and_event']);

/** Whether the environment asks for prompts and answers to be recorded. */
export function environmentWantsContent(): boolean {
  return yes.has((process.env[variable] ?? '').trim().toLowerCase());
}

/** One piece of a message, as the conventions' JSON schema has it. */
type Part = Readonly<Record<string, unknown>>;

/**
 * The prompt of a payload, as JSON in the attributes of a span.
 *
 * @see {@link https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-input-messages.json} (read 2026-11)
 */
export function inputAttributes(payload: Fields): Attributes {
  const { messages, input, prompt, system, instructions } = payload;
  const attributes: Attributes = {};
  const turns = messages ?? input ?? prompt;
  const list = Array.isArray(turns) ? turns : turns === undefined ? [] : [turns];
  if (list.length > 0) attributes['gen_ai.input.messages'] = JSON.stringify(list.map(message));
  const told = system ?? instructions;
  if (told !== undefined) attributes['gen_ai.system_instructions'] = JSON.stringify(parts(told));
  return attributes;
}

/**
 * The answer, as JSON in the attributes of a span.
 *
 * @see {@link https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-output-messages.json} (read 2026-11)
 */
export function outputAttributes({ text, thinking, toolUses, finishReason }: AnswerView): Attributes {
  const said: Part[] = [
    ...(thinking === '' ? [] : [{ type: 'reasoning', content: thinking }]),
    ...(text === '' ? [] : [{ type: 'text', content: text }]),
    ...toolUses.map(({ id, name, input }) => ({ type: 'tool_call', id, name, arguments: input })),
  ];
  const answer = { role: 'assistant', parts: said, finish_reason: outputReason(finishReason) };
  return { 'gen_ai.output.messages': JSON.stringify([answer]) };
}

function outputReason(reason: FinishReason | null): string {
  return reason === null ? 'error' : reason === 'tool_calls' ? 'tool_call' : reason;
}

/** A turn of OpenAI's, Anthropic's or an agent's request. */
function message(turn: unknown): Part {
  const fields = record(turn);
  if (fields === undefined) return { role: 'user', parts: parts(turn) };
  const { role, content, tool_calls: calls, tool_call_id: id } = fields;
  if (role === undefined) return { role: fields.type === 'function_call' ? 'assistant' : 'user', parts: parts([turn]) };
  if (role === 'tool') return { role, parts: [{ type: 'tool_call_response', id, response: content }] };
  const asked = Array.isArray(calls) ? calls.map(toolCall) : [];
  return { role, parts: [...(content == null ? [] : parts(content)), ...asked] };
}

function parts(content: unknown): Part[] {
  if (typeof content === 'string') return [{ type: 'text', content }];
  return (Array.isArray(content) ? content : [content]).map(part);
}

/** Images and files are named, not repeated: they would be larger than everything else in a trace. */
function part(block: unknown): Part {
  const fields = record(block);
  if (fields === undefined) return { type: 'text', content: String(block) };
  const { type, text, name, id, input, tool_use_id: answered, call_id: called, content, output, thinking } = fields;
  switch (type) {
    case 'text':
    case 'input_text':
    case 'output_text':
      return { type: 'text', content: text };
    case 'thinking':
      return { type: 'reasoning', content: thinking };
    case 'tool_use':
      return { type: 'tool_call', id, name, arguments: input };
    case 'tool_result':
      return { type: 'tool_call_response', id: answered, response: content };
    case 'function_call':
      return { type: 'tool_call', id: called, name, arguments: fields.arguments };
    case 'function_call_output':
      return { type: 'tool_call_response', id: called, response: output };
    default:
      return { type: typeof type === 'string' ? type : 'unknown' };
  }
}

function toolCall(call: unknown): Part {
  const { id, function: asked } = record(call) ?? {};
  const { name, arguments: given } = record(asked) ?? {};
  return { type: 'tool_call', id, name, arguments: given };
}
