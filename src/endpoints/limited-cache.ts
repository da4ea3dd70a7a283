/** How long and how much a {@link LimitedCache} keeps. */
export interface LimitedCacheOptions {
  /** Milliseconds a value may be used again. @defaultValue 300,000 */
  readonly ttlMs?: number;
  /** Bytes of values, as JSON, that are kept; the ones unused longest go first. @defaultValue 67,108,864 (64 MiB) */
  readonly maxBytes?: number;
  /** Epoch or monotonic milliseconds. @defaultValue `performance.now` */
  readonly now?: () => number;
}

interface Entry<T> {
  readonly value: T;
  readonly sizeBytes: number;
  readonly expiresAt: number;
}

/** Values by key, for a while and up to a size. What is given out is a copy: changing it changes nothing here. */
export class LimitedCache<T> {
  readonly #entries = new Map<string, Entry<T>>();
  readonly #ttlMs: number;
  readonly #maxBytes: number;
  readonly #now: () => number;
  #sizeBytes = 0;

  constructor({
    ttlMs = 300_000,
    maxBytes = 64 * 1_024 * 1_024,
    now = () => performance.now(),
  }: LimitedCacheOptions = {}) {
    this.#ttlMs = ttlMs;
    this.#maxBytes = maxBytes;
    this.#now = now;
  }

  /** How many values are kept. */
  get size(): number {
    return this.#entries.size;
  }

  /** How many bytes they take, as JSON. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** The value kept under a key; null when there is none, or it is too old. */
  get(key: string): T | null {
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    this.#drop(key);
    if (entry.expiresAt <= this.#now()) return null;
    // At the end of the map it is the one used last.
    this.#entries.set(key, entry);
    this.#sizeBytes += entry.sizeBytes;
    return structuredClone(entry.value);
  }

  /** Keeps a value. One that is larger than the whole cache is not kept. */
  set(key: string, value: T): void {
    const sizeBytes = Buffer.byteLength(JSON.stringify(value) ?? '');
    if (sizeBytes > this.#maxBytes) return;
    this.#drop(key);
    this.#entries.set(key, { value: structuredClone(value), sizeBytes, expiresAt: this.#now() + this.#ttlMs });
    this.#sizeBytes += sizeBytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#sizeBytes <= this.#maxBytes) break;
      this.#drop(oldest);
    }
  }

  /** Forgets everything. */
  clear(): void {
    this.#entries.clear();
    this.#sizeBytes = 0;
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#sizeBytes -= entry.sizeBytes;
  }
}
