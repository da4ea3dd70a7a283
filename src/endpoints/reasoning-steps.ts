import { record } from '../http/vendor-error.ts';

/**
 * The steps in which Perplexity searches before it answers: `[{ thought, type: 'web_search', web_search: {…} }]`. Some of its streams repeat
 * in each event what there has been before, so a step counts once.
 *
 * @see {@link https://docs.perplexity.ai/docs/sonar/pro-search/stream-mode} (read 2026-11)
 */
export class ReasoningSteps {
  readonly #seen = new Set<string>();
  /** Every step so far, as the vendor writes it. */
  readonly all: unknown[] = [];

  /** @returns The thoughts of those that are new, in their order. */
  add(steps: readonly unknown[]): string[] {
    const thoughts: string[] = [];
    for (const step of steps) {
      const written = JSON.stringify(step);
      if (this.#seen.has(written)) continue;
      this.#seen.add(written);
      this.all.push(step);
      const thought = record(step)?.thought;
      if (typeof thought === 'string' && thought !== '') thoughts.push(thought);
    }
    return thoughts;
  }
}
