import { readVendorError, record } from '../http/vendor-error.ts';
import type { Answer, OpenToolCall } from './answer.ts';
import { anthropicFinishReason, anthropicUsage } from './anthropic-reply.ts';
import type { Fields } from './endpoint.ts';
import { type StreamReading, VendorFault } from './protocol.ts';

/** The fields of an event that are read. */
interface MessageEvent {
  readonly type: string;
  readonly index?: number;
  readonly message?: Fields;
  readonly content_block?: Fields;
  readonly delta?: Fields;
  readonly usage?: Fields | null;
}

/** A block of the answer while it grows. */
interface OpenBlock {
  /** The block as a one-shot reply holds it. */
  readonly block: Record<string, unknown>;
  readonly call: OpenToolCall | null;
  closed: boolean;
}

/** Reads the events of a streamed message. */
export class AnthropicReading implements StreamReading {
  readonly #answer: Answer;
  readonly #blocks: OpenBlock[] = [];
  readonly #citations: unknown[] = [];
  #message: Record<string, unknown> | null = null;
  #usage: Record<string, unknown> = {};

  constructor(answer: Answer) {
    this.#answer = answer;
  }

  event(value: unknown): boolean {
    const event = value as MessageEvent | null;
    switch (event?.type) {
      case 'content_block_delta':
        this.#delta(this.#blocks[event.index ?? 0], event.delta ?? {});
        return false;
      case 'content_block_start':
        this.#open(event.index ?? this.#blocks.length, event.content_block ?? {});
        return false;
      case 'content_block_stop':
        this.#close(this.#blocks[event.index ?? 0]);
        return false;
      case 'message_start':
        this.#start(event.message ?? {});
        return false;
      case 'message_delta':
        this.#finish(event.delta ?? {}, event.usage ?? {});
        return false;
      case 'message_stop':
        this.#complete();
        return true;
      case 'error':
        throw new VendorFault(readVendorError(event, ''), event);
      default:
        return false;
    }
  }

  end(): boolean {
    if (this.#answer.rawFinishReason === null) return false;
    this.#complete();
    return true;
  }

  response(): unknown {
    return { ...this.#message, content: this.#blocks.map(({ block }) => block), usage: this.#usage };
  }

  #start(message: Fields): void {
    if (this.#message !== null) {
      if (message.id === this.#message.id) return;
      const reason = { message: 'A second message began before the first had ended', type: 'api_error' };
      throw new VendorFault(reason, message);
    }
    this.#message = { ...message };
    this.#answer.id = typeof message.id === 'string' ? message.id : null;
    this.#answer.model = typeof message.model === 'string' ? message.model : null;
    this.#count(record(message.usage) ?? {});
    const finished: readonly unknown[] = Array.isArray(message.content) ? message.content : [];
    for (const block of finished) {
      const index = this.#blocks.length;
      this.#open(index, record(block) ?? {});
      this.#close(this.#blocks[index]);
    }
  }

  #open(index: number, block: Fields): void {
    const type = String(block.type);
    const call = isToolUse(type) ? this.#openTool(block, type !== 'tool_use') : null;
    this.#blocks[index] = { block: { ...block }, call, closed: false };
    if (type === 'redacted_thinking') this.#answer.writeThinking('', { redactedData: block.data });
    else if (type === 'text' && typeof block.text === 'string' && block.text !== '') this.#answer.writeText(block.text);
    else if (type === 'thinking' && typeof block.thinking === 'string' && block.thinking !== '') {
      this.#answer.writeThinking(block.thinking);
    } else if (type.endsWith('_tool_result')) {
      const failed = String(record(block.content)?.type ?? '').endsWith('_error') || block.is_error === true;
      this.#answer.writeToolResult(String(block.tool_use_id ?? ''), block.content, failed);
    }
  }

  #openTool(block: Fields, providerExecuted: boolean): OpenToolCall {
    const call = this.#answer.openTool({
      id: String(block.id ?? ''),
      name: String(block.name ?? ''),
      providerExecuted,
    });
    const input = record(block.input);
    const complete = input !== undefined && Object.keys(input).length > 0;
    this.#answer.writeToolDelta(call, complete ? JSON.stringify(input) : '');
    return call;
  }

  #delta(open: OpenBlock | undefined, delta: Fields): void {
    if (open === undefined) return;
    const { block, call } = open;
    switch (delta.type) {
      case 'text_delta':
        block.text = `${String(block.text ?? '')}${String(delta.text ?? '')}`;
        this.#answer.writeText(String(delta.text ?? ''));
        break;
      case 'thinking_delta':
        block.thinking = `${String(block.thinking ?? '')}${String(delta.thinking ?? '')}`;
        this.#answer.writeThinking(String(delta.thinking ?? ''));
        break;
      case 'input_json_delta':
        // The first fragment is often empty, and says nothing that the call's own chunk has not said.
        if (call !== null && delta.partial_json !== '')
          this.#answer.writeToolDelta(call, String(delta.partial_json ?? ''));
        break;
      case 'signature_delta':
        block.signature = `${String(block.signature ?? '')}${String(delta.signature ?? '')}`;
        break;
      case 'citations_delta':
        this.#citations.push(delta.citation);
        block.citations = [...(Array.isArray(block.citations) ? block.citations : []), delta.citation];
        break;
    }
  }

  #close(open: OpenBlock | undefined): void {
    if (open === undefined || open.closed) return;
    open.closed = true;
    const { block, call } = open;
    if (call !== null) {
      this.#answer.closeTool(call);
      try {
        block.input = call.arguments === '' ? {} : (JSON.parse(call.arguments) as unknown);
      } catch {
        block.input = {};
      }
    }
    if (block.type === 'thinking' && typeof block.signature === 'string' && block.signature !== '') {
      this.#answer.writeThinking('', { signature: block.signature });
    }
  }

  #finish(delta: Fields, usage: Fields): void {
    if (typeof delta.stop_reason === 'string') {
      this.#answer.rawFinishReason = delta.stop_reason;
      this.#answer.finishReason = anthropicFinishReason(delta.stop_reason);
    }
    this.#message = { ...this.#message, ...delta };
    this.#count(usage);
  }

  /** The counts are cumulative: a later report replaces what it repeats. */
  #count(usage: Fields): void {
    for (const [name, value] of Object.entries(usage)) {
      if (value !== null && value !== undefined) this.#usage[name] = value;
    }
    this.#answer.usage = anthropicUsage({ ...this.#usage });
  }

  #complete(): void {
    for (const open of this.#blocks) this.#close(open);
    if (this.#citations.length > 0) this.#answer.extras.citations = this.#citations;
  }
}

function isToolUse(type: string): boolean {
  return type === 'tool_use' || type === 'server_tool_use' || type === 'mcp_tool_use';
}
