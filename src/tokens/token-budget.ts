/**
 * How much of a context window is used.
 *
 * @example
 * ```ts
 * const budget = new TokenBudget(70_000, contextWindowOf('gpt-4o'), 'gpt-4o');
 * if (budget.isWarning) console.warn(`${budget.remaining} tokens left`);
 * ```
 */
export class TokenBudget {
  /** Tokens used. */
  readonly used: number;
  /** Tokens there are. */
  readonly limit: number;
  readonly model: string | null;

  constructor(used: number, limit: number, model: string | null = null) {
    this.used = used;
    this.limit = limit;
    this.model = model;
  }

  /** Tokens left, at least 0. */
  get remaining(): number {
    return Math.max(0, this.limit - this.used);
  }

  /** The used part, from 0; above 1 when more is used than there is; 0 when the limit is 0 or less. */
  get usageFraction(): number {
    return this.limit > 0 ? this.used / this.limit : 0;
  }

  /** True from 70 % on. */
  get isWarning(): boolean {
    return this.usageFraction >= 0.7;
  }

  /** True from 90 % on. */
  get isCritical(): boolean {
    return this.usageFraction >= 0.9;
  }
}
