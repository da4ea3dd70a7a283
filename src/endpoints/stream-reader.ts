import { IModelError } from '../errors.ts';
import type { BodyReader, Flow } from '../http/exchange.ts';
import { NdjsonReader } from '../http/ndjson.ts';
import { SseReader } from '../http/sse.ts';
import type { Answer } from './answer.ts';
import type { Fields } from './endpoint.ts';
import type { Protocol, StreamReading } from './protocol.ts';

/** The path from a body's bytes to chunks: framing, JSON, the protocol's own reading, and the sink's backpressure. */
export class StreamReader implements BodyReader {
  readonly #answer: Answer;
  readonly #reading: StreamReading;
  readonly #framing: { feed(bytes: Buffer): void; end(): void };
  #complete = false;

  /**
   * @param protocol - One that streams.
   * @param payload - What was asked.
   */
  constructor(protocol: Protocol, answer: Answer, payload: Fields) {
    const reading = protocol.openStream?.(answer, payload);
    if (reading === undefined) throw IModelError.of('internal', 'This protocol does not stream', {});
    this.#answer = answer;
    this.#reading = reading;
    const handle = (data: string, name?: string): void => this.#event(data, name);
    this.#framing = protocol.framing === 'ndjson' ? new NdjsonReader(handle) : new SseReader(handle);
  }

  data(bytes: Buffer, flow: Flow): boolean {
    this.#framing.feed(bytes);
    this.#answer.regulate(flow);
    return this.#complete;
  }

  end(): void {
    this.#framing.end();
    if (this.#complete) return;
    if (!this.#reading.end(false)) {
      throw IModelError.of('unavailable', 'The stream ended early, without a finish reason', {
        reason: 'stream_ended_early',
      });
    }
    this.#finish();
  }

  /** The answer as a one-shot call would have brought it. */
  response(): unknown {
    return this.#reading.response();
  }

  #event(data: string, name: string | undefined): void {
    if (this.#complete) return;
    if (data === '[DONE]') {
      if (this.#reading.end(true)) this.#finish();
      return;
    }
    let event: unknown;
    try {
      event = JSON.parse(data);
    } catch (cause) {
      const message = `A piece of the stream is no JSON: ${(cause as Error).message}`;
      throw IModelError.of('malformed', message, { excerpt: data.slice(0, 200) }, { cause });
    }
    if (this.#reading.event(event, name)) this.#finish();
  }

  #finish(): void {
    this.#complete = true;
    this.#answer.finish();
  }
}
