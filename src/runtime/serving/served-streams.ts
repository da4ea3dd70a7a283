import type { Clock } from '../../../actors/clock.ts';
import type { Bus, Message } from '../../bus/bus.ts';
import { subjects } from '../../bus/subjects.ts';
import type { ApiCalling } from '../calls/api-calling.ts';
import { KeptSink } from '../calls/kept-sink.ts';
import { RecentCalls } from '../calls/recent-calls.ts';
import type { LiveModel } from '../model/live-model.ts';
import { ReaderWatch } from './reader-watch.ts';
import { keptBytes } from './served-calls.ts';
import { ServedStream } from './served-stream.ts';

/** A reader that gives credit and is silent for this long is gone, and its call is cancelled. In milliseconds. */
const silentReaderMs = 30_000;

/** The streams of one iModel that somebody on the bus reads, by call id. */
export class ServedStreams {
  readonly #live: LiveModel;
  readonly #bus: Bus;
  readonly #clock: Clock;
  readonly #open: RecentCalls<ServedStream>;
  /** Streams that are read in this process, and that somebody on the bus wanted to see. */
  readonly #shown: RecentCalls<ServedStream>;
  readonly #readers: ReaderWatch;

  constructor(live: LiveModel, bus: Bus) {
    this.#live = live;
    this.#bus = bus;
    this.#clock = live.clock;
    this.#open = new RecentCalls(live.clock);
    this.#shown = new RecentCalls(live.clock);
    this.#readers = new ReaderWatch(bus, live.clock);
  }

  /** A stream that was opened, also for a while after its end. */
  get(callId: string): ServedStream | undefined {
    return this.#open.get(callId);
  }

  /** Publishes the chunks and the outcome of a call; whoever cannot be found reading them any more ends it. */
  open(message: Message | undefined, call: ApiCalling, credit: number | null): ServedStream {
    const stream = new ServedStream(call, this.#clock, {
      bus: this.#bus,
      subject: subjects.chunks(this.#live.id, call.id),
      contentType: message?.contentType === 'text/plain' ? 'application/json' : message?.contentType,
      credit,
    });
    this.#open.add(call.id, stream);
    call.onEnd(() => this.#open.ended(call.id, true, keptBytes(call)));
    return stream;
  }

  /**
   * A stream that is read in this process, published from now on for whoever asks to see it. Its reader stays the one who reads it: it does
   * not wait for observers, and does not end when they leave.
   */
  show(callId: string): ServedStream | undefined {
    const shown = this.#shown.get(callId);
    if (shown !== undefined) return shown;
    const call = this.#live.findCall(callId);
    if (!(call?.sink instanceof KeptSink)) return undefined;
    const stream = new ServedStream(call, this.#clock, {
      bus: this.#bus,
      subject: subjects.chunks(this.#live.id, callId),
      credit: null,
      after: call.sink.dropped,
    });
    this.#shown.add(callId, stream);
    call.onEnd(() => this.#shown.ended(callId, true, keptBytes(call)));
    call.sink.showTo(stream);
    return stream;
  }

  /** Shows readers that their streams live, and cancels the calls of those that are gone. */
  look(): void {
    this.#open.forgetOld();
    this.#shown.forgetOld();
    const silentSince = this.#clock.now() - silentReaderMs;
    for (const stream of this.#open.live()) {
      if (stream.credited && stream.heardAt < silentSince) stream.call.cancel('its reader is silent');
      else void this.#readers.check(stream);
    }
  }

  /** Sends no more ends: readers are told by whoever goes on with their calls. */
  leave(): void {
    for (const stream of this.#open.live()) stream.leave();
  }

  /** Lets go of the bus. */
  close(): void {
    this.#readers.close();
  }
}
