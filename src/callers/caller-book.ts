import type { Clock } from '../../actors/clock.ts';
import type { CallerConfig } from '../../schemas/caller.ts';
import { failureOf } from '../../schemas/failure.ts';
import type { CallerUseState } from '../../schemas/live-state.ts';
import { IModelError } from '../errors.ts';
import { Caller } from './caller.ts';
import { hashKey, isSameHash } from './key.ts';

/** Longer than any key of ours or of a vendor's; what is longer is not looked at. */
const longestKey = 512;

/** Callers by their names. */
export type Callers = Readonly<Record<string, CallerConfig>>;

/** A request that waits for the limits of its caller, for people who watch. */
export interface HeldCall {
  readonly id: string;
  /** The id of its iModel. */
  readonly model: string;
  readonly caller: string;
  /** 1 for the first that came of its caller. */
  readonly position: number;
  /** Since when, in epoch milliseconds. */
  readonly queued_at: number;
}

/** All who may call, from a file and from a bucket. Where both name one, the file is right. */
export class CallerBook {
  readonly #clock: Clock;
  readonly #callers = new Map<string, Caller>();
  readonly #byHash = new Map<string, Caller>();
  #written: Callers;
  #kept: ReadonlyMap<string, CallerConfig> | null = null;
  /** What those had used who have not come yet. */
  readonly #usedBefore: Map<string, CallerUseState>;

  /**
   * @param used - What callers had used before; see {@link used}.
   * @throws IModelError `config` for a hash that two have.
   */
  constructor(written: Callers, clock: Clock, used: ReadonlyMap<string, CallerUseState> = new Map()) {
    this.#clock = clock;
    this.#usedBefore = new Map(used);
    this.#written = written;
    this.write(written);
  }

  /** Whether callers are configured at all; if none are, nobody is asked for a key. A bucket counts while it is empty too. */
  get isInUse(): boolean {
    return this.#kept !== null || Object.keys(this.#written).length > 0;
  }

  /** All callers, in the order of their coming. */
  [Symbol.iterator](): IterableIterator<Caller> {
    return this.#callers.values();
  }

  /** All requests that wait for the limits of their callers. */
  held(): HeldCall[] {
    return [...this].flatMap(({ name, held }) =>
      [...held].map(({ modelId, callId, heldAt }, index) => ({
        id: callId,
        model: modelId,
        caller: name,
        position: index + 1,
        queued_at: heldAt,
      })),
    );
  }

  /** What each caller has used of its limits, as plain data; of those too that have not come again since they were restored. */
  used(): Record<string, CallerUseState> {
    return Object.fromEntries([
      ...this.#usedBefore,
      ...[...this].map(({ name, gate }) => [name, gate.write()] as const),
    ]);
  }

  /** Whose key it is, refused ones too; undefined for a key that nobody has. */
  find(key: string): Caller | undefined {
    if (key.length > longestKey) return undefined;
    const given = hashKey(key);
    const caller = this.#byHash.get(given);
    // The map finds a hash, of which nobody can choose a part; what it found is still compared in constant time.
    const known = caller?.config.keyHashes.filter((hash) => isSameHash(hash, given)) ?? [];
    return known.length > 0 ? caller : undefined;
  }

  /** Takes on the callers of a file. @throws IModelError `config` for a hash that two have; nothing has changed then. */
  write(written: Callers): void {
    refuseShared(Object.entries(written));
    this.#written = written;
    this.#take();
  }

  /** Takes on the callers of a bucket. */
  keep(kept: ReadonlyMap<string, CallerConfig>): void {
    this.#kept = kept;
    this.#take();
  }

  /** Refuses all requests that wait. */
  close(): void {
    const failure = failureOf('closed', 'The gateway is closing', {});
    for (const { gate } of this) gate.close(failure);
  }

  #come(name: string, config: CallerConfig): Caller {
    const caller = new Caller(name, config, this.#clock);
    const used = this.#usedBefore.get(name);
    if (used !== undefined) caller.gate.restore(used);
    this.#usedBefore.delete(name);
    this.#callers.set(name, caller);
    return caller;
  }

  #take(): void {
    const configs = new Map([...(this.#kept ?? []), ...Object.entries(this.#written)]);
    this.#byHash.clear();
    for (const [name, config] of configs) {
      const known = this.#callers.get(name);
      const caller = known ?? this.#come(name, config);
      if (known !== undefined) known.config = config;
      // In a bucket two may have one by mistake: then it is nobody's second.
      for (const hash of config.keyHashes) if (!this.#byHash.has(hash)) this.#byHash.set(hash, caller);
    }
    const gone = failureOf('unauthorized', 'The key has been revoked', { source: 'runtime' });
    for (const [name, { gate }] of this.#callers) {
      if (configs.has(name)) continue;
      this.#callers.delete(name);
      gate.close(gone);
    }
  }
}

function refuseShared(entries: readonly (readonly [string, CallerConfig])[]): void {
  const owners = new Map<string, string>();
  for (const [name, { keyHashes }] of entries) {
    for (const hash of keyHashes) {
      const owner = owners.get(hash);
      owners.set(hash, name);
      if (owner === undefined || owner === name) continue;
      const message = `Expected every key to have one caller, got one of \`${owner}\` and of \`${name}\``;
      throw IModelError.of('config', message, { field: `gateway.callers.${name}.key_hashes` });
    }
  }
}
