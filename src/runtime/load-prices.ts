import { readFile } from 'node:fs/promises';
import { writtenOptions } from '../../schemas/imodel.ts';
import { type PriceTable, priceTable } from '../../schemas/prices.ts';
import { refuseNoText } from '../arguments.ts';
import { IModelError, printValue } from '../errors.ts';

/**
 * Reads a price table from a YAML or JSON file, with names in snake_case:
 *
 * ```yaml
 * gpt-4o-mini: { input_usd_per_million: 0.15, output_usd_per_million: 0.6, cached_input_usd_per_million: 0.075 }
 * ```
 *
 * @throws IModelError `config`, naming the file and the entry, for one that cannot be read or does not fit.
 */
export async function loadPrices(path: string): Promise<PriceTable> {
  refuseNoText('path', path);
  const { parse } = await import('yaml');
  let written: unknown;
  try {
    written = parse(await readFile(path, 'utf8'));
  } catch (cause) {
    const message = `Cannot read the prices in ${path}: ${(cause as Error).message}`;
    throw IModelError.of('config', message, { field: 'prices', value: path }, { cause });
  }
  const { prices } = writtenOptions.decode({ prices: written });
  const result = priceTable.safeParse(prices);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = issue?.path.map(String).join('.') ?? '';
  const at = issue?.path.reduce<unknown>(
    (inner, key) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, key) : undefined),
    prices,
  );
  const value = printValue(at);
  const message = `${path}: prices${field === '' ? '' : ` of \`${field}\``}: expected ${issue?.message ?? 'others'}, got ${value}`;
  throw IModelError.of('config', message, { field: 'prices', value });
}
