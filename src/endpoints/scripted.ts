import type { AnswerView, ToolUse, Usage } from '../../schemas/chunk.ts';
import { type Failure, failureCodes, failureOf } from '../../schemas/failure.ts';
import { type ScriptedRequest, scriptedRequest } from '../../schemas/requests/scripted.ts';
import { IModelError, printValue } from '../errors.ts';
import { estimateTokens } from '../tokens/estimate.ts';
import { Answer } from './answer.ts';
import type { ChunkSink, Endpoint, EndpointConfig, EndpointJob, EndpointReply, Fields } from './endpoint.ts';
import { mergeFields } from './fields.ts';
import { contentText } from './openai-chat-reply.ts';
import { checkRequest } from './request-check.ts';

/** The part of a clock a script needs. */
export interface Timers {
  setTimeout(callback: () => void, delayMs: number): unknown;
  clearTimeout(handle: unknown): void;
}

/** How a {@link ScriptedEndpoint} is made. */
export interface ScriptedOptions {
  /** The script and other defaults of requests; see `scriptedRequest`. */
  readonly kwargs?: Fields;
  /** What delays are measured by. @defaultValue the timers of the machine */
  readonly clock?: Timers;
}

const systemTimers: Timers = {
  setTimeout: (callback, delayMs) => setTimeout(callback, delayMs),
  clearTimeout: (handle) => clearTimeout(handle as NodeJS.Timeout),
};

/**
 * Answers by script: no key, no network, the same every time. It is what demos, benches and tests talk to.
 *
 * Without delays a one-shot call resolves within microtasks, and a stream writes as fast as its reader takes.
 *
 * @example
 * ```ts
 * const endpoint = new ScriptedEndpoint({ kwargs: { text: 'Hello!', chunks: 3, failures: ['rate_limited'] } });
 * ```
 */
export class ScriptedEndpoint implements Endpoint {
  readonly config: EndpointConfig;
  readonly isCli = false;
  readonly requestOptions = scriptedRequest;
  readonly transportFields: readonly string[] = [];
  readonly #clock: Timers;
  #calls = 0;

  /** @throws IModelError `invalid_request` for a default that no request could hold. */
  constructor({ kwargs = {}, clock = systemTimers }: ScriptedOptions = {}) {
    this.#clock = clock;
    this.config = {
      name: 'scripted_chat/completions',
      provider: 'scripted',
      baseUrl: null,
      endpoint: 'chat/completions',
      method: 'POST',
      authType: 'none',
      contentType: null,
      defaultHeaders: {},
      timeout: 600,
      requiresTokens: true,
      contextWindow: null,
      kwargs: checkRequest(scriptedRequest, { model: 'scripted', ...kwargs }),
    };
  }

  prepare(request: Fields): Fields {
    return checkRequest(scriptedRequest, mergeFields(this.config.kwargs, request));
  }

  estimateTokens(payload: Fields): number {
    const { estimatedTokens } = payload as ScriptedRequest;
    return estimatedTokens ?? estimateTokens(payload);
  }

  async run(job: EndpointJob): Promise<EndpointReply> {
    const { aborted, reason } = job.abortSource ?? job.signal;
    if (aborted) throw reason;
    this.#calls += 1;
    const call = this.#calls;
    const script = job.payload as ScriptedRequest;
    const failure = failureFor(script, call);
    job.sent();
    const delayMs = script.delayMs ?? script.delay_ms ?? 0;
    if (delayMs > 0) await this.#wait(delayMs, job.signal);
    if (failure !== null && (job.sink === null || failure.afterChunks === 0)) throw new IModelError(failure.failure);
    job.answered();
    const text = textFor(script);
    const id = `scripted-${call}`;
    if (job.sink === null) {
      const view = viewOf(script, text, id);
      return { response: bodyOf(script, view, id), view };
    }
    return this.#stream(job, job.sink, script, text, id, failure);
  }

  async close(): Promise<void> {}

  async #stream(
    job: EndpointJob,
    sink: ChunkSink,
    script: ScriptedRequest,
    text: string,
    id: string,
    failure: ScriptedEnd | null,
  ): Promise<EndpointReply> {
    const gate = new Gate(sink, job.signal);
    const answer = new Answer(gate, 'scripted');
    answer.id = id;
    answer.model = script.model ?? 'scripted';
    if (script.thinking !== undefined) answer.writeThinking(script.thinking);
    const gapMs = script.chunkDelayMs ?? script.chunk_delay_ms ?? 0;
    const pieces = script.chunks === undefined ? wordsOf(text) : cut(text, script.chunks);
    for (const [index, piece] of pieces.entries()) {
      if (failure !== null && index === failure.afterChunks) break;
      if (index > 0 && gapMs > 0) await this.#wait(gapMs, job.signal);
      if (gate.behind) await gate.drained();
      job.signal.throwIfAborted();
      answer.writeText(piece);
    }
    if (failure !== null) {
      answer.fail(failure.failure);
      throw new IModelError(failure.failure);
    }
    const view = viewOf(script, pieces.join(''), id);
    for (const use of view.toolUses) {
      const call = answer.openTool(use);
      answer.writeToolDelta(call, JSON.stringify(use.input));
    }
    answer.usage = view.usage;
    answer.finishReason = view.finishReason;
    answer.rawFinishReason = view.finishReason;
    answer.finish();
    return { response: bodyOf(script, view, id), view: { ...answer.view() } };
  }

  #wait(delayMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#clock.clearTimeout(timer);
        reject(signal.reason);
      };
      const timer = this.#clock.setTimeout(() => {
        signal.removeEventListener('abort', abort);
        resolve();
      }, delayMs);
      signal.addEventListener('abort', abort, { once: true });
    });
  }
}

/** Remembers that the reader is behind, so that the script can wait for it. */
class Gate implements ChunkSink {
  readonly #sink: ChunkSink;
  readonly #signal: AbortSignal;
  behind = false;

  constructor(sink: ChunkSink, signal: AbortSignal) {
    this.#sink = sink;
    this.#signal = signal;
  }

  write(chunk: Parameters<ChunkSink['write']>[0]): boolean {
    if (!this.#sink.write(chunk)) this.behind = true;
    return !this.behind;
  }

  onDrain(resume: () => void): void {
    this.#sink.onDrain(resume);
  }

  /** Resolves when the reader has caught up; rejects with the signal's reason. */
  drained(): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(this.#signal.reason);
      this.#signal.addEventListener('abort', abort, { once: true });
      this.#sink.onDrain(() => {
        this.behind = false;
        this.#signal.removeEventListener('abort', abort);
        resolve();
      });
    });
  }
}

interface ScriptedEnd {
  readonly failure: Failure;
  readonly afterChunks: number;
}

function failureFor({ failures }: ScriptedRequest, call: number): ScriptedEnd | null {
  const entry = typeof failures === 'function' ? failures(call) : failures?.[call - 1];
  if (entry === null || entry === undefined) return null;
  const { code, message, afterChunks = 0, ...details } = typeof entry === 'string' ? { code: entry } : entry;
  return { failure: scriptedFailureOf(code, message, details), afterChunks };
}

/** Codes a vendor or its connection can cause; the others are made by the runtime alone. */
const scriptable = [
  'rate_limited',
  'overloaded',
  'unavailable',
  'unauthorized',
  'rejected',
  'context_overflow',
  'filtered',
  'malformed',
  'timed_out',
] as const;

function scriptedFailureOf(code: string, message: string | undefined, details: Fields): Failure {
  const known = scriptable.find((name) => name === code);
  if (known === undefined) {
    const expected = `Expected a code of \`failures\` to be one of ${scriptable.join(', ')}, got ${printValue(code)}`;
    throw IModelError.of('invalid_request', expected, { path: 'failures', value: printValue(code) });
  }
  const said = message ?? `The script says ${code}`;
  if (known === 'timed_out') return failureOf(known, said, { phase: 'attempt', timeoutMs: 0, ...details });
  if (known === 'malformed') return failureOf(known, said, details);
  return failureOf(known, said, { status: failureCodes[known].http, ...details });
}

function textFor(script: ScriptedRequest): string {
  if (typeof script.text === 'function') return script.text(script);
  if (script.text !== undefined) return script.text;
  const asked = script.messages?.findLast(({ role }) => role === 'user');
  return asked === undefined ? (script.prompt ?? '') : contentText(asked.content);
}

function viewOf(script: ScriptedRequest, text: string, id: string): AnswerView {
  const toolUses = script.toolUses === undefined ? [] : toolUsesOf(script.toolUses, id);
  return {
    text,
    thinking: script.thinking ?? '',
    toolUses,
    finishReason: toolUses.length > 0 ? 'tool_calls' : 'stop',
    usage: usageOf(script, text),
  };
}

function toolUsesOf(scripted: NonNullable<ScriptedRequest['toolUses']>, id: string): ToolUse[] {
  return scripted.map(({ id: given, name, input = {} }, index) => ({
    id: given ?? `${id}-tool-${index + 1}`,
    name,
    input,
  }));
}

function usageOf({ usage, messages = [] }: ScriptedRequest, text: string): Usage | null {
  if (usage === null) return null;
  if (usage !== undefined) return totalled(usage.inputTokens, usage.outputTokens);
  let inputTokens = 0;
  for (const { content } of messages) inputTokens += quarter(contentText(content));
  return totalled(inputTokens, quarter(text));
}

function totalled(inputTokens: number, outputTokens: number): Usage {
  return { inputTokens, outputTokens, totalTokens: inputTokens + outputTokens };
}

function quarter(text: string): number {
  return Math.ceil(text.length / 4);
}

/** The answer as a chat completion. */
function bodyOf(script: ScriptedRequest, view: AnswerView, id: string): Fields {
  const message: Record<string, unknown> = { role: 'assistant', content: view.text };
  if (view.thinking !== '') message.reasoning_content = view.thinking;
  if (view.toolUses.length > 0) {
    message.tool_calls = view.toolUses.map((use) => ({
      id: use.id,
      type: 'function',
      function: { name: use.name, arguments: JSON.stringify(use.input) },
    }));
  }
  const body: Record<string, unknown> = {
    id,
    object: 'chat.completion',
    model: script.model ?? 'scripted',
    choices: [{ index: 0, message, finish_reason: view.finishReason }],
  };
  if (view.usage !== null) {
    const { inputTokens, outputTokens, totalTokens } = view.usage;
    body.usage = { prompt_tokens: inputTokens, completion_tokens: outputTokens, total_tokens: totalTokens };
  }
  return body;
}

function wordsOf(text: string): string[] {
  return text.match(/\s*\S+|\s+$/g) ?? [];
}

/** Cuts a text into exactly `count` pieces of nearly equal length, repeating it first if it is too short. */
function cut(text: string, count: number): string[] {
  const letters = Array.from(text === '' ? '.' : text);
  const source =
    letters.length >= count ? letters : Array.from({ length: count }, (_, i) => letters[i % letters.length] ?? '');
  return Array.from({ length: count }, (_, index) =>
    source
      .slice(Math.floor((index * source.length) / count), Math.floor(((index + 1) * source.length) / count))
      .join(''),
  );
}
