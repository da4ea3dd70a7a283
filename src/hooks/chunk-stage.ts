import type { Clock } from '../../actors/clock.ts';
import type { Chunk } from '../../schemas/chunk.ts';
import type { ChunkSink } from '../endpoints/endpoint.ts';

/** Chunks that wait for a hook before the endpoint is told to stop reading, beside those it was to hold. */
const roomBeside = 256;

/** One step on the way of chunks to their reader. @internal */
export interface Stage extends ChunkSink {
  /** Hands on what is held. More may be written afterwards, by another attempt. @throws what a hook refused the chunks with. */
  finish(): Promise<void>;
  /** Forgets what is held, and waits for no hook any more. */
  stop(reason: unknown): void;
}

/** What a {@link ChunkStage} is made from. @internal */
export interface ChunkStageOptions {
  /** The next step, or the reader. */
  readonly target: ChunkSink;
  readonly clock: Clock;
  /** Held before they are judged. Infinity holds all until the end. */
  readonly atLeast: number;
  /** Judged at a time. */
  readonly atMost: number;
  /** Milliseconds after which fewer than `atLeast` are judged too. */
  readonly holdMs: number;
  /** Judges a last time at the end, with whatever is left, so that the judge knows it. */
  readonly tellsEnd: boolean;
  /** What the reader gets for some chunks. A rejection takes all that follow out of the stream. */
  readonly judge: (chunks: readonly Chunk[], isLast: boolean) => Promise<readonly Chunk[]>;
  /** Hears of that rejection, once. */
  readonly refuse: (error: unknown) => void;
}

/** Holds chunks until they have been judged, in their order, one judgement at a time. @internal */
export class ChunkStage implements Stage {
  readonly #options: ChunkStageOptions;
  #held: Chunk[] = [];
  #timer: unknown;
  /** Those held have waited long enough. */
  #isDue = false;
  #isJudging = false;
  #isTargetBehind = false;
  /** Something was written since the last end. */
  #hasBegun = false;
  #resume: (() => void) | null = null;
  #finishing: { resolve(): void; reject(error: unknown): void } | null = null;
  /** Why nothing passes any more. */
  #stopped: { readonly error: unknown } | null = null;

  constructor(options: ChunkStageOptions) {
    this.#options = options;
  }

  write(chunk: Chunk): boolean {
    if (this.#stopped !== null) return true;
    // It tells of an attempt that is over and was to be made again: nobody waits for a judgement any more.
    if (chunk.type === 'error' && !this.#hasBegun) return this.#options.target.write(chunk);
    this.#hasBegun = true;
    this.#held.push(chunk);
    this.#pump();
    this.#arm();
    return !this.#isBehind;
  }

  onDrain(resume: () => void): void {
    if (this.#isBehind) this.#resume = resume;
    else resume();
  }

  finish(): Promise<void> {
    if (this.#stopped !== null) return Promise.reject(this.#stopped.error);
    if (!this.#hasBegun) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#finishing = { resolve, reject };
      this.#pump();
    });
  }

  stop(reason: unknown): void {
    if (this.#stopped !== null) return;
    this.#stopped = { error: reason };
    this.#held = [];
    this.#disarm();
    this.#finishing?.reject(reason);
    this.#finishing = null;
    this.#drained();
  }

  get #isBehind(): boolean {
    const { atLeast } = this.#options;
    return this.#stopped === null && (this.#isTargetBehind || this.#held.length >= atLeast + roomBeside);
  }

  /** Judges what is to be judged now, and then what has come meanwhile. */
  #pump(): void {
    if (this.#isJudging || this.#stopped !== null) return;
    const { atLeast, atMost, tellsEnd } = this.#options;
    const isEnding = this.#finishing !== null;
    if (isEnding && this.#held.length === 0 && !(tellsEnd && this.#hasBegun)) {
      this.#finished();
      return;
    }
    if (!isEnding && this.#held.length < atLeast && !this.#isDue) return;
    this.#disarm();
    const chunks = this.#held.splice(0, atMost);
    const isLast = isEnding && this.#held.length === 0;
    if (isLast) this.#hasBegun = false;
    this.#isJudging = true;
    this.#options.judge(chunks, isLast).then(
      (passed) => this.#pass(passed),
      (error) => this.#refuse(error),
    );
  }

  #pass(chunks: readonly Chunk[]): void {
    if (this.#stopped !== null) return;
    this.#isJudging = false;
    const { target } = this.#options;
    for (const chunk of chunks) {
      if (target.write(chunk) || this.#isTargetBehind) continue;
      this.#isTargetBehind = true;
      target.onDrain(() => {
        this.#isTargetBehind = false;
        this.#drained();
      });
    }
    this.#drained();
    this.#pump();
    this.#arm();
  }

  #refuse(error: unknown): void {
    if (this.#stopped !== null) return;
    this.stop(error);
    this.#options.refuse(error);
  }

  #finished(): void {
    this.#hasBegun = false;
    this.#finishing?.resolve();
    this.#finishing = null;
  }

  #drained(): void {
    if (this.#resume === null || this.#isBehind) return;
    const resume = this.#resume;
    this.#resume = null;
    resume();
  }

  #arm(): void {
    const { holdMs, clock } = this.#options;
    if (this.#timer !== undefined || this.#held.length === 0 || this.#isJudging || this.#stopped !== null) return;
    if (holdMs === Number.POSITIVE_INFINITY) return;
    this.#timer = clock.setTimeout(() => {
      this.#timer = undefined;
      this.#isDue = true;
      this.#pump();
    }, holdMs);
  }

  #disarm(): void {
    this.#isDue = false;
    this.#options.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

/** Shows chunks to somebody on their way, and waits for nothing. @internal */
export class ShownStage implements Stage {
  readonly #target: ChunkSink;
  readonly #show: (chunks: readonly Chunk[], isLast: boolean) => void;
  #hasBegun = false;

  constructor(target: ChunkSink, show: (chunks: readonly Chunk[], isLast: boolean) => void) {
    this.#target = target;
    this.#show = show;
  }

  write(chunk: Chunk): boolean {
    this.#hasBegun = true;
    this.#show([chunk], false);
    return this.#target.write(chunk);
  }

  onDrain(resume: () => void): void {
    this.#target.onDrain(resume);
  }

  finish(): Promise<void> {
    if (this.#hasBegun) this.#show([], true);
    this.#hasBegun = false;
    return Promise.resolve();
  }

  stop(): void {}
}
