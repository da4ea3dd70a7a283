import { readVendorError, record } from '../http/vendor-error.ts';
import type { Answer, OpenToolCall } from './answer.ts';
import type { Fields } from './endpoint.ts';
import { readUsage } from './openai-usage.ts';
import { type StreamReading, VendorFault } from './protocol.ts';
import { callArguments, isClientCall, responseFinishReason, responseView } from './responses-reply.ts';

/** The fields of an event that are read. */
interface ResponseEvent {
  readonly type?: string;
  readonly response?: Fields;
  readonly item?: Fields;
  readonly item_id?: string;
  readonly delta?: string;
  /** All fragments together, on the event that ends them. */
  readonly arguments?: string;
  readonly annotation?: unknown;
}

/** Items of tools that the vendor runs itself. */
const hostedTools: ReadonlySet<unknown> = new Set([
  'web_search_call',
  'file_search_call',
  'code_interpreter_call',
  'mcp_call',
  'image_generation_call',
]);

/** Reads the events of a streamed response. */
export class ResponsesReading implements StreamReading {
  readonly #answer: Answer;
  readonly #calls = new Map<string, OpenToolCall>();
  readonly #items: Fields[] = [];
  readonly #annotations: unknown[] = [];
  readonly #reasoning: Fields[] = [];
  #response: Fields = {};

  constructor(answer: Answer) {
    this.#answer = answer;
  }

  event(value: unknown): boolean {
    const event = value as ResponseEvent | null;
    switch (event?.type) {
      case 'response.output_text.delta':
        this.#answer.writeText(event.delta ?? '');
        return false;
      case 'response.function_call_arguments.delta':
      case 'response.custom_tool_call_input.delta':
        this.#argumentsDelta(event);
        return false;
      case 'response.function_call_arguments.done':
        this.#argumentsDone(event);
        return false;
      case 'response.reasoning_summary_text.delta':
      case 'response.reasoning_text.delta':
        this.#answer.writeThinking(event.delta ?? '');
        return false;
      case 'response.refusal.delta':
        this.#answer.writeRefusal(event.delta ?? '');
        return false;
      case 'response.output_item.added':
        this.#added(event.item ?? {});
        return false;
      case 'response.output_item.done':
        this.#done(event.item ?? {});
        return false;
      case 'response.output_text.annotation.added':
        this.#annotations.push(event.annotation);
        return false;
      case 'response.created':
        this.#begin(event.response ?? {});
        return false;
      case 'response.completed':
      case 'response.incomplete':
        this.#complete(event.response ?? {}, event.type.slice('response.'.length));
        return true;
      case 'response.failed':
        throw new VendorFault(readVendorError(event.response, ''), event);
      case 'error':
        throw new VendorFault(
          readVendorError(record(value)?.error === undefined ? { error: event } : event, ''),
          event,
        );
      default:
        return false;
    }
  }

  end(): boolean {
    return false;
  }

  response(): unknown {
    return { ...this.#response, ...(Array.isArray(this.#response.output) ? {} : { output: this.#items }) };
  }

  #begin(response: Fields): void {
    this.#response = response;
    this.#answer.id = typeof response.id === 'string' ? response.id : null;
    this.#answer.model = typeof response.model === 'string' ? response.model : null;
  }

  #added(item: Fields): void {
    if (!isClientCall(item)) return;
    const call = this.#answer.openTool({ id: String(item.call_id ?? ''), name: String(item.name ?? '') });
    this.#calls.set(String(item.id ?? item.call_id ?? ''), call);
    this.#answer.writeToolDelta(call, '');
  }

  #argumentsDelta({ item_id: itemId = '', delta = '' }: ResponseEvent): void {
    const call = this.#calls.get(itemId);
    if (call !== undefined) this.#answer.writeToolDelta(call, delta);
  }

  /** Some hosts send arguments whole. */
  #argumentsDone({ item_id: itemId = '', arguments: whole = '' }: ResponseEvent): void {
    const call = this.#calls.get(itemId);
    if (call?.arguments === '') this.#answer.writeToolDelta(call, whole);
  }

  #done(item: Fields): void {
    this.#items.push(item);
    if (isClientCall(item)) {
      const id = String(item.id ?? item.call_id ?? '');
      if (!this.#calls.has(id)) this.#added(item);
      const call = this.#calls.get(id);
      if (call === undefined) return;
      // The finished item is the whole truth: fragments of custom tools are plain text, not JSON.
      call.arguments = callArguments(item);
      this.#answer.closeTool(call);
    } else if (item.type === 'reasoning') {
      this.#reasoning.push({ id: item.id, encrypted_content: item.encrypted_content });
    } else if (hostedTools.has(item.type)) {
      const call = this.#answer.openTool({
        id: String(item.id ?? ''),
        name: String(item.type),
        providerExecuted: true,
      });
      call.arguments = JSON.stringify(record(item.action) ?? {});
      this.#answer.closeTool(call);
      this.#answer.writeToolResult(call.id, item, item.status === 'failed');
    }
  }

  /** Writes what the finished response holds and no event has told. */
  #makeUp(response: Fields): void {
    const output: readonly unknown[] = Array.isArray(response.output) ? response.output : [];
    for (const value of output) {
      const item = record(value) ?? {};
      if (isClientCall(item) && this.#calls.get(String(item.id ?? item.call_id ?? ''))?.closed !== true)
        this.#done(item);
    }
    const { text, finishReason } = responseView(response);
    if (this.#answer.text !== '' || text === '') return;
    if (finishReason === 'refusal') this.#answer.writeRefusal(text);
    else this.#answer.writeText(text);
  }

  #complete(response: Fields, status: string): void {
    if (this.#answer.id === null) this.#begin(response);
    this.#makeUp(response);
    this.#response = { ...this.#response, status, ...response };
    const called = this.#answer.toolCalls.some(({ providerExecuted }) => !providerExecuted);
    this.#answer.usage = readUsage(response.usage);
    this.#answer.finishReason = responseFinishReason(this.#response, called);
    this.#answer.rawFinishReason = String(record(response.incomplete_details)?.reason ?? status);
    const { extras } = this.#answer;
    if (this.#annotations.length > 0) extras.annotations = this.#annotations;
    if (this.#reasoning.length > 0) extras.reasoning = this.#reasoning;
  }
}
