import { bytesOf } from '../../schemas/bytes.ts';
import { speechRequest } from '../../schemas/requests/openai-media.ts';
import { readVendorError, record } from '../http/vendor-error.ts';
import { type Answer, emptyView } from './answer.ts';
import { decodeJson } from './decode-json.ts';
import type { Fields } from './endpoint.ts';
import { readUsage } from './openai-usage.ts';
import { type BytesReading, type HttpEndpointKind, type StreamReading, VendorFault } from './protocol.ts';

/** Sound, as a speech endpoint brings it. */
export interface SpeechReply {
  readonly audio: Uint8Array;
  readonly contentType: string;
}

/** What the formats are called in headers. */
const mediaTypes: Readonly<Record<string, string>> = { mp3: 'audio/mpeg' };

/**
 * Speech from text, `POST audio/speech`. The response is a {@link SpeechReply}, whichever way the sound came: in one piece, as bytes while it is
 * made, or with `stream_format: 'sse'` as events, which tell what was used.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/audio/createSpeech} (read 2026-11)
 * @see {@link https://platform.openai.com/docs/api-reference/audio/speech-audio-delta-event} (read 2026-11)
 */
export function openaiSpeech(): HttpEndpointKind {
  return {
    path: 'audio/speech',
    aliases: ['tts'],
    timeout: 120,
    requiresTokens: false,
    protocol: {
      schema: speechRequest,
      framing: 'sse',
      // How the sound is wanted is said by `stream_format`; the vendor knows no `stream`.
      accept: ({ stream: _stream, ...request }) => request,
      toWire: (request) => request,
      decode(reply): SpeechReply | unknown {
        const contentType = String(reply.headers['content-type'] ?? unknownType);
        if (contentType.startsWith('application/json')) return decodeJson(reply);
        return { audio: new Uint8Array(reply.body), contentType };
      },
      fromWire: () => emptyView,
      openStream: (answer, payload) => new SpeechEvents(new Sound(answer, typeOf(payload)), answer),
      openBytes: (answer, contentType) => new Sound(answer, contentType || unknownType),
    },
  };
}

const unknownType = 'application/octet-stream';

function typeOf({ response_format: format = 'mp3' }: Fields): string {
  return mediaTypes[String(format)] ?? `audio/${format}`;
}

/** Sound as it comes, written as `media` chunks and kept whole. */
class Sound implements BytesReading {
  readonly #answer: Answer;
  readonly #contentType: string;
  readonly #pieces: Uint8Array[] = [];

  constructor(answer: Answer, contentType: string) {
    this.#answer = answer;
    this.#contentType = contentType;
  }

  get isEmpty(): boolean {
    return this.#pieces.length === 0;
  }

  bytes({ buffer, byteOffset, byteLength }: Uint8Array): void {
    if (byteLength === 0) return;
    const data = new Uint8Array(buffer, byteOffset, byteLength);
    this.#pieces.push(data);
    this.#answer.writeMedia({ data, mediaType: this.#contentType, isDelta: true });
  }

  response(): SpeechReply {
    return { audio: new Uint8Array(Buffer.concat(this.#pieces)), contentType: this.#contentType };
  }
}

/** Reads the events of streamed speech. */
class SpeechEvents implements StreamReading {
  readonly #sound: Sound;
  readonly #answer: Answer;

  constructor(sound: Sound, answer: Answer) {
    this.#sound = sound;
    this.#answer = answer;
  }

  event(value: unknown): boolean {
    const event = record(value) ?? {};
    if (event.type === 'error' || record(event.error) !== undefined)
      throw new VendorFault(readVendorError(value, ''), value);
    if (event.type === 'speech.audio.delta' && typeof event.audio === 'string') this.#sound.bytes(bytesOf(event.audio));
    if (event.type !== 'speech.audio.done') return false;
    this.#answer.usage = readUsage(event.usage);
    return true;
  }

  end(terminated: boolean): boolean {
    return terminated && !this.#sound.isEmpty;
  }

  response(): SpeechReply {
    return this.#sound.response();
  }
}
