import type { GatewayConfig } from '../../schemas/config.ts';
import type { Bus } from '../bus/bus.ts';
import { IModelError } from '../errors.ts';
import type { KeptPart } from '../runtime/state/part-keeper.ts';
import { systemClock } from '../runtime/system-clock.ts';
import { CallerBook } from './caller-book.ts';
import { KeptUse } from './kept-use.ts';
import type { KvCallers } from './kv-callers.ts';

/** Where callers are found, and where what they have used is kept. */
export interface CallersHost {
  readonly bus?: Bus;
  keepPart?(part: KeptPart): Promise<() => Promise<void>>;
}

/** The callers of an open gateway, those of a bucket as they are at any time. */
export class OpenCallers {
  readonly book: CallerBook;
  readonly #kept: KvCallers | null;

  readonly #letGo: () => Promise<void>;

  private constructor(book: CallerBook, kept: KvCallers | null, letGo: () => Promise<void>) {
    this.book = book;
    this.#kept = kept;
    this.#letGo = letGo;
  }

  /**
   * @param onError - Hears of entries of the bucket that cannot be read.
   * @throws IModelError `config` for a hash that two have, for a bucket on a bus without a server, and for what is kept of them and cannot be
   * read; `unavailable` for a server without JetStream.
   */
  static async open(
    { callers = {}, callersFrom }: GatewayConfig,
    host: CallersHost,
    onError: (error: unknown) => void,
  ): Promise<OpenCallers> {
    const use = new KeptUse();
    const letGo = (await host.keepPart?.(use)) ?? (async () => {});
    try {
      const book = new CallerBook(callers, systemClock, use.before);
      const kept = callersFrom === undefined ? null : await watchBucket(callersFrom, host.bus, { book, onError });
      use.book = book;
      return new OpenCallers(book, kept, letGo);
    } catch (error) {
      await letGo();
      throw error;
    }
  }

  /** Refuses those who wait, and hears of no more changes. */
  close(): void {
    this.#kept?.close();
    this.book.close();
  }

  /** Writes what they have used once more, and keeps it no more; to be called when no call of theirs runs. */
  letGo(): Promise<void> {
    return this.#letGo();
  }
}

async function watchBucket(
  place: string,
  bus: Bus | undefined,
  { book, onError }: { readonly book: CallerBook; readonly onError: (error: unknown) => void },
): Promise<KvCallers> {
  const kept = await openBucket(place, bus);
  try {
    await kept.watch({ changed: (all) => book.keep(all), failed: onError });
    return kept;
  } catch (cause) {
    kept.close();
    const message = `Cannot read the callers in ${place}: ${(cause as Error).message}`;
    throw IModelError.of('unavailable', message, { source: 'bus' }, { cause });
  }
}

async function openBucket(place: string, bus: Bus | undefined): Promise<KvCallers> {
  const { NatsBus } = await import('../bus/nats-bus.ts');
  if (!(bus instanceof NatsBus)) {
    const message = `Expected \`nats\` beside \`callers_from: ${place}\`: the bucket is on a server; a bus inside the process has none`;
    throw IModelError.of('config', message, { field: 'gateway.callersFrom', value: place });
  }
  const { KvCallers } = await import('./kv-callers.ts');
  return KvCallers.open(bus, place.split(':')[1]);
}
