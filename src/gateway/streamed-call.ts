import type { Chunk } from '../../schemas/chunk.ts';
import type { Admission } from '../callers/admission.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';
import type { ModelStream } from '../runtime/calls/model-stream.ts';

/** The chunks of a streamed call that begins when the limits of its caller let it in. */
export class StreamedCall implements AsyncIterable<Chunk> {
  /** The id of the call. */
  readonly id: string;
  readonly #admission: Admission | null | Promise<Admission>;
  readonly #open: (admission: Admission | null) => ModelStream;
  readonly #leave: (reason: unknown) => void;
  #stream: ModelStream | null = null;
  /** What the limits are told in the end. */
  #admitted: Admission | null = null;

  /**
   * @param admission - Null where nobody limits.
   * @param open - Begins the call.
   * @param leave - Takes the request back that still waits for its admission.
   */
  constructor(
    id: string,
    admission: Admission | null | Promise<Admission>,
    { open, leave }: { open(admission: Admission | null): ModelStream; leave(reason: unknown): void },
  ) {
    this.id = id;
    this.#admission = admission;
    this.#open = open;
    this.#leave = leave;
    if (!(admission instanceof Promise)) this.#stream = this.#begin(admission);
  }

  /** The call; null while it waits to be let in. */
  get call(): ApiCalling | null {
    return this.#stream?.call ?? null;
  }

  /** Takes the call back, wherever it stands. */
  cancel(reason: unknown): void {
    if (this.#stream === null) this.#leave(reason);
    else this.#stream.call.cancel(reason);
  }

  /** Tells the limits of the caller what was used. For the one who has read it to its end. */
  settle(): void {
    this.#admitted?.settle(this.call);
  }

  [Symbol.asyncIterator](): AsyncIterator<Chunk> {
    return this.#stream ?? this.#late();
  }

  async *#late(): AsyncGenerator<Chunk, void, undefined> {
    this.#stream = this.#begin(await (this.#admission as Promise<Admission>));
    yield* this.#stream;
  }

  #begin(admission: Admission | null): ModelStream {
    this.#admitted = admission;
    try {
      return this.#open(admission);
    } catch (error) {
      admission?.settle(null);
      throw error;
    }
  }
}
