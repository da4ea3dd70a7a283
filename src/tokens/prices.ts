import { z } from 'zod';
import type { Usage } from '../../schemas/chunk.ts';
import { IModelError, printValue } from '../errors.ts';
import { lookUpModel, type ModelTable } from './model-table.ts';

const usd = z.number().min(0);

/** What a model's tokens cost, in US dollars for a million. */
const price = z.strictObject({
  inputUsdPerMillion: usd,
  outputUsdPerMillion: usd,
  /** Prompt tokens read from the vendor's cache. @defaultValue the input price */
  cachedInputUsdPerMillion: usd.optional(),
  /** Prompt tokens written to the vendor's cache. @defaultValue the input price */
  cacheWriteUsdPerMillion: usd.optional(),
});

/** See {@link price}. */
export type Price = z.infer<typeof price>;

/** Prices by model name, matched as {@link lookUpModel} does. There is no built-in one: prices change, and differ by contract. */
export type PriceTable = ModelTable<Price>;

/**
 * Checks a price table that came from a file.
 *
 * @throws IModelError `config`, naming the entry.
 */
export function parsePriceTable(value: unknown): PriceTable {
  const result = z.record(z.string().min(1), price).safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const path = issue?.path.map(String).join('.') ?? '';
  const at = issue?.path.reduce<unknown>(
    (inner, key) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, key) : undefined),
    value,
  );
  throw IModelError.of('config', `Price table, \`${path}\`: ${issue?.message ?? 'not valid'}, got ${printValue(at)}`, {
    field: path,
    value: printValue(at),
  });
}

/**
 * What a call cost, from its usage.
 *
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
