import { bytesOf } from '../../schemas/bytes.ts';
import { readVendorError, record } from '../http/vendor-error.ts';
import type { Answer } from './answer.ts';
import type { Fields } from './endpoint.ts';
import { count, readUsage } from './openai-usage.ts';
import { type StreamReading, VendorFault } from './protocol.ts';

/** What an event says of its image, named as in the body of a one-shot answer. */
const traits = ['background', 'output_format', 'quality', 'size'] as const;

/**
 * Reads the events of streamed images: previews (`image_generation.partial_image`, `image_edit.partial_image`), then each image as it is done
 * (`….completed`). The stream is over when all that were asked for have come.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/images-streaming} (read 2026-11)
 */
export class ImageEvents implements StreamReading {
  readonly #answer: Answer;
  readonly #asked: number;
  readonly #images: Fields[] = [];
  #createdAt: unknown = null;
  #about: Fields = {};

  /** @param payload - What was asked; `n` images, one when it does not say. */
  constructor(answer: Answer, payload: Fields) {
    this.#answer = answer;
    this.#asked = count(payload.n) ?? 1;
  }

  event(value: unknown): boolean {
    const event = record(value) ?? {};
    const { type, b64_json: base64, usage } = event;
    if (type === 'error' || record(event.error) !== undefined) throw new VendorFault(readVendorError(value, ''), value);
    if (typeof type !== 'string' || typeof base64 !== 'string') return false;
    if (type.endsWith('.partial_image')) {
      writeImage(this.#answer, base64, event, { partialImageIndex: count(event.partial_image_index) ?? 0 });
    }
    if (!type.endsWith('.completed')) return false;
    writeImage(this.#answer, base64, event, {});
    this.#images.push({ b64_json: base64 });
    this.#about = { ...named(event), ...(usage === undefined ? {} : { usage }) };
    this.#createdAt = event.created_at ?? null;
    this.#answer.usage = readUsage(usage);
    return this.#images.length >= this.#asked;
  }

  end(terminated: boolean): boolean {
    return terminated && this.#images.length > 0;
  }

  response(): unknown {
    return { created: this.#createdAt, data: this.#images, ...this.#about };
  }
}

/** Writes the images of a body that came in one piece. Those that are only named by a URL are left to its reader. */
export function writeImages(answer: Answer, body: unknown): void {
  const reply = record(body) ?? {};
  for (const image of Array.isArray(reply.data) ? reply.data : []) {
    const base64 = record(image)?.b64_json;
    if (typeof base64 === 'string') writeImage(answer, base64, reply, {});
  }
}

/** @param about - Where the vendor says what the image is; handed on in the chunk's metadata, in the vendor's spelling. */
function writeImage(answer: Answer, base64: string, about: Fields, metadata: Fields): void {
  const data = bytesOf(base64);
  const { created_at: createdAt, created = createdAt } = about;
  const image = { ...(created === undefined ? {} : { created_at: created }), ...named(about) };
  answer.writeMedia({ data, mediaType: typeOf(about), metadata: { ...metadata, image } });
}

function typeOf({ output_format: format }: Fields): string {
  return typeof format === 'string' && format !== '' ? `image/${format}` : 'image/png';
}

function named(event: Fields): Fields {
  return Object.fromEntries(traits.filter((name) => event[name] !== undefined).map((name) => [name, event[name]]));
}
