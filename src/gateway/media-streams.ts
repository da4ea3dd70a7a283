import { base64Of } from '../../schemas/bytes.ts';
import type { Chunk } from '../../schemas/chunk.ts';
import type { Failure } from '../../schemas/failure.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { record } from '../http/vendor-error.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';
import type { StreamEncoder } from './dialect.ts';
import { openaiError } from './openai-dialect.ts';
import { statusOf } from './refusal.ts';

/**
 * Writes streamed images: `….partial_image` for each preview as it comes, then `….completed` for each image, the last with what was used. A
 * failure is an event with an `error` and nothing after it.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/images-streaming} (read 2026-11)
 */
export class ImageStreamEncoder implements StreamEncoder {
  readonly #kind: 'image_generation' | 'image_edit';
  /** The latest image, held back until it is known whether it is the last. */
  #image: Fields | null = null;

  constructor(kind: 'image_generation' | 'image_edit') {
    this.#kind = kind;
  }

  chunk({ type, data, metadata }: Chunk): string {
    if (type !== 'media' || !data) return '';
    const image = { ...record(metadata?.image), b64_json: base64Of(data) };
    const index = metadata?.partialImageIndex;
    if (index !== undefined) return this.#event('partial_image', { ...image, partial_image_index: index });
    const before = this.#completed();
    this.#image = image;
    return before;
  }

  end({ response, usage }: ApiCalling): string {
    const used = record(response)?.usage ?? usageOf(usage);
    return this.#completed(used === undefined ? {} : { usage: used });
  }

  failed(failure: Failure): string {
    return `${this.#completed()}${failureEvent(failure)}`;
  }

  #completed(more: Fields = {}): string {
    return this.#image === null ? '' : this.#event('completed', { ...this.#image, ...more });
  }

  #event(name: string, about: Fields): string {
    const type = `${this.#kind}.${name}`;
    return `event: ${type}\ndata: ${JSON.stringify({ type, ...about })}\n\n`;
  }
}

/**
 * Writes streamed speech: `speech.audio.delta` for each piece, then `speech.audio.done` with what was used. A failure is an event with an `error`
 * and nothing after it.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/audio/speech-audio-delta-event} (read 2026-11)
 */
export class SpeechStreamEncoder implements StreamEncoder {
  chunk({ type, data }: Chunk): string {
    return type === 'media' && data ? event({ type: 'speech.audio.delta', audio: base64Of(data) }) : '';
  }

  end({ usage }: ApiCalling): string {
    const used = usageOf(usage);
    return event({ type: 'speech.audio.done', ...(used === undefined ? {} : { usage: used }) });
  }

  failed(failure: Failure): string {
    return failureEvent(failure);
  }
}

/** Tokens as the reports on images and sound name them; undefined when there is no report. */
function usageOf(usage: ApiCalling['usage']): Fields | undefined {
  if (usage === null) return undefined;
  const { inputTokens, outputTokens, totalTokens } = usage;
  return { input_tokens: inputTokens, output_tokens: outputTokens, total_tokens: totalTokens };
}

function failureEvent(failure: Failure): string {
  return event({ error: openaiError(failure, statusOf(failure)) });
}

function event(data: Fields): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}
