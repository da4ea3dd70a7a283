import type { FinishReason, ToolUse, Usage } from '../../schemas/chunk.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { record } from '../http/vendor-error.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';
import { nameOf } from './chat-answer.ts';
import { saidBy } from './declined.ts';
import type { AnswerContext } from './dialect.ts';

/**
 * The answer to a one-shot request of the Responses protocol. What a model that speaks it answered is handed on untouched.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/responses/object} (read 2026-11)
 */
export function writeResponse(call: ApiCalling, context: AnswerContext): unknown {
  const { target, callId } = context;
  const vendor = record(call.response);
  if (target.family === 'responses' && Array.isArray(vendor?.output)) return vendor;
  const id = callId.replaceAll('-', '');
  const toolUses = target.family === 'agent' ? [] : call.toolUses;
  const { text, declined } = saidBy(call);
  const parts = [
    ...(text === '' && declined !== '' ? [] : [textPart(text)]),
    ...(declined === '' ? [] : [refusalPart(declined)]),
  ];
  const output = [
    ...(call.thinking === '' ? [] : [reasoningItem(`rs_${id}`, [summaryPart(call.thinking)])]),
    ...(call.text === '' && toolUses.length > 0 ? [] : [messageItem(`msg_${id}`, parts)]),
    ...toolUses.map((use, index) => callItem(`fc_${id}_${index}`, use)),
  ];
  const model = typeof vendor?.model === 'string' ? vendor.model : nameOf(target.model);
  // Words of refusal are an answer, and a whole one.
  const reason = declined !== '' && call.finishReason === 'refusal' ? 'stop' : call.finishReason;
  return responseObject(context, { model, output, reason, usage: call.usage });
}

/** What a {@link responseObject} is made of. */
export interface ResponseParts {
  readonly model: string;
  readonly output: readonly unknown[];
  readonly reason: FinishReason | null;
  readonly usage: Usage | null;
}

/** A response that has ended: completed, or incomplete with what stopped it. */
export function responseObject(context: AnswerContext, { model, output, reason, usage }: ResponseParts): Fields {
  const stopped =
    reason === 'length'
      ? 'max_output_tokens'
      : reason === 'content_filter' || reason === 'refusal'
        ? 'content_filter'
        : null;
  return {
    ...responseFrame(context, model, stopped === null ? 'completed' : 'incomplete'),
    incomplete_details: stopped === null ? null : { reason: stopped },
    output,
    usage: usage === null ? null : responsesUsage(usage),
  };
}

/** What is the same in every state of a response. */
export function responseFrame({ callId, createdAt }: AnswerContext, model: string, status: string): Fields {
  return {
    id: `resp_${callId.replaceAll('-', '')}`,
    object: 'response',
    created_at: createdAt,
    status,
    error: null,
    incomplete_details: null,
    instructions: null,
    metadata: {},
    model,
    output: [],
    parallel_tool_calls: true,
    temperature: null,
    tool_choice: 'auto',
    tools: [],
    top_p: null,
    usage: null,
  };
}

/** The item of reasoning that was shown, in {@link summaryPart}s. */
export function reasoningItem(id: string, summary: readonly Fields[]): Fields {
  return { id, type: 'reasoning', summary, status: 'completed' };
}

/** The part of reasoning. */
export function summaryPart(text: string): Fields {
  return { type: 'summary_text', text };
}

/** The item of what a model says, in {@link textPart}s and {@link refusalPart}s. */
export function messageItem(id: string, content: readonly Fields[]): Fields {
  return { id, type: 'message', status: 'completed', role: 'assistant', content };
}

/** The part of a text. */
export function textPart(text: string): Fields {
  return { type: 'output_text', text, annotations: [], logprobs: [] };
}

/** The part of the words with which a model declines. */
export function refusalPart(refusal: string): Fields {
  return { type: 'refusal', refusal };
}

/** The item of a tool the model asks for. */
export function callItem(id: string, { id: callId, name, input, rawArguments }: ToolUse): Fields {
  const text = rawArguments ?? JSON.stringify(input);
  return { id, type: 'function_call', status: 'completed', call_id: callId, name, arguments: text };
}

function responsesUsage(usage: Usage): Fields {
  return {
    input_tokens: usage.inputTokens,
    input_tokens_details: { cached_tokens: usage.cachedInputTokens ?? 0 },
    output_tokens: usage.outputTokens,
    output_tokens_details: { reasoning_tokens: usage.reasoningTokens ?? 0 },
    total_tokens: usage.totalTokens,
  };
}
