import {
  type AnswerView,
  type Chunk,
  chunkToWire,
  type FinishReason,
  type ToolUse,
  type WireChunk,
} from '../../schemas/chunk.ts';
import { type AgentEvent, eventName } from './agent-event.ts';
import type { AgentHandlerName, AgentHandlers } from './agent-handlers.ts';
import { type AgentProblem, isPassing } from './agent-problem.ts';
import { summarize } from './agent-summary.ts';
import { UsageSum } from './agent-usage.ts';
import type { ChunkSink, UpstreamNote } from './endpoint.ts';

/** How a program said that it is done. */
export type Terminal =
  | { readonly ok: true; readonly stopReason: string | null; readonly metadata: AgentEvent }
  | { readonly ok: false; readonly problem: AgentProblem; readonly metadata: AgentEvent };

/** How a run ended, for the response and the last chunk. */
export interface RunExit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** What a session is made with. */
export interface SessionOptions {
  readonly provider: string;
  readonly sink: ChunkSink | null;
  readonly handlers: AgentHandlers;
  readonly keepRaw: boolean;
  readonly maxChunks: number;
  readonly includeSummary: boolean;
  /** The model that was asked for; the program's own word replaces it. */
  readonly model: string | null;
  readonly cwd: string;
  readonly cliVersion: string | null;
  /** Goes into the first chunk beside what the program says. */
  readonly startMetadata: AgentEvent;
  readonly warnings: readonly string[];
  /** Takes keys out of what a program says about failures, since vendors repeat the key they refuse. */
  readonly mask: (text: string) => string;
  /** Hears of events that nobody knows. */
  readonly journal: (note: UpstreamNote) => void;
}

const finishReasonOf: Readonly<Record<string, FinishReason>> = {
  end_turn: 'stop',
  stop: 'stop',
  stop_sequence: 'stop',
  completed: 'stop',
  terminated: 'stop',
  finished: 'stop',
  max_tokens: 'length',
  length: 'length',
  max_rounds: 'length',
  tool_use: 'tool_calls',
  toolUse: 'tool_calls',
  refusal: 'refusal',
};

/**
 * One run of an agent as it unfolds: turns what a program's reader understood into chunks, in the order every agent keeps, and gathers the
 * response.
 *
 * Order: one `system` chunk; then what the agent does, with `system` chunks that carry `metadata.event` between; then one `result` or one
 * `error`. A tool id is used once and answered once.
 */
export class AgentSession {
  readonly usage = new UsageSum();
  /** The program's own text of failure, likely but not yet decisive. */
  suspect: AgentProblem | null = null;
  terminal: Terminal | null = null;
  sessionId: string | null = null;
  model: string | null;
  cliVersion: string | null;
  cwd: string;
  totalCostUsd: number | null = null;
  turns = 0;
  durationMs: number | null = null;
  durationApiMs: number | null = null;
  /** The answer: the text of the last message. */
  result = '';
  readonly permissionDenials: unknown[] = [];
  readonly #options: SessionOptions;
  readonly #chunks: WireChunk[] = [];
  readonly #messages: { role: 'assistant'; content: string; agent?: string }[] = [];
  readonly #thinking: string[] = [];
  readonly #toolUses: ToolUse[] = [];
  readonly #toolNames = new Map<string, string>();
  readonly #toolResults: { tool_use_id: string; content: unknown; is_error: boolean }[] = [];
  readonly #answered = new Set<string>();
  readonly #unknown: Record<string, number> = {};
  readonly #noise: string[] = [];
  readonly #startedAt = performance.now();
  #started = false;
  #touched = false;
  #full = false;
  #handling: Promise<void> | null = null;
  #thinkingIsOpen = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.model = options.model;
    this.cwd = options.cwd;
    this.cliVersion = options.cliVersion;
  }

  /** Whether nothing of an answer reached the reader and no tool ran. */
  get untouched(): boolean {
    return !this.#touched;
  }

  /** The program introduced itself. Only the first time makes a chunk. */
  start(own: AgentEvent, raw: AgentEvent): void {
    if (this.#started) return;
    this.#begin(own, raw);
  }

  /** Something that is neither answer nor failure: a retry under way, a warning, a state of the program. */
  note(event: string, metadata: AgentEvent, raw?: AgentEvent): void {
    this.#beginUnlessStarted();
    const { mask } = this.#options;
    const told = Object.entries(metadata).map(([key, value]) => [key, typeof value === 'string' ? mask(value) : value]);
    this.#emit({ type: 'system', metadata: { event, ...Object.fromEntries(told) } }, raw);
    this.#handle('on_system', raw ?? { event, ...metadata });
  }

  /** A piece of the answer. Fragments are marked; whole messages are reported by {@link message} as well. */
  text(content: string, isDelta: boolean, raw?: AgentEvent, own: AgentEvent = {}): void {
    if (content === '') return;
    this.#content({ type: 'text', content, ...(isDelta ? { isDelta } : {}), metadata: own }, raw);
    this.#handle('on_text', content);
  }

  /** A piece of the reasoning; null when the vendor hides it. */
  thinking(content: string | null, isDelta: boolean, raw?: AgentEvent, own: AgentEvent = {}): void {
    if (content === '') return;
    this.#content({ type: 'thinking', content, ...(isDelta ? { isDelta } : {}), metadata: own }, raw);
    if (content !== null) {
      const last = this.#thinking.length - 1;
      if (isDelta && this.#thinkingIsOpen && last >= 0) this.#thinking[last] += content;
      else this.#thinking.push(content);
      this.#thinkingIsOpen = isDelta;
      this.#handle('on_thinking', content);
    }
  }

  /** A whole message of the agent; the last one is the result. Makes no chunk. */
  message(content: string, agent?: string): void {
    this.#thinkingIsOpen = false;
    this.#messages.push({ role: 'assistant', content, ...(agent === undefined ? {} : { agent }) });
    this.result = content;
  }

  /** The last message turned out to be longer: this is the whole of it. */
  extendMessage(content: string): void {
    const last = this.#messages[this.#messages.length - 1];
    if (last !== undefined) last.content = content;
    this.result = content;
  }

  /** The agent uses a tool. An id that was seen is left out. */
  toolUse(use: ToolUse, raw?: AgentEvent, own: AgentEvent = {}): void {
    if (this.#toolNames.has(use.id)) return;
    this.#thinkingIsOpen = false;
    this.#toolNames.set(use.id, use.name);
    this.#toolUses.push(use);
    this.#content({ type: 'tool_use', toolId: use.id, toolName: use.name, toolInput: use.input, metadata: own }, raw);
    this.#handle('on_tool_use', { id: use.id, name: use.name, input: use.input });
  }

  /** Whether a tool with this id was used. */
  knowsTool(id: string): boolean {
    return this.#toolNames.has(id);
  }

  /** A tool's answer. Only the first for an id counts. */
  toolResult(id: string, output: unknown, isError: boolean, raw?: AgentEvent, own: AgentEvent = {}): void {
    if (this.#answered.has(id)) return;
    this.#answered.add(id);
    this.#toolResults.push({ tool_use_id: id, content: output, is_error: isError });
    const toolName = this.#toolNames.get(id) ?? null;
    this.#content({ type: 'tool_result', toolId: id, toolName, toolOutput: output, isError, metadata: own }, raw);
    this.#handle('on_tool_result', { tool_use_id: id, content: output, is_error: isError });
  }

  /** An event nobody knows: counted, so that a new version's words do not pass unseen. */
  unknown(event: AgentEvent): void {
    const type = eventName(event);
    this.#unknown[type] = (this.#unknown[type] ?? 0) + 1;
    this.#options.journal({ kind: 'unknown_event', type, raw: event });
  }

  /** A line that was no event; the last 20 are kept, 500 characters of each. */
  noise(line: string): void {
    this.#noise.push(line.slice(0, 500));
    if (this.#noise.length > 20) this.#noise.shift();
  }

  /** The program says that it succeeded. */
  finish(stopReason: string | null, metadata: AgentEvent = {}): void {
    this.terminal = { ok: true, stopReason, metadata };
  }

  /** The program says that it failed. */
  fail(problem: AgentProblem, metadata: AgentEvent = {}): void {
    this.terminal = { ok: false, problem, metadata };
  }

  /** Somebody is asked: hands the question to `on_input`, and its answer to the program. */
  ask(id: string, prompt: string): void {
    const handler = this.#options.handlers.on_input;
    // Not awaited in the reading: the program may say more while a human thinks.
    void Promise.resolve(handler === undefined ? '' : handler({ id, prompt })).then(
      (text) => this.answer(id, typeof text === 'string' ? text : ''),
      () => this.answer(id, ''),
    );
  }

  /** Writes an answer to the program; set by whoever runs it. */
  answer: (id: string, text: string) => void = () => {};

  /** Emits the last chunk of a run that succeeded, and hands the response to `on_final`. */
  close(exit: RunExit): void {
    this.#beginUnlessStarted();
    const { stopReason, metadata } = this.#terminalParts();
    this.#emit({
      type: 'result',
      content: this.result,
      metadata: { ...this.#totals(), stop_reason: stopReason, is_error: false, ...metadata },
    });
    this.#handle('on_final', this.response(exit, null));
  }

  /** Emits the last chunk of a run that failed. The answer's text is not the result then. */
  closeFailed(problem: AgentProblem, exit: RunExit): void {
    const { metadata } = this.#terminalParts();
    this.#emit({
      type: 'error',
      content: problem.message,
      isError: true,
      metadata: {
        kind: problem.kind,
        status: problem.status,
        retryable: isPassing(problem.kind) && this.untouched,
        ...(problem.retryAfterMs === null ? {} : { retry_after_ms: problem.retryAfterMs }),
        session_id: this.sessionId,
        usage: this.usage.toWire(),
        exit_code: exit.code,
        signal: exit.signal,
        ...metadata,
      },
    });
    this.#handle('on_final', this.response(exit, problem));
  }

  /** The response of the call, with the same keys for every agent. */
  response(exit: RunExit, problem: AgentProblem | null): Record<string, unknown> {
    const result = problem === null ? this.result : '';
    const totals = this.#totals();
    return {
      ...totals,
      model: this.model,
      chunks: this.#chunks,
      messages: this.#messages,
      tool_uses: this.#toolUses,
      tool_results: this.#toolResults,
      thinking_log: this.#thinking,
      result,
      is_error: problem !== null,
      error:
        problem === null
          ? null
          : {
              kind: problem.kind,
              message: problem.message,
              status: problem.status,
              retryable: isPassing(problem.kind) && this.untouched,
            },
      stop_reason: this.#terminalParts().stopReason,
      exit_code: exit.code,
      signal: exit.signal,
      cli_version: this.cliVersion,
      permission_denials: this.permissionDenials,
      unknown_events: this.#unknown,
      noise: this.#noise,
      summary: this.#options.includeSummary
        ? summarize(this.#toolUses, result, {
            total_cost_usd: this.totalCostUsd,
            num_turns: this.turns,
            duration_ms: this.durationMs,
            duration_api_ms: this.durationApiMs,
            ...this.usage.toWire(),
          })
        : null,
    };
  }

  /** The same answer as every other endpoint shows it. */
  view(): AnswerView {
    const { stopReason } = this.#terminalParts();
    return {
      text: this.result,
      thinking: this.#thinking.join('\n'),
      toolUses: this.#toolUses,
      finishReason: stopReason === null ? 'stop' : (finishReasonOf[stopReason] ?? 'other'),
      usage: this.usage.value,
    };
  }

  /** Resolves when the handlers are done and the reader has room; undefined when there is nothing to wait for. */
  settled(): Promise<void> | undefined {
    if (this.#handling === null && !this.#full) return undefined;
    return this.#wait();
  }

  async #wait(): Promise<void> {
    const handling = this.#handling;
    this.#handling = null;
    await handling;
    const { sink } = this.#options;
    if (!this.#full || sink === null) return;
    await new Promise<void>((resolve) => sink.onDrain(resolve));
    this.#full = false;
  }

  #terminalParts(): { readonly stopReason: string | null; readonly metadata: AgentEvent } {
    if (this.terminal === null) return { stopReason: null, metadata: {} };
    return { stopReason: this.terminal.ok ? this.terminal.stopReason : null, metadata: this.terminal.metadata };
  }

  #totals(): Record<string, unknown> {
    return {
      session_id: this.sessionId,
      usage: this.usage.toWire(),
      total_cost_usd: this.totalCostUsd,
      num_turns: this.turns,
      duration_ms: this.durationMs ?? Math.round(performance.now() - this.#startedAt),
      duration_api_ms: this.durationApiMs,
    };
  }

  #beginUnlessStarted(): void {
    if (!this.#started) this.#begin({});
  }

  #begin(own: AgentEvent, raw?: AgentEvent): void {
    this.#started = true;
    const metadata = {
      session_id: this.sessionId,
      model: this.model,
      tools: [],
      cwd: this.cwd,
      cli_version: this.cliVersion,
      provider: this.#options.provider,
      ...own,
      ...this.#options.startMetadata,
    };
    this.#emit({ type: 'system', metadata }, raw);
    this.#handle('on_system', raw ?? metadata);
    for (const message of this.#options.warnings) this.note('warning', { message });
  }

  #content(chunk: Chunk, raw: AgentEvent | undefined): void {
    this.#beginUnlessStarted();
    this.#touched = true;
    this.#emit(chunk, raw);
  }

  #emit(chunk: Chunk, raw?: AgentEvent): void {
    const metadata: Record<string, unknown> = { ...chunk.metadata };
    if (typeof raw?.type === 'string') metadata.raw_type = raw.type;
    if (this.#options.keepRaw && raw !== undefined) metadata.raw = raw;
    const whole = { ...chunk, metadata };
    if (this.#chunks.length < this.#options.maxChunks) this.#chunks.push(chunkToWire(whole));
    if (this.#options.sink?.write(whole) === false) this.#full = true;
  }

  #handle(name: AgentHandlerName, value: unknown): void {
    const handler = this.#options.handlers[name];
    if (handler === undefined) return;
    if (this.#handling === null) {
      const outcome = handler(value);
      if (outcome instanceof Promise) this.#handling = outcome.then(() => undefined);
    } else {
      this.#handling = this.#handling.then(() => handler(value)).then(() => undefined);
    }
  }
}
