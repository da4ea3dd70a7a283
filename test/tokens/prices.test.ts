import { describe, expect, it } from 'vitest';
import { costOf } from '../../src/tokens/prices.ts';
import { addSpending, nothingSpent } from '../../src/tokens/spending.ts';

const usage = { inputTokens: 1, outputTokens: 1, totalTokens: 2 };

describe('costOf', () => {
  const table = {
    'gpt-x': { inputUsdPerMillion: 2, outputUsdPerMillion: 8, cachedInputUsdPerMillion: 0.5 },
    'acme/gpt-x': { inputUsdPerMillion: 4, outputUsdPerMillion: 4 },
  };

  it('prices plain, cached and written tokens apart', () => {
    const much = {
      inputTokens: 1_000_000,
      outputTokens: 500_000,
      totalTokens: 1_500_000,
      cachedInputTokens: 400_000,
      cacheWriteTokens: 100_000,
    };
    expect(costOf(much, 'openai/gpt-x-mini', table)).toBeCloseTo(0.5 * 2 + 0.4 * 0.5 + 0.1 * 2 + 0.5 * 8, 10);
  });

  it('takes the entry that names the provider too before one that does not', () => {
    expect(costOf(usage, 'acme/gpt-x', table)).toBe(8e-6);
    expect(costOf(usage, 'openai/gpt-x', table)).toBe(10e-6);
  });

  it('is null where usage or price is unknown', () => {
    expect(costOf(null, 'gpt-x', table)).toBe(null);
    expect(costOf(usage, 'other', table)).toBe(null);
  });
});

describe('addSpending', () => {
  it('adds what both have, and keeps the later report', () => {
    const one = { usage: { ...usage, cachedInputTokens: 1, raw: 'one' }, cost: 1 };
    const other = { usage: { ...usage, reasoningTokens: 3, raw: 'other' }, cost: 2 };
    expect(addSpending(one, other)).toEqual({
      usage: {
        inputTokens: 2,
        outputTokens: 2,
        totalTokens: 4,
        cachedInputTokens: 1,
        reasoningTokens: 3,
        raw: 'other',
      },
      cost: 3,
    });
  });

  it('does not know the cost where a price is missing for something that was used', () => {
    expect(addSpending({ usage, cost: null }, { usage, cost: 2 }).cost).toBe(null);
    expect(addSpending(nothingSpent, { usage, cost: 2 })).toEqual({ usage, cost: 2 });
    expect(addSpending({ usage, cost: 2 }, nothingSpent)).toEqual({ usage, cost: 2 });
  });
});
