import type { Chunk } from '../../schemas/chunk.ts';
import type { Failure } from '../../schemas/failure.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { record } from '../http/vendor-error.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';
import type { StreamEncoder } from './dialect.ts';
import { openaiError } from './openai-dialect.ts';
import { statusOf } from './refusal.ts';

/**
 * Writes a streamed transcription: `transcript.text.delta` for each piece, `transcript.text.segment` where speakers are told apart, then `transcript.text.done` with the whole text. A failure is an event
 * with an `error` and nothing after it.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/audio/transcript-text-delta-event} (read 2026-11)
 */
export class TranscriptStreamEncoder implements StreamEncoder {
  chunk({ type, content, metadata }: Chunk): string {
    if (type === 'system' && metadata?.event === 'segment') return event(record(metadata.segment) ?? {});
    return type === 'text' && content ? event({ type: 'transcript.text.delta', delta: content }) : '';
  }

  end(call: ApiCalling): string {
    const { segments: _segments, ...done } = record(call.response) ?? {};
    return event({ ...done, type: 'transcript.text.done', text: call.text });
  }

  failed(failure: Failure): string {
    return event({ error: openaiError(failure, statusOf(failure)) });
  }
}

function event(data: Fields): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}
