import { toFailure } from '../errors.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';
import type { StreamEncoder } from './dialect.ts';
import { EventNumbers } from './event-numbers.ts';
import type { EventWriter } from './event-writer.ts';
import type { StreamedCall } from './streamed-call.ts';

/**
 * Writes a call's chunks and its end as they come. A reader that falls behind makes the upstream wait.
 *
 * @throws IModelError what the call failed with, while nothing has been sent; later failures are the stream's last event.
 */
export async function writeStream(stream: StreamedCall, encoder: StreamEncoder, writer: EventWriter): Promise<void> {
  const numbers = new EventNumbers();
  try {
    for await (const chunk of stream) {
      const text = encoder.chunk(chunk);
      if (text !== '' && !writer.write(numbers.number(text))) await writer.drained();
    }
    writer.write(numbers.number(encoder.end(stream.call as ApiCalling)));
  } catch (error) {
    if (!writer.begun) {
      writer.stop();
      throw error;
    }
    writer.write(numbers.number(encoder.failed(toFailure(error))));
  } finally {
    stream.settle();
  }
  writer.end();
}
