import type { AnswerView, Chunk, Usage } from '../../schemas/chunk.ts';
import type { Failure } from '../../schemas/failure.ts';
import type { Endpoint, EndpointConfig, EndpointJob, EndpointReply, Fields } from '../../src/endpoints/endpoint.ts';
import { IModelError } from '../../src/errors.ts';
import { iModel } from '../../src/imodel.ts';
import type { IModelOptions } from '../../src/imodel-options.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

/** What a request to a {@link TimedEndpoint} says about its own fate. Times are milliseconds of the virtual clock. */
export interface Play {
  /** Names the call in {@link TimedEndpoint.starts}. */
  readonly name?: string;
  /** How long the call takes; for a stream the gap before each chunk. @defaultValue 0 */
  readonly takesMs?: number;
  /** What it fails with after that time. */
  readonly failure?: Failure;
  /** Thrown instead, as an endpoint of somebody else's might. */
  readonly thrown?: unknown;
  /** Texts of the chunks of a stream; the answer is all of them joined. */
  readonly chunks?: readonly string[];
  readonly response?: unknown;
  /** Estimated tokens. @defaultValue 0 */
  readonly tokens?: number;
  /** Tokens reported as used; none are reported when absent. */
  readonly usedTokens?: number;
  /** How long the transport takes to be gone after an abort. @defaultValue 0 */
  readonly stopMs?: number;
}

/** One request as the endpoint saw it. */
export interface Start {
  readonly name: string;
  readonly at: number;
  readonly tokens: number;
}

/** An endpoint whose calls take virtual time and do as their own request says. */
export class TimedEndpoint implements Endpoint {
  readonly config: EndpointConfig;
  readonly isCli = false;
  readonly requestOptions = null;
  readonly transportFields = ['file'];
  readonly starts: Start[] = [];
  /** Requests that run now, and the most that ever did. */
  running = 0;
  mostRunning = 0;
  /** Times it was closed. */
  closed = 0;
  readonly #clock: VirtualClock;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
    this.config = {
      name: 'timed_play',
      provider: 'timed',
      baseUrl: null,
      endpoint: 'play',
      method: 'POST',
      authType: 'none',
      contentType: null,
      defaultHeaders: {},
      timeout: 60,
      requiresTokens: true,
      contextWindow: null,
      kwargs: {},
    };
  }

  /** Seconds at which each request began, in order. */
  get startSeconds(): number[] {
    return this.starts.map(({ at }) => at / 1_000);
  }

  get names(): string[] {
    return this.starts.map(({ name }) => name);
  }

  prepare(request: Fields): Fields {
    return { ...this.config.kwargs, ...request };
  }

  estimateTokens(payload: Fields): number {
    return (payload as Play).tokens ?? 0;
  }

  async run(job: EndpointJob): Promise<EndpointReply> {
    const play = job.payload as Play;
    this.starts.push({ name: play.name ?? '', at: this.#clock.now(), tokens: play.tokens ?? 0 });
    this.running += 1;
    this.mostRunning = Math.max(this.mostRunning, this.running);
    job.sent();
    try {
      return await (job.sink === null ? this.#answer(job, play) : this.#stream(job, play));
    } catch (error) {
      if (job.signal.aborted && play.stopMs !== undefined) await this.#clock.sleep(play.stopMs);
      throw error;
    } finally {
      this.running -= 1;
    }
  }

  async close(): Promise<void> {
    this.closed += 1;
  }

  async #answer(job: EndpointJob, play: Play): Promise<EndpointReply> {
    await this.#wait(play.takesMs ?? 0, job.signal);
    fail(play);
    job.answered();
    const text = play.chunks?.join('') ?? '';
    return { response: play.response ?? { text }, view: viewOf(play, text) };
  }

  async #stream(job: EndpointJob, play: Play): Promise<EndpointReply> {
    for (const content of play.chunks ?? []) {
      await this.#wait(play.takesMs ?? 0, job.signal);
      job.answered();
      job.sink?.write({ type: 'text', content, isDelta: true });
    }
    fail(play);
    const text = play.chunks?.join('') ?? '';
    const view = viewOf(play, text);
    job.sink?.write({ type: 'result', metadata: { usage: view.usage } });
    return { response: { text }, view };
  }

  #wait(ms: number, signal: AbortSignal): Promise<void> {
    if (ms === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#clock.clearTimeout(timer);
        reject(signal.reason);
      };
      const timer = this.#clock.setTimeout(() => {
        signal.removeEventListener('abort', abort);
        resolve();
      }, ms);
      signal.addEventListener('abort', abort, { once: true });
    });
  }
}

function fail({ failure, thrown }: Play): void {
  if (thrown !== undefined) throw thrown;
  if (failure !== undefined) throw new IModelError(failure);
}

function viewOf({ usedTokens }: Play, text: string): AnswerView {
  const usage: Usage | null =
    usedTokens === undefined ? null : { inputTokens: 0, outputTokens: usedTokens, totalTokens: usedTokens };
  return { text, thinking: '', toolUses: [], finishReason: 'stop', usage };
}

/** An iModel on a {@link TimedEndpoint}, with exact windows and all time virtual. */
export interface TimedModel {
  readonly clock: VirtualClock;
  readonly endpoint: TimedEndpoint;
  readonly model: iModel;
  /** Invokes at an instant of the virtual clock, in seconds from its start. */
  at(seconds: number, play?: Play): void;
  /** Moves on to an instant, in seconds. */
  until(seconds: number): Promise<void>;
  /** Calls that were made with {@link at}, settled or not, in their order. */
  readonly outcomes: Promise<unknown>[];
}

/** See {@link TimedModel}. */
export function timedModel(options: IModelOptions = {}): TimedModel {
  const clock = new VirtualClock();
  const endpoint = new TimedEndpoint(clock);
  const model = new iModel({ endpoint, clock, windowMargin: 0, retry: null, ...options });
  const outcomes: Promise<unknown>[] = [];
  return {
    clock,
    endpoint,
    model,
    outcomes,
    at(seconds, play = {}) {
      const start = (): void => {
        const outcome = model.invoke({ ...play });
        outcome.catch(() => {});
        outcomes.push(outcome);
      };
      if (seconds * 1_000 <= clock.now()) start();
      else clock.setTimeout(start, seconds * 1_000 - clock.now());
    },
    until: (seconds) => clock.advanceTo(seconds * 1_000),
  };
}

/** Reads a stream to its end. Resolves with its chunks, and with what it threw if it did. */
export async function readAll(stream: AsyncIterable<Chunk>): Promise<{ chunks: Chunk[]; error: unknown }> {
  const chunks: Chunk[] = [];
  try {
    for await (const chunk of stream) chunks.push(chunk);
    return { chunks, error: null };
  } catch (error) {
    return { chunks, error };
  }
}

/** The texts of chunks, joined. */
export function textOf(chunks: readonly Chunk[]): string {
  return chunks.map(({ type, content }) => (type === 'text' ? (content ?? '') : '')).join('');
}

/** What a promise rejects with; fails when it does not, or not with an {@link IModelError}. */
export async function rejection(promise: Promise<unknown>): Promise<IModelError> {
  try {
    await promise;
  } catch (error) {
    if (IModelError.is(error)) return error;
    throw error;
  }
  throw new Error('Expected a rejection');
}
