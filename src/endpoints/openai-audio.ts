import type { z } from 'zod';
import type { AnswerView } from '../../schemas/chunk.ts';
import { transcriptionRequest, translationRequest } from '../../schemas/requests/openai-media.ts';
import type { HttpResponse } from '../http/exchange.ts';
import { readVendorError, record } from '../http/vendor-error.ts';
import { type Answer, emptyView } from './answer.ts';
import { decodeJson } from './decode-json.ts';
import type { Fields } from './endpoint.ts';
import { encodeMultipart, fileBytes } from './multipart.ts';
import { readUsage } from './openai-usage.ts';
import { type EncodedBody, type HttpEndpointKind, type StreamReading, VendorFault } from './protocol.ts';

/** What a vendor does differently from OpenAI's own transcription. */
export interface TranscriptionOptions {
  readonly aliases: readonly string[];
  readonly schema?: z.ZodObject;
  /** Whether `url` may take the place of `file`. @defaultValue false */
  readonly takesUrl?: boolean;
}

/**
 * The text of speech, `POST audio/transcriptions`, as a form with a file. Formats that are no JSON come as a string.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/audio/createTranscription} (read 2026-11)
 */
export function openaiTranscription(options: TranscriptionOptions): HttpEndpointKind {
  const { aliases, schema = transcriptionRequest, takesUrl = false } = options;
  return {
    path: 'audio/transcriptions',
    aliases,
    timeout: 120,
    requiresTokens: false,
    contentType: null,
    protocol: {
      schema,
      transportFields: ['file', 'filename'],
      framing: 'sse',
      toWire: (request) => request,
      finishWire(payload, streaming) {
        const { stream: _stream, ...rest } = payload;
        return streaming ? { ...rest, stream: true } : rest;
      },
      async encode(payload, transport) {
        if (transport.file === undefined && takesUrl && payload.url !== undefined) return encodeMultipart(payload, []);
        return encodeSound(payload, transport);
      },
      decode: decodeTranscript,
      fromWire: transcriptView,
      openStream: (answer) => new TranscriptReading(answer),
    },
  };
}

/**
 * Speech in any language as English text, `POST audio/translations`, as a form with a file. Formats that are no JSON come as a string.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/audio/createTranslation} (read 2026-11)
 */
export function openaiTranslation(): HttpEndpointKind {
  return {
    path: 'audio/translations',
    aliases: ['translate'],
    timeout: 120,
    requiresTokens: false,
    contentType: null,
    protocol: {
      schema: translationRequest,
      transportFields: ['file', 'filename'],
      framing: null,
      toWire: (request) => request,
      encode: encodeSound,
      decode: decodeTranscript,
      fromWire: transcriptView,
    },
  };
}

async function encodeSound(payload: Fields, transport: Fields): Promise<EncodedBody> {
  const bytes = await fileBytes(transport.file, 'file');
  const filename = typeof transport.filename === 'string' ? transport.filename : 'audio.mp3';
  return encodeMultipart(payload, [{ name: 'file', filename, bytes, contentType: 'application/octet-stream' }]);
}

function decodeTranscript(reply: HttpResponse): unknown {
  const contentType = String(reply.headers['content-type'] ?? '');
  return contentType.startsWith('application/json') ? decodeJson(reply) : reply.body.toString('utf8');
}

function transcriptView(body: unknown): AnswerView {
  if (typeof body === 'string') return { ...emptyView, text: body };
  const reply = record(body);
  return { ...emptyView, text: String(reply?.text ?? ''), usage: readUsage(reply?.usage) };
}

/** Reads the events of a streamed transcription. Segments, which name who speaks, are `system` chunks: `metadata: { event: 'segment', segment }`. */
class TranscriptReading implements StreamReading {
  readonly #answer: Answer;
  readonly #segments: Fields[] = [];
  #done: Fields = {};

  constructor(answer: Answer) {
    this.#answer = answer;
  }

  event(value: unknown): boolean {
    const event = record(value) ?? {};
    if (event.type === 'transcript.text.delta') this.#answer.writeText(String(event.delta ?? ''));
    if (event.type === 'error' || event.error !== undefined) throw new VendorFault(readVendorError(value, ''), value);
    if (event.type === 'transcript.text.segment') {
      this.#segments.push(event);
      this.#answer.writeNote('segment', { segment: event });
    }
    if (event.type !== 'transcript.text.done') return false;
    const { type: _type, ...done } = event;
    this.#done = done;
    if (this.#answer.text === '' && typeof done.text === 'string' && done.text !== '')
      this.#answer.writeText(done.text);
    this.#answer.usage = readUsage(done.usage);
    return true;
  }

  end(): boolean {
    return false;
  }

  response(): unknown {
    const segments = this.#segments.length === 0 ? {} : { segments: this.#segments };
    return { text: this.#answer.text, ...segments, ...this.#done };
  }
}
