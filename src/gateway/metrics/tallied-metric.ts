import type { Metric, Registry } from 'prom-client';

/** What a metric is called, and the names of its labels. */
export interface MetricOptions {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
}

/** The values of a series' labels, in the order of their names; an undefined one is left out. */
export type LabelValues = readonly (string | undefined)[];

type Labels = Readonly<Record<string, string>>;

/** One line of what Prometheus reads. */
interface Line {
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/**
 * A metric whose series are found by one look-up, and written out when Prometheus asks. prom-client's own sort and join the labels of every
 * observation, which for all that is counted of one call took a twelfth of the gateway's time (`npm run bench -- gateway`).
 */
abstract class TalliedMetric<S> {
  readonly name: string;
  readonly help: string;
  abstract readonly type: 'counter' | 'histogram';
  readonly aggregator = 'sum';
  readonly #labelNames: readonly string[];
  readonly #series = new Map<string, { readonly labels: Labels; readonly tally: S }>();

  constructor(registry: Registry, { name, help, labelNames }: MetricOptions) {
    this.name = name;
    this.help = help;
    this.#labelNames = labelNames;
    // A registry reads these fields and calls `get`, of all that its type asks for.
    registry.registerMetric(this as unknown as Metric);
  }

  /** What a registry writes. */
  async get() {
    const { name, help, type, aggregator } = this;
    const values = [...this.#series.values()].flatMap(({ labels, tally }) => this.lines(labels, tally));
    return { name, help, type, aggregator, values };
  }

  /** Forgets everything counted. */
  reset(): void {
    this.#series.clear();
  }

  protected tallyOf(values: LabelValues): S {
    const key = values.length === 1 ? (values[0] ?? '') : values.join('\n');
    const known = this.#series.get(key);
    if (known !== undefined) return known.tally;
    const named = this.#labelNames.map((name, index) => [name, values[index]] as const);
    const labels = Object.fromEntries(named.filter((pair): pair is readonly [string, string] => pair[1] !== undefined));
    const tally = this.begin();
    this.#series.set(key, { labels, tally });
    return tally;
  }

  protected abstract begin(): S;
  protected abstract lines(labels: Labels, tally: S): Line[];
}

/** A sum that only grows. */
export class TalliedCounter extends TalliedMetric<{ sum: number }> {
  readonly type = 'counter';

  inc(values: LabelValues, amount = 1): void {
    this.tallyOf(values).sum += amount;
  }

  protected begin() {
    return { sum: 0 };
  }

  protected lines(labels: Labels, { sum }: { readonly sum: number }): Line[] {
    return [{ labels, value: sum }];
  }
}

/** How many observations fell into each bucket, and their sum. */
interface Buckets {
  /** Behind the last bound, those above it. */
  readonly counts: number[];
  sum: number;
}

/** How often a value was how large. */
export class TalliedHistogram extends TalliedMetric<Buckets> {
  readonly type = 'histogram';
  readonly #bounds: readonly number[];

  /** @param bounds - Upper bounds of the buckets, included, rising. */
  constructor(registry: Registry, options: MetricOptions, bounds: readonly number[]) {
    super(registry, options);
    this.#bounds = bounds;
  }

  observe(values: LabelValues, value: number): void {
    const tally = this.tallyOf(values);
    let bucket = 0;
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] ?? 0)) bucket += 1;
    tally.counts[bucket] = (tally.counts[bucket] ?? 0) + 1;
    tally.sum += value;
  }

  protected begin(): Buckets {
    return { counts: new Array<number>(this.#bounds.length + 1).fill(0), sum: 0 };
  }

  protected lines(labels: Labels, { counts, sum }: Buckets): Line[] {
    let count = 0;
    const buckets = counts.map((here, index): Line => {
      count += here;
      return {
        metricName: `${this.name}_bucket`,
        labels: { ...labels, le: this.#bounds[index] ?? '+Inf' },
        value: count,
      };
    });
    return [
      ...buckets,
      { metricName: `${this.name}_sum`, labels, value: sum },
      { metricName: `${this.name}_count`, labels, value: count },
    ];
  }
}
