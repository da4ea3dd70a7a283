/** What a scrape brought: values by name and labels as they are written, types and buckets by name. */
export interface Scrape {
  readonly names: ReadonlySet<string>;
  /** The value of one series; undefined when there is none. */
  value(series: string): number | undefined;
  /** All series that begin so. */
  series(start: string): readonly string[];
}

const line =
  /^(?<series>[a-zA-Z_:][a-zA-Z0-9_:]*(?:\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\.)*",?)*\})?) (?<value>\S+)$/;

/** Reads Prometheus' text format, and refuses what it does not allow: a series without a type, or twice, or a value that is none. */
function parseScrape(text: string): Scrape {
  const types = new Map<string, string>();
  const values = new Map<string, number>();
  for (const row of text.split('\n')) {
    const [, name, type] = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(row) ?? [];
    if (name !== undefined && type !== undefined) types.set(name, type);
    if (row === '' || row.startsWith('#')) continue;
    const { series = '', value = '' } = line.exec(row)?.groups ?? {};
    const own = series.replace(/\{.*/, '');
    const family = types.has(own) ? own : own.replace(/_(bucket|sum|count)$/, '');
    if (!types.has(family) || values.has(series) || !Number.isFinite(Number(value)))
      throw new Error(`Not valid: ${row}`);
    values.set(series, Number(value));
  }
  return {
    names: new Set(types.keys()),
    value: (series) => values.get(series),
    series: (start) => [...values.keys()].filter((series) => series.startsWith(start)),
  };
}

/** Scrapes a gateway. */
export async function scrape(url: string): Promise<Scrape> {
  const response = await fetch(`${url}/metrics`);
  if (response.status !== 200) throw new Error(`/metrics answered ${response.status}: ${await response.text()}`);
  return parseScrape(await response.text());
}
