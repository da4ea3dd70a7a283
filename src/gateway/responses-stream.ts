import type { Chunk, FinishReason, Usage } from '../../schemas/chunk.ts';
import type { Failure } from '../../schemas/failure.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { record } from '../http/vendor-error.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';
import { nameOf } from './chat-answer.ts';
import type { AnswerContext, StreamEncoder } from './dialect.ts';
import { openaiError } from './openai-dialect.ts';
import { statusOf } from './refusal.ts';
import { callItem, messageItem, reasoningItem, responseFrame, responseObject } from './responses-answer.ts';

/** The text or the reasoning that is being written. */
interface OpenText {
  readonly type: 'message' | 'reasoning';
  readonly index: number;
  readonly id: string;
  text: string;
}

/** A tool call on its way; it has a place once its name is known. */
interface OpenCall {
  index: number;
  name: string;
  arguments: string;
  done: boolean;
}

/**
 * Writes a streamed response: `response.created`, `response.in_progress`; each item from `output_item.added` to `output_item.done` with its parts and
 * deltas between; then `response.completed` or `response.incomplete`. A failure is an `error` event and nothing after it.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/responses-streaming} (read 2026-11)
 */
export class ResponsesStreamEncoder implements StreamEncoder {
  readonly #context: AnswerContext;
  readonly #calls = new Map<string, OpenCall>();
  /** Items that are complete, by their place. */
  readonly #output: unknown[] = [];
  readonly #name: string;
  #model: string;
  #begun = false;
  #items = 0;
  #sequence = 0;
  #open: OpenText | null = null;
  #reason: FinishReason | null = null;
  #usage: Usage | null = null;

  constructor(context: AnswerContext) {
    this.#context = context;
    this.#name = context.callId.replaceAll('-', '');
    this.#model = nameOf(context.target.model);
  }

  chunk(chunk: Chunk): string {
    switch (chunk.type) {
      case 'text':
        return chunk.content ? this.#text('message', chunk.content) : '';
      case 'thinking':
        return chunk.content ? this.#text('reasoning', chunk.content) : '';
      case 'tool_use':
        return this.#tool(chunk);
      case 'system':
        if (!this.#begun && typeof chunk.metadata?.model === 'string') this.#model = chunk.metadata.model;
        return '';
      case 'result':
        // The endpoint wrote both; see `Answer.finish`.
        this.#reason = (chunk.metadata?.finishReason ?? null) as FinishReason | null;
        this.#usage = (chunk.metadata?.usage ?? null) as Usage | null;
        return '';
      default:
        return '';
    }
  }

  end(call: ApiCalling): string {
    let before = this.#begin() + this.#closeText();
    if (this.#items === 0) before += this.#openText('message') + this.#closeText();
    const parts = { model: this.#model, output: this.#output, reason: this.#reason, usage: this.#usage };
    const vendor = this.#context.target.family === 'responses' ? record(call.response) : undefined;
    const response = Array.isArray(vendor?.output) ? vendor : responseObject(this.#context, parts);
    return before + this.#event(`response.${String(response.status)}`, { response });
  }

  failed(failure: Failure): string {
    const error = openaiError(failure, statusOf(failure));
    // Clients differ in where they look: at the top, as the vendor documents it, or below `error`.
    return this.#event('error', { code: error.code, message: error.message, param: error.param, error });
  }

  #text(type: OpenText['type'], content: string): string {
    const opened = this.#open?.type === type ? '' : this.#openText(type);
    const open = this.#open;
    if (open === null) return opened;
    open.text += content;
    const place = { item_id: open.id, output_index: open.index };
    const delta =
      type === 'message'
        ? this.#event('response.output_text.delta', { ...place, content_index: 0, delta: content, logprobs: [] })
        : this.#event('response.reasoning_summary_text.delta', { ...place, summary_index: 0, delta: content });
    return opened + delta;
  }

  #openText(type: OpenText['type']): string {
    const before = this.#begin() + this.#closeText();
    const index = this.#takePlace();
    const open: OpenText = { type, index, id: `${type === 'message' ? 'msg' : 'rs'}_${this.#name}_${index}`, text: '' };
    this.#open = open;
    const place = { item_id: open.id, output_index: index };
    const item =
      type === 'message'
        ? { ...messageItem(open.id, ''), status: 'in_progress', content: [] }
        : { ...reasoningItem(open.id, ''), status: 'in_progress', summary: [] };
    const added = this.#event('response.output_item.added', { output_index: index, item });
    const part =
      type === 'message'
        ? this.#event('response.content_part.added', { ...place, content_index: 0, part: textPart('') })
        : this.#event('response.reasoning_summary_part.added', { ...place, summary_index: 0, part: summaryPart('') });
    return before + added + part;
  }

  #closeText(): string {
    const open = this.#open;
    if (open === null) return '';
    this.#open = null;
    const { id, index, text, type } = open;
    const place = { item_id: id, output_index: index };
    const done =
      type === 'message'
        ? this.#event('response.output_text.done', { ...place, content_index: 0, text, logprobs: [] }) +
          this.#event('response.content_part.done', { ...place, content_index: 0, part: textPart(text) })
        : this.#event('response.reasoning_summary_text.done', { ...place, summary_index: 0, text }) +
          this.#event('response.reasoning_summary_part.done', { ...place, summary_index: 0, part: summaryPart(text) });
    return done + this.#itemDone(index, type === 'message' ? messageItem(id, text) : reasoningItem(id, text));
  }

  #tool({ toolId, toolName, toolInput, isDelta, metadata }: Chunk): string {
    // What an agent or the vendor runs itself is nothing for the caller to run.
    if (this.#context.target.family === 'agent' || metadata?.providerExecuted === true) return '';
    const callId = toolId ?? '';
    const call = this.#calls.get(callId) ?? { index: -1, name: '', arguments: '', done: false };
    this.#calls.set(callId, call);
    if (call.done) return '';
    if (toolName) call.name = toolName;
    const raw = metadata?.rawArguments;
    const whole = typeof raw === 'string' ? raw : JSON.stringify(toolInput ?? {});
    const fragment = isDelta === true ? String(metadata?.argumentsDelta ?? '') : call.arguments === '' ? whole : '';
    call.arguments += fragment;
    if (isDelta === true && call.name === '') return '';
    const place = { item_id: `fc_${this.#name}_${callId}` };
    let text = '';
    let piece = fragment;
    if (call.index < 0) {
      text += this.#begin() + this.#closeText();
      call.index = this.#takePlace();
      const item = { ...callItem(place.item_id, written(callId, call.name, '')), status: 'in_progress' };
      text += this.#event('response.output_item.added', { output_index: call.index, item });
      piece = call.arguments;
    }
    const at = { ...place, output_index: call.index };
    if (piece !== '') text += this.#event('response.function_call_arguments.delta', { ...at, delta: piece });
    if (isDelta === true) return text;
    call.done = true;
    const done = { ...at, name: call.name, arguments: call.arguments };
    text += this.#event('response.function_call_arguments.done', done);
    return text + this.#itemDone(call.index, callItem(place.item_id, written(callId, call.name, call.arguments)));
  }

  #itemDone(index: number, item: Fields): string {
    this.#output[index] = item;
    return this.#event('response.output_item.done', { output_index: index, item });
  }

  #takePlace(): number {
    this.#items += 1;
    return this.#items - 1;
  }

  #begin(): string {
    if (this.#begun) return '';
    this.#begun = true;
    const response = responseFrame(this.#context, this.#model, 'in_progress');
    return this.#event('response.created', { response }) + this.#event('response.in_progress', { response });
  }

  #event(type: string, fields: Fields): string {
    const data = { type, sequence_number: this.#sequence, ...fields };
    this.#sequence += 1;
    return `event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
  }
}

function textPart(text: string): Fields {
  return { type: 'output_text', text, annotations: [], logprobs: [] };
}

function summaryPart(text: string): Fields {
  return { type: 'summary_text', text };
}

function written(id: string, name: string, text: string) {
  return { id, name, input: {}, rawArguments: text };
}
