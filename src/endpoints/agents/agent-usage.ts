import type { Usage } from '../../../schemas/chunk.ts';

/** Tokens of one turn, as a program counted them; absent counts are 0. */
export interface TurnUsage {
  /** Prompt tokens, with those read from or written to a cache. */
  readonly input: number;
  readonly output: number;
  readonly cached?: number;
  readonly cacheWrite?: number;
  readonly reasoning?: number;
  /** The program's own object. */
  readonly raw: unknown;
}

/** Adds up what the turns of a run used. */
export class UsageSum {
  #turns = 0;
  #input = 0;
  #output = 0;
  #cached = 0;
  #cacheWrite = 0;
  #reasoning = 0;
  #raw: unknown;

  add(turn: TurnUsage): void {
    this.#turns += 1;
    this.#input += turn.input;
    this.#output += turn.output;
    this.#cached += turn.cached ?? 0;
    this.#cacheWrite += turn.cacheWrite ?? 0;
    this.#reasoning += turn.reasoning ?? 0;
    this.#raw = turn.raw;
  }

  /** Forgets the turns: the program gave the sum itself. */
  replace(total: TurnUsage): void {
    this.#turns = 0;
    this.#input = this.#output = this.#cached = this.#cacheWrite = this.#reasoning = 0;
    this.add(total);
  }

  /** The sum, or null when nothing was reported. */
  get value(): Usage | null {
    if (this.#turns === 0) return null;
    return {
      inputTokens: this.#input,
      outputTokens: this.#output,
      totalTokens: this.#input + this.#output,
      cachedInputTokens: this.#cached,
      cacheWriteTokens: this.#cacheWrite,
      reasoningTokens: this.#reasoning,
      raw: this.#raw,
    };
  }

  /** The sum as it is written into chunks and responses. */
  toWire(): Record<string, unknown> | null {
    const usage = this.value;
    if (usage === null) return null;
    return {
      input_tokens: usage.inputTokens,
      output_tokens: usage.outputTokens,
      cached_input_tokens: usage.cachedInputTokens,
      cache_write_tokens: usage.cacheWriteTokens,
      reasoning_tokens: usage.reasoningTokens,
      total_tokens: usage.totalTokens,
      raw: usage.raw,
    };
  }
}

/** A count in a foreign object; 0 when it is missing or no number. */
export function countIn(record: unknown, key: string): number {
  if (typeof record !== 'object' || record === null) return 0;
  const value = (record as Record<string, unknown>)[key];
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : 0;
}
