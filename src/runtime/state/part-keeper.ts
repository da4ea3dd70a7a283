import { IModelError } from '../../errors.ts';
import { type KeptState, parseSnapshot, type StateStore } from './state-store.ts';

/** A part of the process beside its iModels, whose state outlives the process as theirs do. */
export interface KeptPart {
  /** By what it is found again: two names with a dot between, so that it is no iModel's id. */
  readonly name: string;
  /**
   * Takes up what was written. Called once at most, before anything is written.
   *
   * @param place - Where it is, for messages to people.
   * @throws IModelError `config` for what cannot be read.
   */
  restore(state: unknown, place: string): void;
  /** Its state, which becomes JSON; null while there is nothing to keep. */
  write(): unknown;
}

/** What a {@link PartKeeper} is made from. */
export interface PartKeeperOptions {
  readonly part: KeptPart;
  readonly store: StateStore;
  /** Milliseconds between two snapshots. */
  readonly intervalMs: number;
  /** Hears what could not be kept. */
  readonly onError: (error: unknown) => void;
}

/** Keeps the state of one part of the process: a snapshot now and then, and no log between. */
export class PartKeeper {
  readonly #part: KeptPart;
  readonly #store: StateStore;
  readonly #timer: NodeJS.Timeout;
  #saving: Promise<void> = Promise.resolve();
  #saved = 'null';
  #isClosed = false;

  private constructor({ part, store, intervalMs, onError }: PartKeeperOptions) {
    this.#part = part;
    this.#store = store;
    this.#timer = setInterval(() => void this.save().catch(onError), intervalMs);
    this.#timer.unref();
  }

  /** Has the part take up what is kept of it, and keeps it from now on. @throws IModelError `config` for what cannot be read. */
  static async open(options: PartKeeperOptions): Promise<PartKeeper> {
    const { part, store } = options;
    const kept = await store.read(part.name);
    if (kept !== null) part.restore(stateIn(kept), kept.place);
    return new PartKeeper(options);
  }

  /** Writes a snapshot, unless nothing is different. @throws Error when it could not be written; the one before is then still there. */
  save(): Promise<void> {
    if (this.#isClosed) return this.#saving;
    const { name } = this.#part;
    const text = JSON.stringify(this.#part.write());
    if (text === this.#saved) return this.#saving;
    const generation = this.#store.turn(name);
    this.#saved = text;
    this.#saving = this.#saving
      .catch(() => {})
      .then(() =>
        this.#store.write(name, generation, `{"schema_version":1,"state":{"generation":${generation},"of":${text}}}`),
      )
      .catch((error: unknown) => {
        this.#saved = '';
        throw error;
      });
    return this.#saving;
  }

  /** Writes the last snapshot. */
  async close(): Promise<void> {
    if (this.#isClosed) return this.#saving;
    try {
      await this.save();
    } finally {
      this.abandon();
    }
  }

  /** Keeps nothing more. */
  abandon(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
  }
}

function stateIn({ snapshot, place }: KeptState): unknown {
  const { schema_version: version, state } = parseSnapshot(snapshot, place) as Readonly<Record<string, unknown>>;
  const isKnown = version === 1 && typeof state === 'object' && state !== null && 'of' in state;
  if (isKnown) return state.of;
  throw IModelError.of('config', `Expected ${place} to hold what this version wrote`, { field: place });
}
