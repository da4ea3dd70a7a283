import type { Writable } from 'node:stream';
import { type Chunk, chunkToWire, type ToolUse } from '../../../schemas/chunk.ts';
import type { ChunkSink, UpstreamNote } from '../endpoint.ts';
import { type AgentEvent, eventName } from './agent-event.ts';
import { type AgentHandlers, HandlerQueue } from './agent-handlers.ts';
import type { AgentProblem } from './agent-problem.ts';
import { AgentRecord, type RecordOptions, type RunExit } from './agent-record.ts';

/** What a session is made with. */
export interface SessionOptions extends RecordOptions {
  readonly provider: string;
  readonly sink: ChunkSink | null;
  readonly handlers: AgentHandlers;
  readonly keepRaw: boolean;
  /** Goes into the first chunk beside what the program says. */
  readonly startMetadata: AgentEvent;
  readonly warnings: readonly string[];
  /** Takes keys out of what a program says about failures, since vendors repeat the key they refuse. */
  readonly mask: (text: string) => string;
  /** Hears of events that nobody knows, and of lines that are none. */
  readonly journal: (note: UpstreamNote) => void;
}

/**
 * One run of an agent as it unfolds: turns what a program's reader understood into chunks, in the order every agent keeps, and into calls of
 * the handlers.
 *
 * Order: one `system` chunk; then what the agent does, with `system` chunks that carry `metadata.event` between; then one `result` or one
 * `error`. A tool id is used once and answered once.
 */
export class AgentSession {
  /** What is known so far; readers write the program's own numbers into it. */
  readonly record: AgentRecord;
  readonly #options: SessionOptions;
  readonly #handlers: HandlerQueue;
  #input: Writable | null = null;
  #started = false;
  #full = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.record = new AgentRecord(options);
    this.#handlers = new HandlerQueue(options.handlers);
  }

  /** The program introduced itself. Only the first time makes a chunk. */
  start(own: AgentEvent, raw?: AgentEvent): void {
    if (this.#started) return;
    this.#started = true;
    const { sessionId, model, cwd, cliVersion } = this.record;
    const metadata = {
      ...{ session_id: sessionId, model, tools: [], cwd, cli_version: cliVersion, provider: this.#options.provider },
      ...own,
      ...this.#options.startMetadata,
    };
    this.#emit({ type: 'system', metadata }, raw);
    this.#handlers.call('on_system', raw ?? metadata);
    for (const message of this.#options.warnings) this.note('warning', { message });
  }

  /** Something that is neither answer nor failure: a retry under way, a warning, a state of the program. */
  note(event: string, metadata: AgentEvent, raw?: AgentEvent): void {
    this.start({});
    const { mask } = this.#options;
    const told = Object.entries(metadata).map(([key, value]) => [key, typeof value === 'string' ? mask(value) : value]);
    this.#emit({ type: 'system', metadata: { event, ...Object.fromEntries(told) } }, raw);
    this.#handlers.call('on_system', raw ?? { event, ...metadata });
  }

  /** A piece of the answer. Fragments are marked; whole messages are reported by {@link message} as well. */
  text(content: string, isDelta: boolean, raw?: AgentEvent, own: AgentEvent = {}): void {
    if (content === '') return;
    if (isDelta) this.record.fragment(content);
    this.#content({ type: 'text', content, ...(isDelta ? { isDelta } : {}), metadata: own }, raw);
    this.#handlers.call('on_text', content);
  }

  /** A piece of the reasoning; null when the vendor hides it. */
  thinking(content: string | null, isDelta: boolean, raw?: AgentEvent, own: AgentEvent = {}): void {
    if (content === '') return;
    this.#content({ type: 'thinking', content, ...(isDelta ? { isDelta } : {}), metadata: own }, raw);
    if (content === null) return;
    this.record.thought(content, isDelta);
    this.#handlers.call('on_thinking', content);
  }

  /** A whole message of the agent; the last one is the result. Makes no chunk. */
  message(content: string, agent?: string): void {
    this.record.message(content, agent);
  }

  /** The agent uses a tool. An id that was seen is left out. */
  toolUse(use: ToolUse, raw?: AgentEvent, own: AgentEvent = {}): void {
    if (!this.record.toolUse(use)) return;
    const { id, name, input } = use;
    this.#content({ type: 'tool_use', toolId: id, toolName: name, toolInput: input, metadata: own }, raw);
    this.#handlers.call('on_tool_use', { id, name, input });
  }

  /** A tool's answer. Only the first for an id counts. */
  toolResult(id: string, output: unknown, isError: boolean, raw?: AgentEvent, own: AgentEvent = {}): void {
    if (!this.record.toolResult(id, output, isError)) return;
    const toolName = this.record.toolName(id);
    this.#content({ type: 'tool_result', toolId: id, toolName, toolOutput: output, isError, metadata: own }, raw);
    this.#handlers.call('on_tool_result', { tool_use_id: id, content: output, is_error: isError });
  }

  /** An event nobody knows: counted and written into the journal, so that a new version's words do not pass unseen. */
  unknown(event: AgentEvent): void {
    const type = eventName(event);
    this.record.unknown(type);
    this.#options.journal({ kind: 'unknown_event', type, raw: event });
  }

  /** A line that was no event. */
  noise(line: string): void {
    const masked = this.#options.mask(line);
    this.record.noise(masked);
    this.#options.journal({ kind: 'noise', type: 'line', raw: masked.slice(0, 500) });
  }

  /** The program says that it succeeded. */
  finish(stopReason: string | null, metadata: AgentEvent = {}): void {
    this.record.terminal = { ok: true, stopReason, metadata };
  }

  /** The program says that it failed. */
  fail(problem: AgentProblem, metadata: AgentEvent = {}): void {
    this.record.terminal = { ok: false, problem, metadata };
  }

  /** The program reads answers to its questions here. */
  answerOn(input: Writable): void {
    this.#input = input;
  }

  /** Somebody is asked: hands the question to `on_input`, and its answer to the program. Without a handler the answer is empty. */
  ask(id: string, prompt: string): void {
    const handler = this.#options.handlers.on_input;
    const answer = (text: unknown): void => {
      this.#input?.write(`${JSON.stringify({ op: 'input', id, text: typeof text === 'string' ? text : '' })}\n`);
    };
    // Not awaited in the reading: the program may say more while a human thinks.
    void (async () => handler?.({ id, prompt }))().then(answer, () => answer(''));
  }

  /** Emits the last chunk of a run that succeeded, and hands the response to `on_final`. */
  close(exit: RunExit): void {
    this.start({});
    const { record } = this;
    const metadata = { ...record.totals(), stop_reason: record.stopReason, is_error: false };
    this.#emit({
      type: 'result',
      content: record.result,
      metadata: { ...metadata, ...record.terminal?.metadata },
    });
    this.#handlers.call('on_final', record.response(exit, null));
  }

  /** Emits the last chunk of a run that failed, and hands the response to `on_final`. */
  closeFailed(problem: AgentProblem, exit: RunExit): void {
    const { record } = this;
    const { kind, message, status, retryAfterMs } = problem;
    const metadata = {
      ...{ kind, status, retryable: record.isRetryable(problem) },
      ...(retryAfterMs === null ? {} : { retry_after_ms: retryAfterMs }),
      ...{ session_id: record.sessionId, usage: record.usage.toWire(), total_cost_usd: record.totalCostUsd },
      ...{ exit_code: exit.code, signal: exit.signal },
      ...record.terminal?.metadata,
    };
    this.#emit({ type: 'error', content: message, isError: true, metadata });
    this.#handlers.call('on_final', record.response(exit, problem));
  }

  /** Whether handlers are under way or the reader has no room: then {@link settled} is to be waited for before more is read. */
  get isBusy(): boolean {
    return this.#full || !this.#handlers.isIdle;
  }

  /** Resolves when the handlers are done and the reader has room. @throws What a handler threw. */
  async settled(): Promise<void> {
    await this.#handlers.settled();
    const { sink } = this.#options;
    if (!this.#full || sink === null) return;
    await new Promise<void>((resolve) => sink.onDrain(resolve));
    this.#full = false;
  }

  #content(chunk: Chunk, raw: AgentEvent | undefined): void {
    this.start({});
    this.record.touched = true;
    this.#emit(chunk, raw);
  }

  #emit(chunk: Chunk, raw?: AgentEvent): void {
    const metadata: Record<string, unknown> = { ...chunk.metadata };
    if (typeof raw?.type === 'string') metadata.raw_type = raw.type;
    if (this.#options.keepRaw && raw !== undefined) metadata.raw = raw;
    const whole = { ...chunk, metadata };
    this.record.chunk(chunkToWire(whole));
    if (this.#options.sink?.write(whole) === false) this.#full = true;
  }
}
