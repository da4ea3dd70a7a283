import type { AnswerView, Chunk, FinishReason, ToolUse, Usage } from '../../schemas/chunk.ts';
import type { Failure } from '../../schemas/failure.ts';
import type { Flow } from '../http/exchange.ts';
import type { ChunkSink } from './endpoint.ts';

/** A tool call whose arguments are still coming in. */
export interface OpenToolCall {
  /** The vendor's position of the call, or ours where it has none. */
  readonly index: number;
  id: string;
  name: string;
  /** The arguments so far, as JSON text. */
  arguments: string;
  /** What must be sent back with the call in later turns, such as a thought signature. */
  extra: Readonly<Record<string, unknown>> | null;
  /** True for tools the vendor runs itself. */
  readonly providerExecuted: boolean;
  closed: boolean;
}

/** What {@link Answer.openTool} needs to know. */
export interface NewToolCall {
  readonly index?: number;
  readonly id?: string;
  readonly name?: string;
  readonly providerExecuted?: boolean;
}

/**
 * Puts an answer together while it streams, and writes it to the caller's sink as chunks, in this order:
 *
 * 1. one `system`, held back until something else is written;
 * 2. `thinking`, `text`, `media`, `tool_use` (fragments, then one final chunk a call) and `tool_result`, as they come;
 * 3. one `result`, or one `error` with which the stream fails.
 */
export class Answer {
  readonly #sink: ChunkSink;
  readonly #provider: string;
  readonly #toolCalls: OpenToolCall[] = [];
  readonly #toolUses: ToolUse[] = [];
  #behind = false;
  #announced = false;
  #ended = false;
  #thinking = '';
  #text = '';
  #refused = false;
  /** The vendor's name for the answer. */
  id: string | null = null;
  /** The model that answered, in the vendor's spelling. */
  model: string | null = null;
  usage: Usage | null = null;
  finishReason: FinishReason | null = null;
  rawFinishReason: string | null = null;
  /** What else the `result` chunk's metadata shall hold, such as citations. */
  readonly extras: Record<string, unknown> = {};

  constructor(sink: ChunkSink, provider: string) {
    this.#sink = sink;
    this.#provider = provider;
  }

  /** The text so far. */
  get text(): string {
    return this.#text;
  }

  /** The reasoning so far. */
  get thinking(): string {
    return this.#thinking;
  }

  /** Every tool call so far, open and closed, in the order they began. */
  get toolCalls(): readonly OpenToolCall[] {
    return this.#toolCalls;
  }

  /** True once `result` or `error` has been written. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Holds the upstream back if the reader is behind; to be called after each piece of the body. */
  regulate(flow: Flow): void {
    if (!this.#behind) return;
    this.#behind = false;
    flow.pause();
    this.#sink.onDrain(() => flow.resume());
  }

  writeText(content: string, metadata?: Readonly<Record<string, unknown>>): void {
    this.#text += content;
    this.#write(
      metadata === undefined
        ? { type: 'text', content, isDelta: true }
        : { type: 'text', content, isDelta: true, metadata },
    );
  }

  /** Text with which the model declines. */
  writeRefusal(content: string, metadata: Readonly<Record<string, unknown>> = {}): void {
    this.#refused = true;
    this.writeText(content, { refusal: true, ...metadata });
  }

  /** What is neither answer nor failure, as a `system` chunk. @param event - Its name. */
  writeNote(event: string, fields: Readonly<Record<string, unknown>>): void {
    this.#write({ type: 'system', metadata: { event, ...fields } });
  }

  writeThinking(content: string, metadata?: Readonly<Record<string, unknown>>): void {
    this.#thinking += content;
    this.#write(
      metadata === undefined
        ? { type: 'thinking', content, isDelta: true }
        : { type: 'thinking', content, isDelta: true, metadata },
    );
  }

  /**
   * Bytes of an image or of sound.
   *
   * @param piece - `isDelta` for bytes that continue those before; else they are a whole file.
   */
  writeMedia(piece: Pick<Chunk, 'data' | 'mediaType' | 'isDelta' | 'metadata'>): void {
    this.#write({ type: 'media', ...piece });
  }

  /** Begins a tool call. A call without an id gets one. */
  openTool({ index = this.#toolCalls.length, id, name = '', providerExecuted = false }: NewToolCall): OpenToolCall {
    const call: OpenToolCall = {
      index,
      id: id === undefined || id === '' ? `call_${crypto.randomUUID().replaceAll('-', '')}` : id,
      name,
      arguments: '',
      extra: null,
      providerExecuted,
      closed: false,
    };
    this.#toolCalls.push(call);
    return call;
  }

  /** Adds a fragment of a call's arguments; the empty fragment tells of the call itself. */
  writeToolDelta(call: OpenToolCall, argumentsDelta: string): void {
    call.arguments += argumentsDelta;
    this.#write({
      type: 'tool_use',
      isDelta: true,
      toolId: call.id,
      ...(call.name === '' ? {} : { toolName: call.name }),
      metadata: { index: call.index, argumentsDelta, ...(call.providerExecuted ? { providerExecuted: true } : {}) },
    });
  }

  /** Writes a call's final chunk; a second time does nothing. */
  closeTool(call: OpenToolCall): void {
    if (call.closed) return;
    call.closed = true;
    const parsed = parseToolArguments(call.arguments);
    const metadata = {
      index: call.index,
      ...(call.extra === null ? {} : { extraContent: call.extra }),
      ...(call.providerExecuted ? { providerExecuted: true } : {}),
      ...(parsed.error === undefined ? {} : { rawArguments: call.arguments, parseError: parsed.error }),
    };
    if (!call.providerExecuted) {
      this.#toolUses.push({
        id: call.id,
        name: call.name,
        input: parsed.input,
        ...(parsed.error === undefined ? {} : { rawArguments: call.arguments }),
      });
    }
    this.#write({
      type: 'tool_use',
      isDelta: false,
      toolId: call.id,
      toolName: call.name,
      toolInput: parsed.input,
      ...(parsed.error === undefined ? {} : { isError: true }),
      metadata,
    });
  }

  /** Closes every call that is still open. */
  closeTools(): void {
    for (const call of this.#toolCalls) this.closeTool(call);
  }

  /** The outcome of a tool the vendor ran. */
  writeToolResult(toolId: string, toolOutput: unknown, isError = false): void {
    this.#write({
      type: 'tool_result',
      toolId,
      toolOutput,
      metadata: { providerExecuted: true },
      ...(isError ? { isError } : {}),
    });
  }

  /** Ends the stream well: closes open tools and writes `result`. */
  finish(): void {
    if (this.#ended) return;
    this.closeTools();
    this.#ended = true;
    this.#write({
      type: 'result',
      metadata: {
        done: true,
        finishReason: this.view().finishReason,
        rawFinishReason: this.rawFinishReason,
        usage: this.usage,
        model: this.model,
        id: this.id,
        ...this.extras,
      },
    });
  }

  /**
   * Ends the stream badly: writes `error`. The caller rejects with the same failure.
   *
   * @param raw - The vendor's own event, if there was one.
   */
  fail(failure: Failure, raw?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    const { status, reason } = failure as { status?: number; reason?: string };
    const chunk: Chunk = {
      type: 'error',
      isError: true,
      content: failure.message,
      metadata: {
        failure,
        code: reason ?? failure.code,
        type: failure.code,
        status: status ?? null,
        retryable: failure.retryable,
        ...(raw === undefined ? {} : { raw }),
      },
    };
    // Nothing was delivered so far, so nothing needs an announcement: whoever retries can still do so unseen.
    this.#sink.write(chunk);
  }

  /** The answer so far, in the shape every vendor shares. */
  view(): AnswerView {
    return {
      text: this.#text,
      thinking: this.#thinking,
      toolUses: this.#toolUses,
      finishReason: this.#reason(),
      usage: this.usage,
    };
  }

  #reason(): FinishReason | null {
    if (this.finishReason !== 'stop') return this.finishReason;
    // Gemini ends a turn that calls tools with `stop`.
    if (this.#toolUses.length > 0) return 'tool_calls';
    return this.#refused ? 'refusal' : 'stop';
  }

  #write(chunk: Chunk): void {
    if (!this.#announced) {
      this.#announced = true;
      const metadata = { id: this.id, model: this.model, provider: this.#provider };
      if (!this.#sink.write({ type: 'system', metadata })) this.#behind = true;
    }
    if (!this.#sink.write(chunk)) this.#behind = true;
  }
}

/**
 * Reads a tool's arguments.
 *
 * @returns An empty object for an empty text, since vendors send none for a tool without parameters; `error` when it is no JSON object.
 */
export function parseToolArguments(text: string): { input: Record<string, unknown>; error?: string } {
  if (text.trim() === '') return { input: {} };
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return { input: value as Record<string, unknown> };
    return { input: {}, error: 'The arguments are no JSON object' };
  } catch (error) {
    return { input: {}, error: (error as Error).message };
  }
}

/** The view of an answer that has no text, such as search results or an image. */
export const emptyView: AnswerView = { text: '', thinking: '', toolUses: [], finishReason: null, usage: null };
