import { randomUUID } from 'node:crypto';
import { modelEvent } from '../../schemas/event.ts';
import { refuseNoObject, refuseStranger } from '../arguments.ts';
import type { Bus } from '../bus/bus.ts';
import { subjects } from '../bus/subjects.ts';
import type { AuditRecord, AuditSink } from './audit-sinks.ts';
import { type OnHookOptions, onHook } from './on-hook.ts';

/** Records that are given to a sink at a time. */
const batchSize = 256;

/** What an audit holds and where it goes. */
export interface AuditLogOptions extends Pick<OnHookOptions, 'model' | 'name'> {
  readonly sink: AuditSink;
  /**
   * Also records each call with its request and answer. The iModel is to ask for it:
   * `hooks: [{ point: 'post_invocation', name: 'audit', onFailure: 'open' }]`. @defaultValue false
   */
  readonly content?: boolean;
  /** Records that may wait for the sink; above it the oldest are lost, and a record says how many. @defaultValue 10,000 */
  readonly maxWaiting?: number;
  /** Milliseconds between two tries of a sink that fails. @defaultValue 1,000 */
  readonly retryMs?: number;
  /** Hears of every failure of the sink. Must not throw. @defaultValue ignores */
  readonly onError?: (error: unknown) => void;
}

/** An audit that runs. */
export interface AuditLog {
  /** Records that wait for the sink. */
  readonly waiting: number;
  /** Records that were lost since the beginning. */
  readonly lost: number;
  /**
   * Records no more, and waits for the sink to take what is left.
   *
   * @param timeoutMs - Milliseconds after which what is left is given up. @defaultValue 5,000
   * @returns How many records were given up.
   */
  close(options?: { readonly timeoutMs?: number }): Promise<number>;
}

/**
 * Records what happens to the iModels on a bus, in order, as JSON documents with an `id` and the fields of an event; with `content` also
 * `{ type: 'call', request, outcome, call, … }`. No call waits for it, whatever its sink does: while that is down, records wait here.
 */
export function createAuditLog(bus: Bus, options: AuditLogOptions): AuditLog {
  refuseStranger('bus', bus);
  refuseNoObject('options', options);
  const log = new WaitingRecords(options);
  const { model, name = 'audit', content = false } = options;
  const subscriptions = [
    bus.subscribe(subjects.everyEvent(model), (message) => {
      const event = modelEvent.safeParse(message.value());
      if (event.success) log.add(event.data);
    }),
  ];
  if (content) {
    const where = { name, ...(model === undefined ? {} : { model }) };
    subscriptions.push(
      onHook(
        bus,
        'post_invocation',
        ({ point: _point, timeout_ms: _timeoutMs, ...asked }) => {
          log.add({ type: 'call', ...asked });
          return null;
        },
        where,
      ),
    );
  }
  return {
    get waiting() {
      return log.waiting;
    },
    get lost() {
      return log.lost;
    },
    async close({ timeoutMs = 5_000 } = {}) {
      // What was told before is heard before it ends, unless the bus is down.
      await within(bus.flush(), timeoutMs);
      for (const subscription of subscriptions) subscription.close();
      return log.end(timeoutMs);
    },
  };
}

/** Waits for something, but not longer than that; how it ends is nobody's concern. */
async function within(done: Promise<unknown>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  await Promise.race([done.catch(() => {}), late]);
  clearTimeout(timer);
}

/** Records on their way to a sink, in their order, as many as there is room for. */
class WaitingRecords {
  readonly #sink: AuditSink;
  readonly #maxWaiting: number;
  readonly #retryMs: number;
  readonly #onError: (error: unknown) => void;
  /** Two runs of one program have no id in common. */
  readonly #run = randomUUID();
  #waiting: AuditRecord[] = [];
  /** Of those that wait, how many the sink has at the moment. */
  #given = 0;
  #count = 0;
  /** Lost, and not yet told of in a record. */
  #untold = 0;
  #retry: NodeJS.Timeout | undefined;
  #emptied: (() => void) | null = null;
  #hasEnded = false;
  lost = 0;

  constructor({ sink, maxWaiting = 10_000, retryMs = 1_000, onError = () => {} }: AuditLogOptions) {
    this.#sink = sink;
    this.#maxWaiting = Math.max(1, maxWaiting);
    this.#retryMs = retryMs;
    this.#onError = onError;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  add(record: Readonly<Record<string, unknown>>): void {
    if (this.#hasEnded) return;
    if (this.#waiting.length >= this.#maxWaiting) this.#lose();
    this.#push(record);
    this.#pump();
  }

  /** @returns How many were given up. */
  async end(timeoutMs: number): Promise<number> {
    this.#tellLost();
    if (this.#waiting.length > 0) {
      const emptied = new Promise<void>((resolve) => {
        this.#emptied = resolve;
      });
      this.#write();
      await within(emptied, timeoutMs);
    }
    this.#hasEnded = true;
    clearTimeout(this.#retry);
    return this.#waiting.length;
  }

  #push(record: Readonly<Record<string, unknown>>): void {
    this.#count += 1;
    const id = `${this.#run}-${this.#count}`;
    this.#waiting.push({ id, line: JSON.stringify({ id, ...record }) });
  }

  /** The oldest goes, but for those that the sink may be taking right now. */
  #lose(): void {
    const [gone] = this.#waiting.splice(Math.min(this.#given, this.#waiting.length - 1), 1);
    if (gone === undefined) return;
    this.lost += 1;
    this.#untold += 1;
  }

  #tellLost(): void {
    if (this.#untold === 0) return;
    const count = this.#untold;
    this.#untold = 0;
    this.#push({ type: 'lost', at: Date.now(), count });
  }

  #pump(): void {
    if (this.#retry === undefined) this.#write();
  }

  #write(): void {
    if (this.#given > 0 || this.#waiting.length === 0 || this.#hasEnded) return;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    const records = this.#waiting.slice(0, batchSize);
    this.#given = records.length;
    // A sink of somebody else's may throw where it should reject.
    const written = Promise.resolve().then(() => this.#sink.write(records));
    written.then(
      () => {
        this.#waiting.splice(0, this.#given);
        this.#given = 0;
        this.#tellLost();
        if (this.#waiting.length === 0) this.#emptied?.();
        this.#write();
      },
      (error: unknown) => {
        this.#given = 0;
        this.#onError(error);
        this.#retry = setTimeout(() => {
          this.#retry = undefined;
          this.#write();
        }, this.#retryMs);
        // Waiting for a sink is no reason to stay alive; who wants to wait closes the audit.
        this.#retry.unref();
      },
    );
  }
}
