import type { BodyReader, Flow } from '../http/exchange.ts';
import type { Answer } from './answer.ts';
import type { BytesReading } from './protocol.ts';

/** The path of a body that is no events but one file, such as sound, to chunks. It is whole when HTTP says so; a body that breaks off is a failure. */
export class BytesReader implements BodyReader {
  readonly #answer: Answer;
  readonly #reading: BytesReading;

  constructor(answer: Answer, reading: BytesReading) {
    this.#answer = answer;
    this.#reading = reading;
  }

  data(bytes: Buffer, flow: Flow): boolean {
    this.#reading.bytes(bytes);
    this.#answer.regulate(flow);
    return false;
  }

  end(): void {
    this.#answer.finish();
  }

  /** The answer as a one-shot call would have brought it. */
  response(): unknown {
    return this.#reading.response();
  }
}
