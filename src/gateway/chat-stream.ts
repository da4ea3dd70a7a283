import type { Chunk, FinishReason, Usage } from '../../schemas/chunk.ts';
import type { Failure } from '../../schemas/failure.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { record } from '../http/vendor-error.ts';
import { chatFinish, chatUsage, nameOf } from './chat-answer.ts';
import type { AnswerContext, StreamEncoder } from './dialect.ts';
import { openaiError } from './openai-dialect.ts';
import { statusOf } from './refusal.ts';

/** A tool call on its way. */
interface ToolInStream {
  readonly index: number;
  /** Arguments that came before the name did; null once the call has been announced. */
  held: string | null;
}

/**
 * Writes a streamed chat completion: `chat.completion.chunk` objects as unnamed events, then `[DONE]`. A failure is an event with an
 * `error` and nothing after it, which every client takes for what it is.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/chat-streaming} (read 2026-11)
 */
export class ChatStreamEncoder implements StreamEncoder {
  readonly #context: AnswerContext;
  readonly #tools = new Map<string, ToolInStream>();
  #id: string;
  #model: string;
  /** Everything before the delta, which is the same in every event; empty until the first. */
  #head = '';
  readonly #tail: string;
  #finishReason: FinishReason | null = null;
  #usage: Usage | null = null;
  #refused = false;

  constructor(context: AnswerContext) {
    this.#context = context;
    this.#id = `chatcmpl-${context.callId}`;
    this.#model = nameOf(context.target.model);
    this.#tail = context.includeUsage ? ',"finish_reason":null}],"usage":null}\n\n' : ',"finish_reason":null}]}\n\n';
  }

  chunk(chunk: Chunk): string {
    switch (chunk.type) {
      case 'text':
        return this.#text(chunk);
      case 'thinking':
        return chunk.content ? this.#delta(`{"reasoning_content":${JSON.stringify(chunk.content)}}`) : '';
      case 'tool_use':
        return this.#tool(chunk);
      case 'system':
        if (chunk.metadata?.event === 'choice') return this.#choice(chunk.metadata);
        this.#name(chunk.metadata ?? {});
        return '';
      case 'result':
        this.#result(chunk.metadata ?? {});
        return '';
      default:
        return '';
    }
  }

  end(): string {
    const reason = this.#refused && this.#finishReason === 'refusal' ? 'stop' : this.#finishReason;
    const finish = chatFinish(reason, this.#tools.size > 0);
    const { includeUsage } = this.#context;
    const opened = this.#head === '' ? this.#delta('{}') : '';
    const last = `${this.#head}{},"finish_reason":"${finish}"}]${includeUsage ? ',"usage":null' : ''}}\n\n`;
    return `${opened}${last}${includeUsage ? this.#usageEvent() : ''}data: [DONE]\n\n`;
  }

  failed(failure: Failure): string {
    return `data: ${JSON.stringify({ error: openaiError(failure, statusOf(failure)) })}\n\n`;
  }

  #text({ content, metadata }: Chunk): string {
    const logprobs = metadata?.logprobs === undefined ? '' : `,"logprobs":${JSON.stringify(metadata.logprobs)}`;
    if (!content && logprobs === '') return '';
    if (metadata?.refusal !== true) return this.#delta(`{"content":${JSON.stringify(content)}}${logprobs}`);
    this.#refused = true;
    return this.#delta(`{"refusal":${JSON.stringify(content)}}${logprobs}`);
  }

  /** A piece of another choice than the first, in the words of its vendor, which are the caller's. */
  #choice({ index, delta, finishReason, logprobs }: Fields): string {
    const opened = this.#head === '' ? this.#delta('{}') : '';
    const choice = { index, delta, ...(logprobs == null ? {} : { logprobs }), finish_reason: finishReason };
    const { includeUsage } = this.#context;
    const data = { ...this.#frame(), choices: [choice], ...(includeUsage ? { usage: null } : {}) };
    return `${opened}data: ${JSON.stringify(data)}\n\n`;
  }

  /** A delta as an event, after the one that opens the answer. */
  #delta(delta: string): string {
    if (this.#head !== '') return `${this.#head}${delta}${this.#tail}`;
    this.#head = `data: ${JSON.stringify(this.#frame()).slice(0, -1)},"choices":[{"index":0,"delta":`;
    return `${this.#head}{"role":"assistant","content":""}${this.#tail}${this.#head}${delta}${this.#tail}`;
  }

  #tool({ toolId, toolName, isDelta, toolInput, metadata }: Chunk): string {
    // What an agent or the vendor runs itself is nothing for the caller to run.
    if (this.#context.target.family === 'agent' || metadata?.providerExecuted === true) return '';
    const id = toolId ?? '';
    const known = this.#tools.get(id);
    const tool = known ?? { index: this.#tools.size, held: '' };
    if (known === undefined) this.#tools.set(id, tool);
    if (isDelta === true) return this.#toolDelta(tool, id, toolName ?? '', String(metadata?.argumentsDelta ?? ''));
    const whole = known === undefined ? wholeArguments(toolInput, metadata) : '';
    const announced = tool.held === null ? '' : this.#announce(tool, id, toolName ?? '', `${tool.held}${whole}`);
    const extra = record(metadata?.extraContent);
    if (extra === undefined) return announced;
    return `${announced}${this.#toolEvent({ index: tool.index, extra_content: extra })}`;
  }

  #toolDelta(tool: ToolInStream, id: string, name: string, fragment: string): string {
    if (tool.held === null) {
      return fragment === '' ? '' : this.#toolEvent({ index: tool.index, function: { arguments: fragment } });
    }
    if (name !== '') return this.#announce(tool, id, name, `${tool.held}${fragment}`);
    tool.held += fragment;
    return '';
  }

  #announce(tool: ToolInStream, id: string, name: string, fragment: string): string {
    tool.held = null;
    return this.#toolEvent({ index: tool.index, id, type: 'function', function: { name, arguments: fragment } });
  }

  #toolEvent(call: Fields): string {
    return this.#delta(`{"tool_calls":[${JSON.stringify(call)}]}`);
  }

  #name({ id, model }: Fields): void {
    if (this.#head !== '') return;
    if (typeof id === 'string' && id !== '') this.#id = id;
    if (typeof model === 'string' && model !== '') this.#model = model;
  }

  #result(metadata: Fields): void {
    // The endpoint wrote both; see `Answer.finish`.
    this.#finishReason = (metadata.finishReason ?? null) as FinishReason | null;
    this.#usage = (metadata.usage ?? null) as Usage | null;
  }

  #usageEvent(): string {
    if (this.#usage === null) return '';
    return `data: ${JSON.stringify({ ...this.#frame(), choices: [], usage: chatUsage(this.#usage) })}\n\n`;
  }

  #frame(): Fields {
    return {
      id: this.#id,
      object: 'chat.completion.chunk',
      created: this.#context.createdAt,
      model: this.#model,
    };
  }
}

function wholeArguments(input: Chunk['toolInput'], metadata: Chunk['metadata']): string {
  const raw = metadata?.rawArguments;
  return typeof raw === 'string' ? raw : JSON.stringify(input ?? {});
}
