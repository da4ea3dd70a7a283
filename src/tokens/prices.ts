import type { Usage } from '../../schemas/chunk.ts';
import type { PriceTable } from '../../schemas/prices.ts';
import { lookUpModel } from './model-table.ts';

/**
 * What a call cost, from its usage.
 *
 * @param model - Its name, with the provider in front where that is known: `openai/gpt-4o`.
 * @returns US dollars; null when the usage or the model's price is not known.
 */
export function costOf(usage: Usage | null, model: string, table: PriceTable): number | null {
  const known = lookUpModel(table, model);
  if (usage === null || known === undefined) return null;
  const { inputTokens, outputTokens, cachedInputTokens = 0, cacheWriteTokens = 0 } = usage;
  const plain = Math.max(0, inputTokens - cachedInputTokens - cacheWriteTokens);
  const millionths =
    plain * known.inputUsdPerMillion +
    cachedInputTokens * (known.cachedInputUsdPerMillion ?? known.inputUsdPerMillion) +
    cacheWriteTokens * (known.cacheWriteUsdPerMillion ?? known.inputUsdPerMillion) +
    outputTokens * known.outputUsdPerMillion;
  return millionths / 1_000_000;
}
