import type { Chunk, FinishReason, Usage } from '../../schemas/chunk.ts';
import type { Failure } from '../../schemas/failure.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { record } from '../http/vendor-error.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';
import { anthropicError } from './anthropic-dialect.ts';
import { nameOf } from './chat-answer.ts';
import type { AnswerContext, StreamEncoder } from './dialect.ts';
import { messagesUsage, stopReason } from './messages-answer.ts';
import { statusOf } from './refusal.ts';

/** The block that is being written. */
interface OpenBlock {
  readonly type: 'text' | 'thinking' | 'tool_use';
  /** The tool call's id, for tools. */
  readonly id: string;
  readonly start: string;
}

/** A tool call whose turn to be written has not come, or whose name has not. */
interface HeldTool {
  readonly type: 'tool_use' | 'server_tool_use';
  name: string;
  arguments: string;
}

/**
 * Writes a streamed message: `message_start`; for each block `content_block_start`, deltas, `content_block_stop`; then `message_delta` with stop
 * reason and usage, and `message_stop`. A failure is an `error` event and nothing after it.
 *
 * Blocks follow one another, as Anthropic's do: a tool call that comes while another is open waits until that one is complete.
 *
 * @see {@link https://docs.claude.com/en/api/messages-streaming} (read 2026-11)
 */
export class MessagesStreamEncoder implements StreamEncoder {
  readonly #context: AnswerContext;
  readonly #held = new Map<string, HeldTool>();
  readonly #toolNames = new Map<string, string>();
  #id: string;
  #model: string;
  #begun = false;
  #index = 0;
  #open: OpenBlock | null = null;
  #callsTools = false;
  #finishReason: FinishReason | null = null;
  #usage: Usage | null = null;

  constructor(context: AnswerContext) {
    this.#context = context;
    this.#id = `msg_${context.callId.replaceAll('-', '')}`;
    this.#model = nameOf(context.target.model);
  }

  chunk(chunk: Chunk): string {
    switch (chunk.type) {
      case 'text':
        return chunk.content
          ? this.#piece('text', `{"type":"text_delta","text":${JSON.stringify(chunk.content)}}`)
          : '';
      case 'thinking':
        return this.#thinking(chunk);
      case 'tool_use':
        return this.#tool(chunk);
      case 'tool_result':
        return this.#toolResult(chunk);
      case 'system':
        this.#name(chunk.metadata ?? {});
        return '';
      case 'result':
        // The endpoint wrote both; see `Answer.finish`.
        this.#finishReason = (chunk.metadata?.finishReason ?? null) as FinishReason | null;
        this.#usage = (chunk.metadata?.usage ?? null) as Usage | null;
        return '';
      default:
        return '';
    }
  }

  end(call: ApiCalling): string {
    const vendor = this.#context.target.family === 'messages' ? record(call.response) : undefined;
    const delta = {
      stop_reason: vendor?.stop_reason ?? stopReason(this.#finishReason, this.#callsTools),
      stop_sequence: vendor?.stop_sequence ?? null,
    };
    const usage = vendor?.usage ?? messagesUsage(this.#usage);
    const closed = `${this.#start()}${this.#close()}${this.#writeHeld()}`;
    return `${closed}${event('message_delta', { delta, usage })}${event('message_stop', {})}`;
  }

  failed(failure: Failure): string {
    return `event: error\ndata: ${JSON.stringify(anthropicError(failure, statusOf(failure)))}\n\n`;
  }

  #thinking({ content, metadata }: Chunk): string {
    if (typeof metadata?.redactedData === 'string') {
      return this.#whole({ type: 'redacted_thinking', data: metadata.redactedData });
    }
    if (typeof metadata?.signature === 'string') {
      const delta = { type: 'signature_delta', signature: metadata.signature };
      return `${this.#piece('thinking', JSON.stringify(delta))}${this.#close()}`;
    }
    if (!content) return '';
    return this.#piece('thinking', `{"type":"thinking_delta","thinking":${JSON.stringify(content)}}`);
  }

  #tool(chunk: Chunk): string {
    const { family } = this.#context.target;
    const server = chunk.metadata?.providerExecuted === true;
    // What an agent or another vendor runs itself is nothing for the caller to run.
    if (family === 'agent' || (server && family !== 'messages')) return '';
    const id = chunk.toolId ?? '';
    const fragment = chunk.isDelta === true ? String(chunk.metadata?.argumentsDelta ?? '') : '';
    if (this.#open?.type === 'tool_use' && this.#open.id === id) {
      if (chunk.isDelta !== true) return this.#close() + this.#writeHeld();
      return fragment === '' ? '' : this.#delta(inputDelta(fragment));
    }
    if (chunk.isDelta !== true && !this.#held.has(id) && this.#toolNames.has(id)) return '';
    const held = this.#held.get(id) ?? { type: server ? 'server_tool_use' : 'tool_use', name: '', arguments: '' };
    held.name = chunk.toolName ?? held.name;
    held.arguments += fragment;
    this.#held.set(id, held);
    if (!server) this.#callsTools = true;
    if (chunk.isDelta !== true) {
      if (held.arguments === '') held.arguments = JSON.stringify(chunk.toolInput ?? {});
      return this.#open?.type === 'tool_use' ? '' : this.#writeTool(id, held);
    }
    return held.name === '' || this.#open?.type === 'tool_use' ? '' : this.#openTool(id, held);
  }

  /** What Anthropic's own tools brought; what those of others did is not told in its protocol. */
  #toolResult({ toolId, toolOutput }: Chunk): string {
    if (this.#context.target.family !== 'messages') return '';
    const id = toolId ?? '';
    const name = this.#toolNames.get(id);
    return name === undefined ? '' : this.#whole({ type: `${name}_tool_result`, tool_use_id: id, content: toolOutput });
  }

  #openTool(id: string, { type, name, arguments: fragment }: HeldTool): string {
    this.#held.delete(id);
    this.#toolNames.set(id, name);
    const start = JSON.stringify({ type, id, name, input: {} });
    const opened = this.#begin({ type: 'tool_use', id, start });
    return fragment === '' ? opened : opened + this.#delta(inputDelta(fragment));
  }

  #writeTool(id: string, held: HeldTool): string {
    return this.#openTool(id, held) + this.#close();
  }

  /** Tool calls that had to wait. */
  #writeHeld(): string {
    let text = '';
    for (const [id, held] of [...this.#held]) if (held.name !== '') text += this.#writeTool(id, held);
    return text;
  }

  /** A delta of the open block of this kind, which is opened where it is not. */
  #piece(type: 'text' | 'thinking', delta: string): string {
    if (this.#open?.type === type) return this.#delta(delta);
    const start = type === 'text' ? '{"type":"text","text":""}' : '{"type":"thinking","thinking":"","signature":""}';
    return this.#begin({ type, id: '', start }) + this.#delta(delta);
  }

  #whole(block: Fields): string {
    const opened = this.#begin({ type: 'text', id: '', start: JSON.stringify(block) });
    return opened + this.#close();
  }

  #begin(block: OpenBlock): string {
    const before = this.#start() + this.#close();
    this.#open = block;
    return `${before}event: content_block_start\ndata: {"type":"content_block_start","index":${this.#index},"content_block":${block.start}}\n\n`;
  }

  #delta(delta: string): string {
    return `event: content_block_delta\ndata: {"type":"content_block_delta","index":${this.#index},"delta":${delta}}\n\n`;
  }

  #close(): string {
    if (this.#open === null) return '';
    this.#open = null;
    const text = event('content_block_stop', { index: this.#index });
    this.#index += 1;
    return text;
  }

  #start(): string {
    if (this.#begun) return '';
    this.#begun = true;
    const message = {
      id: this.#id,
      type: 'message',
      role: 'assistant',
      model: this.#model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: messagesUsage(null),
    };
    return event('message_start', { message });
  }

  #name({ id, model }: Fields): void {
    if (this.#begun) return;
    // Another vendor's id would look like none of Anthropic's.
    if (this.#context.target.family === 'messages' && typeof id === 'string' && id !== '') this.#id = id;
    if (typeof model === 'string' && model !== '') this.#model = model;
  }
}

function event(type: string, fields: Fields): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
}

function inputDelta(fragment: string): string {
  return `{"type":"input_json_delta","partial_json":${JSON.stringify(fragment)}}`;
}
