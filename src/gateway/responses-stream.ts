import type { Chunk, FinishReason, Usage } from '../../schemas/chunk.ts';
import type { Failure } from '../../schemas/failure.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { record } from '../http/vendor-error.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';
import { nameOf } from './chat-answer.ts';
import type { AnswerContext, StreamEncoder } from './dialect.ts';
import { openaiError } from './openai-dialect.ts';
import { statusOf } from './refusal.ts';
import {
  callItem,
  messageItem,
  reasoningItem,
  refusalPart,
  responseFrame,
  responseObject,
  summaryPart,
  textPart,
} from './responses-answer.ts';

/** The message or the reasoning that is being written. */
interface OpenItem {
  readonly type: 'message' | 'reasoning';
  readonly index: number;
  readonly id: string;
  /** Its parts that are complete. */
  readonly parts: Fields[];
  /** The part that is being written. */
  kind: PartKind;
  text: string;
}

/** What an item's parts are of. */
type PartKind = 'text' | 'refusal' | 'summary';

/** How a part is told of. */
const partEvents = {
  text: { part: 'response.content_part', piece: 'response.output_text', place: 'content_index', write: textPart },
  refusal: { part: 'response.content_part', piece: 'response.refusal', place: 'content_index', write: refusalPart },
  summary: {
    part: 'response.reasoning_summary_part',
    piece: 'response.reasoning_summary_text',
    place: 'summary_index',
    write: summaryPart,
  },
} as const;

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
  #open: OpenItem | null = null;
  #declined = false;
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
        if (!chunk.content) return '';
        if (chunk.metadata?.refusal !== true) return this.#text('text', chunk.content);
        this.#declined = true;
        return this.#text('refusal', chunk.content);
      case 'thinking':
        return chunk.content ? this.#text('summary', chunk.content) : '';
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
    let before = this.#begin() + this.#closeItem();
    if (this.#items === 0) before += this.#openPart('text') + this.#closeItem();
    // Words of refusal are an answer, and a whole one.
    const reason = this.#declined && this.#reason === 'refusal' ? 'stop' : this.#reason;
    const parts = { model: this.#model, output: this.#output, reason, usage: this.#usage };
    const vendor = this.#context.target.family === 'responses' ? record(call.response) : undefined;
    const response = Array.isArray(vendor?.output) ? vendor : responseObject(this.#context, parts);
    return before + this.#event(`response.${String(response.status)}`, { response });
  }

  failed(failure: Failure): string {
    const error = openaiError(failure, statusOf(failure));
    // Clients differ in where they look: at the top, as the vendor documents it, or below `error`.
    return this.#event('error', { code: error.code, message: error.message, param: error.param, error });
  }

  #text(kind: PartKind, content: string): string {
    const opened = this.#open?.kind === kind ? '' : this.#openPart(kind);
    const open = this.#open;
    if (open === null) return opened;
    open.text += content;
    const logprobs = kind === 'text' ? { logprobs: [] } : {};
    return opened + this.#event(`${partEvents[kind].piece}.delta`, { ...placeOf(open), delta: content, ...logprobs });
  }

  #openPart(kind: PartKind): string {
    const type = kind === 'summary' ? 'reasoning' : 'message';
    const before = this.#open?.type === type ? this.#closePart(this.#open) : this.#openItem(type, kind);
    const open = this.#open;
    if (open === null) return before;
    open.kind = kind;
    open.text = '';
    const { part, write } = partEvents[kind];
    return before + this.#event(`${part}.added`, { ...placeOf(open), part: write('') });
  }

  #openItem(type: OpenItem['type'], kind: PartKind): string {
    const before = this.#begin() + this.#closeItem();
    const index = this.#takePlace();
    const id = `${type === 'message' ? 'msg' : 'rs'}_${this.#name}_${index}`;
    this.#open = { type, index, id, parts: [], kind, text: '' };
    const item = { ...itemOf(this.#open), status: 'in_progress' };
    return before + this.#event('response.output_item.added', { output_index: index, item });
  }

  #closePart(open: OpenItem): string {
    const { kind, text } = open;
    const { part, piece, write } = partEvents[kind];
    const said = kind === 'refusal' ? { refusal: text } : kind === 'text' ? { text, logprobs: [] } : { text };
    const done =
      this.#event(`${piece}.done`, { ...placeOf(open), ...said }) +
      this.#event(`${part}.done`, { ...placeOf(open), part: write(text) });
    open.parts.push(write(text));
    return done;
  }

  #closeItem(): string {
    const open = this.#open;
    if (open === null) return '';
    const done = this.#closePart(open);
    this.#open = null;
    return done + this.#itemDone(open.index, itemOf(open));
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
      text += this.#begin() + this.#closeItem();
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

function placeOf({ id, index, kind, parts }: OpenItem): Fields {
  return { item_id: id, output_index: index, [partEvents[kind].place]: parts.length };
}

function itemOf({ id, type, parts }: OpenItem): Fields {
  return type === 'message' ? messageItem(id, parts) : reasoningItem(id, parts);
}

function written(id: string, name: string, text: string) {
  return { id, name, input: {}, rawArguments: text };
}
