import type { Usage } from '../../schemas/chunk.ts';

/** What several attempts have used together. */
export interface Spending {
  readonly usage: Usage | null;
  /** US dollars; null when the usage or a price is not known. */
  readonly cost: number | null;
}

/** Nothing was used as far as anybody knows. */
export const nothingSpent: Spending = { usage: null, cost: null };

/** Both together. Where one has no usage it counts for nothing; where one has usage without a price, the cost is not known. */
export function addSpending(one: Spending, other: Spending): Spending {
  if (one.usage === null) return other;
  if (other.usage === null) return one;
  const cost = one.cost === null || other.cost === null ? null : one.cost + other.cost;
  return { usage: addUsage(one.usage, other.usage), cost };
}

/** @returns The sum, with the second's `raw`, which is the later one. */
function addUsage(one: Usage, other: Usage): Usage {
  const sum = (name: 'cachedInputTokens' | 'cacheWriteTokens' | 'reasoningTokens') =>
    one[name] === undefined && other[name] === undefined ? {} : { [name]: (one[name] ?? 0) + (other[name] ?? 0) };
  return {
    inputTokens: one.inputTokens + other.inputTokens,
    outputTokens: one.outputTokens + other.outputTokens,
    totalTokens: one.totalTokens + other.totalTokens,
    ...sum('cachedInputTokens'),
    ...sum('cacheWriteTokens'),
    ...sum('reasoningTokens'),
    ...(other.raw === undefined ? {} : { raw: other.raw }),
  };
}
