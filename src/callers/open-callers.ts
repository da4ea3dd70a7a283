import type { GatewayConfig } from '../../schemas/config.ts';
import type { Bus } from '../bus/bus.ts';
import { IModelError } from '../errors.ts';
import { systemClock } from '../runtime/system-clock.ts';
import { CallerBook } from './caller-book.ts';
import type { KvCallers } from './kv-callers.ts';

/** The callers of an open gateway, those of a bucket as they are at any time. */
export class OpenCallers {
  readonly book: CallerBook;
  readonly #kept: KvCallers | null;

  private constructor(book: CallerBook, kept: KvCallers | null) {
    this.book = book;
    this.#kept = kept;
  }

  /**
   * @param onError - Hears of entries of the bucket that cannot be read.
   * @throws IModelError `config` for a hash that two have, and for a bucket on a bus without a server; `unavailable` for a server without
   * JetStream.
   */
  static async open(
    { callers = {}, callersFrom }: GatewayConfig,
    bus: Bus | undefined,
    onError: (error: unknown) => void,
  ): Promise<OpenCallers> {
    const book = new CallerBook(callers, systemClock);
    if (callersFrom === undefined) return new OpenCallers(book, null);
    const kept = await openBucket(callersFrom, bus);
    try {
      await kept.watch({ changed: (all) => book.keep(all), failed: onError });
    } catch (cause) {
      kept.close();
      const message = `Cannot read the callers in ${callersFrom}: ${(cause as Error).message}`;
      throw IModelError.of('unavailable', message, { source: 'bus' }, { cause });
    }
    return new OpenCallers(book, kept);
  }

  /** Refuses those who wait, and hears of no more changes. */
  close(): void {
    this.#kept?.close();
    this.book.close();
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
