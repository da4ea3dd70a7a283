import { IModelError, toFailure } from '../errors.ts';
import type { Bus, BusStatus, Message, Subscription } from './bus.ts';
import type { NumberedMessage } from './numbered-sender.ts';

/** A reader that has heard nothing for so long asks whether it missed the end, in milliseconds. */
const quietMs = 5_000;

/** How long a sender that does not answer is asked again before it counts as gone, in milliseconds. */
const recoveryMs = 10_000;

/** How long to wait between two such questions, in milliseconds. */
const recoveryPauseMs = 250;

/** Messages ahead of a gap that are kept; what comes beyond them is asked for again. */
const mostEarly = 65_536;

/** What a {@link NumberedReader} is made from. */
export interface NumberedReaderOptions {
  readonly bus: Bus;
  readonly subject: string;
  /** The queue group in which it listens, where it is the one reader that is meant. */
  readonly queue?: string;
  /** Milliseconds without any message, signs of life included, before the stream fails. */
  readonly idleTimeoutMs: number;
  /** Milliseconds for which a sender that does not answer is asked again. @defaultValue 10,000 */
  readonly recoveryMs?: number | undefined;
  /** Asks the sender for everything after a number. */
  readonly ask: (afterSeq: number) => Promise<readonly unknown[]>;
  /** Takes the messages: each once, in order, from number 1 on. */
  readonly take: (message: NumberedMessage) => void;
  /** Hears, once, that the stream cannot go on. */
  readonly fail: (error: IModelError) => void;
}

/**
 * Reads one numbered stream from its subject. Gaps are noticed, what was lost is asked for again, and where it is kept no more the
 * stream fails: it never skips.
 */
export class NumberedReader {
  readonly #options: NumberedReaderOptions;
  readonly #subscription: Subscription;
  /** Messages that came ahead of a gap, by number. */
  readonly #early = new Map<number, NumberedMessage>();
  readonly #timer: NodeJS.Timeout;
  readonly #statuses: AsyncIterator<BusStatus>;
  #nextSeq = 1;
  #heardAt = performance.now();
  #recovering = false;
  #closed = false;

  /** Subscribes at once. */
  constructor(options: NumberedReaderOptions) {
    this.#options = options;
    const { bus, subject, queue } = options;
    const receive = (message: Message): void => {
      try {
        this.#receive(message.value());
      } catch (cause) {
        this.#malformed(cause);
      }
    };
    this.#subscription = bus.subscribe(subject, receive, queue === undefined ? {} : { queue });
    this.#timer = setInterval(() => this.#look(), Math.min(1_000, options.idleTimeoutMs / 2));
    this.#timer.unref();
    this.#statuses = options.bus.status[Symbol.asyncIterator]();
    void this.#follow();
  }

  /** Asks for what was sent before it began. */
  catchUp(): void {
    this.#recover();
  }

  /** Stops reading. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#subscription.close();
    this.#early.clear();
    void this.#statuses.return?.();
  }

  #receive(value: unknown): void {
    if (this.#closed) return;
    this.#heardAt = performance.now();
    const message = (typeof value === 'object' ? value : null) as Partial<NumberedMessage> | null;
    if (message?.kind === 'alive') {
      if (Number(message.last_seq) >= this.#nextSeq) this.#recover();
    } else if (typeof message?.kind === 'string' && Number.isSafeInteger(message.seq)) {
      this.#take(message as NumberedMessage);
    } else {
      this.#malformed();
    }
  }

  #malformed(cause?: unknown): void {
    const text = `A message on \`${this.#options.subject}\` could not be read`;
    this.#fail(IModelError.of('malformed', text, { source: 'bus' }, cause === undefined ? {} : { cause }));
  }

  #take(message: NumberedMessage): void {
    if (this.#closed || message.seq < this.#nextSeq) return;
    if (message.seq > this.#nextSeq) {
      if (this.#early.size < mostEarly) this.#early.set(message.seq, message);
      this.#recover();
      return;
    }
    this.#nextSeq += 1;
    this.#options.take(message);
    const early = this.#early.get(this.#nextSeq);
    if (early === undefined) return;
    this.#early.delete(this.#nextSeq);
    this.#take(early);
  }

  /** After a reconnect the sender may have gone on without this reader. */
  async #follow(): Promise<void> {
    let connected = true;
    for (;;) {
      const { done, value: status } = await this.#statuses.next();
      if (done === true || this.#closed) return;
      if (status.type === 'disconnected') connected = false;
      if (status.type !== 'connected' || connected) continue;
      connected = true;
      this.#recover();
    }
  }

  #look(): void {
    const { idleTimeoutMs, subject } = this.#options;
    const silentMs = performance.now() - this.#heardAt;
    if (silentMs >= idleTimeoutMs) {
      const text = `No message came on \`${subject}\` for ${idleTimeoutMs} ms`;
      this.#fail(IModelError.of('timed_out', text, { phase: 'stream', timeoutMs: idleTimeoutMs, source: 'bus' }));
    } else if (silentMs >= quietMs) {
      this.#recover();
    }
  }

  #recover(): void {
    if (this.#recovering || this.#closed) return;
    this.#recovering = true;
    void this.#askAgain().finally(() => {
      this.#recovering = false;
    });
  }

  async #askAgain(): Promise<void> {
    const until = performance.now() + (this.#options.recoveryMs ?? recoveryMs);
    while (!this.#closed) {
      try {
        for (const message of await this.#options.ask(this.#nextSeq - 1)) this.#receive(message);
        this.#heardAt = performance.now();
        return;
      } catch (cause) {
        const failure = toFailure(cause);
        const isAway = ['no_responder', 'unavailable', 'timed_out'].includes(failure.code);
        if (!isAway || performance.now() >= until) {
          const text = `Messages of \`${this.#options.subject}\` were lost after number ${this.#nextSeq - 1}: ${failure.message}`;
          this.#fail(IModelError.of('unavailable', text, { source: 'bus' }, { cause }));
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, recoveryPauseMs));
      }
    }
  }

  #fail(error: IModelError): void {
    if (this.#closed) return;
    this.close();
    this.#options.fail(error);
  }
}
