import { z } from 'zod';

const usd = z.number('a number of US dollars').min(0, 'at least 0');

/** What a model's tokens cost, in US dollars for a million. */
export const price = z.strictObject({
  inputUsdPerMillion: usd,
  outputUsdPerMillion: usd,
  /** Prompt tokens read from the vendor's cache. @defaultValue the input price */
  cachedInputUsdPerMillion: usd.optional(),
  /** Prompt tokens written to the vendor's cache. @defaultValue the input price */
  cacheWriteUsdPerMillion: usd.optional(),
});

/** See {@link price}. */
export type Price = z.infer<typeof price>;

/**
 * Prices by model. A key stands for every model in whose `provider/name` it is found between separators, the longest one counts: `gpt-4o-mini` for
 * `openai/gpt-4o-mini-2024-07-18`.
 */
export const priceTable = z.record(z.string().min(1, 'the name of a model'), price, 'prices by model');

/** See {@link priceTable}. There is no built-in one: prices change, and differ by contract. */
export type PriceTable = Readonly<z.infer<typeof priceTable>>;
