import { describe, expect, it } from 'vitest';
import { contextWindowOf } from '../../src/tokens/context-windows.ts';
import { lookUpModel } from '../../src/tokens/model-table.ts';
import { TokenBudget } from '../../src/tokens/token-budget.ts';

describe('lookUpModel', () => {
  const table = { 'gpt-4': 1, 'gpt-4-turbo': 2, o1: 3, 'gpt-4o': 4 };
  it.each([
    ['gpt-4', 1],
    ['gpt-4-0613', 1],
    ['openai/gpt-4', 1],
    ['GPT-4-Turbo-2024', 2],
    ['gpt-4o-mini', 4],
    ['o1', 3],
    ['openai/o1-preview', 3],
    ['pro1', undefined],
    ['o10', undefined],
    ['gpt-4x', undefined],
    ['', undefined],
  ])('%s is %s', (model, value) => {
    expect(lookUpModel(table, model)).toBe(value);
  });
});

describe('contextWindowOf', () => {
  it.each([
    ['gpt-4', 8_192],
    ['gpt-4-turbo', 128_000],
    ['gpt-4o-mini', 128_000],
    ['gpt-4.1-nano', 1_047_576],
    ['gpt-5-mini', 400_000],
    ['gpt-5-chat-latest', 128_000],
    ['claude-opus-4-7-20251001', 1_000_000],
    ['anthropic/claude-opus-4.5', 200_000],
    ['sonar-reasoning-pro', 128_000],
    ['meta/llama3-8b-instruct', 8_192],
    ['pixtral-12b', 128_000],
    ['unheard-of', 128_000],
  ])('%s takes %i', (model, tokens) => {
    expect(contextWindowOf(model)).toBe(tokens);
  });

  it('can be told better', () => {
    expect(contextWindowOf('gpt-4', { override: 5 })).toBe(5);
    expect(contextWindowOf('mine-7b', { table: { mine: 32_000 } })).toBe(32_000);
    expect(contextWindowOf('gpt-4', { override: null })).toBe(8_192);
  });

  it('knows Claude Code’s short names there only', () => {
    expect(contextWindowOf('opus', { provider: 'claude_code' })).toBe(1_000_000);
    expect(contextWindowOf('opus')).toBe(128_000);
  });
});

describe('TokenBudget', () => {
  it.each([
    [70, 100, 30, true, false],
    [69, 100, 31, false, false],
    [90, 100, 10, true, true],
    [150, 100, 0, true, true],
    [5, 0, 0, false, false],
  ])('%i of %i: %i left, warning %s, critical %s', (used, limit, remaining, warning, critical) => {
    const budget = new TokenBudget(used, limit);
    expect([budget.remaining, budget.isWarning, budget.isCritical]).toEqual([remaining, warning, critical]);
  });
});
