import type { Bus } from '../bus/bus.ts';
import { IModelError } from '../errors.ts';
import { untilIdle } from '../runtime/model/handover.ts';
import { type DiscoveredModel, type DiscoverOptions, discover } from '../runtime/remote/discover.ts';
import { connect } from '../runtime/remote/remote-model.ts';
import { ModelElsewhere } from './model-elsewhere.ts';

/** What was found holds for this long; then the bus is asked again, while what is known still serves. In milliseconds. */
const freshMs = 5_000;

/** After this it serves no more: whoever asks waits for the bus. In milliseconds. */
const staleMs = 60_000;

/** For a name that is not known the bus is asked again no sooner than this. In milliseconds. */
const againMs = 1_000;

/** How long a name is looked for, in milliseconds: a bus whose server is away may be away for long. */
const lookMs = 3_000;

/** The most iModels that are kept; beyond it those with the last ids are left out. */
const maxModels = 1_000;

/**
 * The iModels of other processes on a bus. It asks the bus only while somebody asks it.
 */
export class Directory {
  readonly #bus: Bus | null;
  readonly #options: DiscoverOptions;
  /** Whether an id is one of this process. */
  readonly #isHere: (id: string) => boolean;
  #models: ReadonlyMap<string, ModelElsewhere> = new Map();
  #askedAt = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | null = null;
  #isClosed = false;

  /** @param bus - Null where there is none, and so nobody else. */
  constructor(bus: Bus | null, options: DiscoverOptions & { readonly isHere: (id: string) => boolean }) {
    this.#bus = bus;
    this.#options = options;
    this.#isHere = options.isHere;
  }

  /** Those that are known, by id, however long ago they were found: a call to one that has gone says so itself. */
  known(): ReadonlyMap<string, ModelElsewhere> {
    if (performance.now() - this.#askedAt > freshMs) void this.#ask();
    return this.#models;
  }

  /**
   * As {@link known}, but with whoever came just now: for a name that nobody known has.
   *
   * @throws IModelError `unavailable` when the bus does not answer.
   */
  async listFor(name: string): Promise<ReadonlyMap<string, ModelElsewhere>> {
    let timer: NodeJS.Timeout | undefined;
    const tooLong = new Promise<never>((_resolve, reject) => {
      const message = 'The bus does not answer: whether another process has this iModel is not known';
      timer = setTimeout(() => reject(IModelError.of('unavailable', message, { source: 'bus' })), lookMs);
    });
    try {
      return await Promise.race([this.#lookFor(name), tooLong]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #lookFor(name: string): Promise<ReadonlyMap<string, ModelElsewhere>> {
    if (performance.now() - this.#askedAt > againMs) await this.#ask();
    if (!this.#models.has(name) && (await this.#answers(name))) {
      // Who was asked before it came has not heard of it.
      await this.#asking;
      if (!this.#models.has(name)) await this.#ask();
    }
    return this.#models;
  }

  /** Those that are not of this process; at most a minute old. */
  async list(): Promise<readonly ModelElsewhere[]> {
    const age = performance.now() - this.#askedAt;
    if (age > freshMs) {
      const asked = this.#ask();
      if (age > staleMs) await asked;
    }
    return [...this.#models.values()].filter(({ id }) => !this.#isHere(id));
  }

  close(): void {
    this.#isClosed = true;
    for (const model of this.#models.values()) void model.close();
    this.#models = new Map();
  }

  /** Whether somebody serves an id: who does not is known at once. */
  async #answers(id: string): Promise<boolean> {
    if (this.#bus === null || this.#isHere(id)) return false;
    try {
      await connect(this.#bus).model(id).state();
      return true;
    } catch {
      // Nobody, or it is no id.
      return false;
    }
  }

  #ask(): Promise<void> {
    if (this.#bus === null) return Promise.resolve();
    this.#asking ??= this.#refresh(this.#bus).finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  async #refresh(bus: Bus): Promise<void> {
    const found = await discover(bus, this.#options).catch(() => null);
    // A bus that is away has taken nobody with it: their calls say what is wrong.
    if (found === null || this.#isClosed) return;
    const others = found.filter(({ id }) => !this.#isHere(id)).slice(0, maxModels);
    const models = await Promise.all(others.map((own) => this.#model(bus, own)));
    if (this.#isClosed) return;
    const before = this.#models;
    this.#models = new Map(models.flatMap((model) => (model === null ? [] : [[model.id, model] as const])));
    this.#askedAt = performance.now();
    for (const model of before.values()) if (this.#models.get(model.id) !== model) void retire(model);
  }

  /** The same as before, unless it has become another. Null when it tells no state. */
  async #model(bus: Bus, found: DiscoveredModel): Promise<ModelElsewhere | null> {
    const known = this.#models.get(found.id);
    try {
      if (known === undefined || !isSame(known.found, found)) {
        return new ModelElsewhere(bus, found, await connect(bus).model(found.id).state());
      }
      await known.refresh();
      return known;
    } catch {
      return null;
    }
  }
}

function isSame(one: DiscoveredModel, other: DiscoveredModel): boolean {
  const { nodes: _before, ...before } = one;
  const { nodes: _after, ...after } = other;
  return JSON.stringify(before) === JSON.stringify(after);
}

/** Its calls go on until they end. */
async function retire(model: ModelElsewhere): Promise<void> {
  await untilIdle(model.live);
  await model.close();
}
