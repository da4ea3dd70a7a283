import type { AnswerView, FinishReason, ToolUse, WireChunk } from '../../../schemas/chunk.ts';
import type { AgentEvent } from './agent-event.ts';
import { type AgentProblem, isPassing } from './agent-problem.ts';
import { summarize } from './agent-summary.ts';
import { UsageSum } from './agent-usage.ts';

/** How a program said that it is done. */
export type Terminal =
  | { readonly ok: true; readonly stopReason: string | null; readonly metadata: AgentEvent }
  | { readonly ok: false; readonly problem: AgentProblem; readonly metadata: AgentEvent };

/** How a run ended, for the response and the last chunk. */
export interface RunExit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** What a record is begun with. */
export interface RecordOptions {
  /** The model that was asked for; the program's own word replaces it. */
  readonly model: string | null;
  readonly cwd: string;
  readonly cliVersion: string | null;
  /** Chunks that are kept; later ones are only streamed. */
  readonly maxChunks: number;
  readonly includeSummary: boolean;
}

/** How many lines of noise are kept, and how much of each. */
const noiseLines = 20;
const noiseLength = 500;

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

/** What is known of one run of an agent, whoever told it: the source of its response. It emits nothing. */
export class AgentRecord {
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
  permissionDenials: readonly unknown[] = [];
  /** Whether something of an answer came, or a tool ran: then the same call is not to be made again unseen. */
  touched = false;
  readonly #options: RecordOptions;
  readonly #startedAt = performance.now();
  readonly #chunks: WireChunk[] = [];
  readonly #messages: { role: 'assistant'; content: string; agent?: string }[] = [];
  readonly #thinking: string[] = [];
  readonly #toolUses = new Map<string, ToolUse>();
  readonly #toolResults = new Map<string, { tool_use_id: string; content: unknown; is_error: boolean }>();
  readonly #unknown: Record<string, number> = {};
  readonly #noise: string[] = [];
  /** Fragments of a message that is not whole yet. */
  #unfinished: string[] = [];
  #thinkingIsOpen = false;

  constructor(options: RecordOptions) {
    this.#options = options;
    this.model = options.model;
    this.cwd = options.cwd;
    this.cliVersion = options.cliVersion;
  }

  /** A chunk was emitted. */
  chunk(chunk: WireChunk): void {
    if (this.#chunks.length < this.#options.maxChunks) this.#chunks.push(chunk);
  }

  /** A fragment of a message came. */
  fragment(content: string): void {
    this.#unfinished.push(content);
  }

  /** A whole message came; the last one is the result. */
  message(content: string, agent?: string): void {
    this.#closePieces();
    this.#messages.push({ role: 'assistant', content, ...(agent === undefined ? {} : { agent }) });
    this.result = content;
  }

  /** The last message turned out to be longer: this is the whole of it. */
  extendMessage(content: string): void {
    this.#closePieces();
    const last = this.#messages[this.#messages.length - 1];
    if (last !== undefined) last.content = content;
    this.result = content;
  }

  /** A piece of reasoning came. Fragments that follow each other are one thought. */
  thought(content: string, isDelta: boolean): void {
    const last = this.#thinking.length - 1;
    if (isDelta && this.#thinkingIsOpen) this.#thinking[last] += content;
    else this.#thinking.push(content);
    this.#thinkingIsOpen = isDelta;
  }

  /** A tool was used. @returns Whether its id is new; one that was seen changes nothing. */
  toolUse(use: ToolUse): boolean {
    if (this.#toolUses.has(use.id)) return false;
    this.#thinkingIsOpen = false;
    this.#toolUses.set(use.id, use);
    return true;
  }

  /** A tool answered. @returns Whether it is the first answer for its id; later ones change nothing. */
  toolResult(id: string, content: unknown, isError: boolean): boolean {
    if (this.#toolResults.has(id)) return false;
    this.#toolResults.set(id, { tool_use_id: id, content, is_error: isError });
    return true;
  }

  /** The name of the tool that was used under an id; null when none was. */
  toolName(id: string): string | null {
    return this.#toolUses.get(id)?.name ?? null;
  }

  /** An event nobody knows came. */
  unknown(type: string): void {
    this.#unknown[type] = (this.#unknown[type] ?? 0) + 1;
  }

  /** A line came that was no event; the last ones are kept, the beginning of each. */
  noise(line: string): void {
    this.#noise.push(line.slice(0, noiseLength));
    if (this.#noise.length > noiseLines) this.#noise.shift();
  }

  /** The numbers of the run, for its last chunk and its response. */
  totals(): Record<string, unknown> {
    return {
      session_id: this.sessionId,
      usage: this.usage.toWire(),
      total_cost_usd: this.totalCostUsd,
      num_turns: this.turns,
      duration_ms: this.durationMs ?? Math.round(performance.now() - this.#startedAt),
      duration_api_ms: this.durationApiMs,
    };
  }

  /** Why the model stopped, in the program's own word; null when it gave none or did not succeed. */
  get stopReason(): string | null {
    return this.terminal?.ok === true ? this.terminal.stopReason : null;
  }

  /** Whether a problem can go away by itself and nothing speaks against trying again. */
  isRetryable(problem: AgentProblem): boolean {
    return isPassing(problem.kind) && !this.touched;
  }

  /**
   * The response of the call, with the same keys for every agent.
   *
   * @param problem - Why it failed; null for success. The answer's text is not the result then.
   */
  response(exit: RunExit, problem: AgentProblem | null): Record<string, unknown> {
    const result = problem === null ? this.result : '';
    return {
      ...this.totals(),
      model: this.model,
      chunks: this.#chunks,
      messages: this.#messages,
      tool_uses: [...this.#toolUses.values()],
      tool_results: [...this.#toolResults.values()],
      thinking_log: this.#thinking,
      result,
      is_error: problem !== null,
      error: problem === null ? null : this.#errorOf(problem),
      stop_reason: this.stopReason,
      exit_code: exit.code,
      signal: exit.signal,
      cli_version: this.cliVersion,
      permission_denials: this.permissionDenials,
      unknown_events: this.#unknown,
      noise: this.#noise,
      summary: this.#options.includeSummary ? this.#summary(result) : null,
    };
  }

  /** The same answer as every other endpoint shows it; of a run that did not succeed, as much as came. */
  view(): AnswerView {
    const { terminal } = this;
    const reason = terminal?.ok === true ? (terminal.stopReason ?? 'stop') : null;
    return {
      text: this.#unfinished.length === 0 ? this.result : this.#unfinished.join(''),
      thinking: this.#thinking.join('\n'),
      toolUses: [...this.#toolUses.values()],
      finishReason: reason === null ? null : (finishReasonOf[reason] ?? 'other'),
      usage: this.usage.value,
    };
  }

  #closePieces(): void {
    this.#thinkingIsOpen = false;
    this.#unfinished = [];
  }

  #errorOf(problem: AgentProblem): Record<string, unknown> {
    const { kind, message, status } = problem;
    return { kind, message, status, retryable: this.isRetryable(problem) };
  }

  #summary(result: string): unknown {
    const { session_id: _session, usage: _usage, ...numbers } = this.totals();
    return summarize([...this.#toolUses.values()], result, {
      ...numbers,
      duration_ms: this.durationMs,
      ...this.usage.toWire(),
    });
  }
}
