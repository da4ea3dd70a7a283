import type { ServerResponse } from 'node:http';
import { toFailure } from '../errors.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';
import type { StreamEncoder } from './dialect.ts';
import { EventNumbers, eventsOf } from './event-numbers.ts';
import { EventRing } from './event-ring.ts';
import type { EventWriter } from './event-writer.ts';
import { Refusal } from './refusal.ts';
import type { StreamedCall } from './streamed-call.ts';

/**
 * Characters that are kept for a reader that comes back: more than the buffers of both ends of a connection hold, which is how much may have been
 * sent and never read.
 */
const keptSize = 8 * 1_024 * 1_024;

/** Characters a call may be ahead of its reader, gone or not, before its upstream is held back. */
const longestLead = 65_536;

/** Who reads. */
interface Reader {
  readonly raw: ServerResponse;
  /** The id of the latest event it was sent. */
  seen: number;
}

/**
 * A stream that outlives the connection of its reader for a while: its latest events are kept, and one that comes back goes on after the last it
 * has seen. One reader at a time: the latest.
 */
export class KeptStream {
  readonly #stream: StreamedCall;
  readonly #encoder: StreamEncoder;
  readonly #keepMs: number;
  readonly #onGone: () => void;
  readonly #events = new EventRing(keptSize);
  readonly #numbers = new EventNumbers();
  #reader: Reader | null = null;
  #isOver = false;
  #isClosed = false;
  /** Set when the call failed before its first event. */
  #error: unknown = null;
  #timer: NodeJS.Timeout | undefined;
  #changed: Promise<void> | null = null;
  #wake: (() => void) | null = null;

  /**
   * @param keepMs - How long it waits for a reader, milliseconds: then its call is cancelled, or what is kept of an ended one forgotten.
   * @param onGone - Runs when that time is up.
   */
  constructor(stream: StreamedCall, encoder: StreamEncoder, keepMs: number, onGone: () => void) {
    this.#stream = stream;
    this.#encoder = encoder;
    this.#keepMs = keepMs;
    this.#onGone = onGone;
    void this.#pump();
  }

  /**
   * Answers a reader with what it has not seen, and with what comes, until the end or until it leaves.
   *
   * @param after - The id of the last event it has seen, 0 for none.
   * @throws Refusal 410 where some of what it misses is kept no more, 400 for an event that never was; what the call failed with, while nothing has
   * been sent.
   */
  async serve(raw: ServerResponse, writer: EventWriter, after: number): Promise<void> {
    try {
      this.#refuseUnkept(after);
      await this.#follow(this.#admit(raw, after), writer);
    } finally {
      writer.stop();
    }
  }

  /** Forgets what is kept, and cancels the call that nobody reads. */
  close(): void {
    clearTimeout(this.#timer);
    this.#isClosed = true;
    if (this.#reader === null) this.#stream.cancel('its reader did not come back');
    this.#notify();
  }

  #refuseUnkept(after: number): void {
    const { last } = this.#numbers;
    const { id } = this.#stream;
    if (after > last)
      throw new Refusal(400, 'unknown_event', `The call \`${id}\` has no event ${after} yet`, 'last-event-id');
    if (after < this.#events.dropped) {
      throw new Refusal(
        410,
        'events_gone',
        `The events after ${after} of the call \`${id}\` are kept no more`,
        'last-event-id',
      );
    }
  }

  #admit(raw: ServerResponse, after: number): Reader {
    this.#reader?.raw.destroy();
    clearTimeout(this.#timer);
    const reader: Reader = { raw, seen: after };
    this.#reader = reader;
    raw.once('close', () => this.#leave(reader));
    if (raw.destroyed) this.#leave(reader);
    return reader;
  }

  async #follow(reader: Reader, writer: EventWriter): Promise<void> {
    while (this.#reader === reader) {
      if (reader.seen === this.#numbers.last) {
        if (this.#isOver) break;
        await this.#change();
        continue;
      }
      if (this.#error !== null && !writer.begun) throw this.#error;
      reader.seen += 1;
      const isFree = writer.write(this.#events.take(reader.seen));
      this.#notify();
      if (!isFree) await writer.drained();
    }
    if (this.#reader === reader) writer.end();
  }

  async #pump(): Promise<void> {
    try {
      for await (const chunk of this.#stream) {
        this.#push(this.#encoder.chunk(chunk));
        while (!this.#isClosed && this.#events.untaken > longestLead) await this.#change();
      }
      this.#push(this.#encoder.end(this.#stream.call as ApiCalling));
    } catch (error) {
      if (this.#numbers.last === 0) this.#error = error;
      this.#push(this.#encoder.failed(toFailure(error)));
    } finally {
      this.#stream.settle();
    }
    this.#isOver = true;
    this.#notify();
    this.#await();
  }

  #push(text: string): void {
    if (text === '') return;
    for (const event of eventsOf(text)) {
      this.#events.add(this.#numbers.number(event));
    }
    this.#notify();
  }

  #leave(reader: Reader): void {
    if (this.#reader !== reader) return;
    this.#reader = null;
    this.#notify();
    if (this.#isClosed) this.close();
    else this.#await();
  }

  /** Waits for a reader, or for one of an ended call to ask again. */
  #await(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.close();
      this.#onGone();
    }, this.#keepMs);
    this.#timer.unref();
  }

  #change(): Promise<void> {
    this.#changed ??= new Promise((resolve) => {
      this.#wake = resolve;
    });
    return this.#changed;
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = null;
    this.#changed = null;
    wake?.();
  }
}
