import { imageEditRequest, imageGenerationRequest } from '../../schemas/requests/openai-media.ts';
import type { Answer } from './answer.ts';
import type { Fields } from './endpoint.ts';
import { ImageEvents, writeImages } from './image-stream.ts';
import { jsonCall, usageView } from './json-call.ts';
import { encodeMultipart, type FilePart, fileBytes, imageType } from './multipart.ts';
import type { HttpEndpointKind } from './protocol.ts';

/**
 * Images from text, `POST images/generations`.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/images/create} (read 2026-11)
 */
export function openaiImageGeneration(): HttpEndpointKind {
  const { protocol, ...kind } = jsonCall({
    path: 'images/generations',
    aliases: ['dalle', 'image'],
    schema: imageGenerationRequest,
  });
  return { ...kind, protocol: { ...protocol, ...streamed } };
}

/**
 * Images from images and text, `POST images/edits`, as a form with files.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/images/createEdit} (read 2026-11)
 */
export function openaiImageEdit(): HttpEndpointKind {
  return {
    path: 'images/edits',
    aliases: ['image_edit'],
    timeout: 120,
    requiresTokens: false,
    contentType: null,
    protocol: {
      schema: imageEditRequest,
      transportFields: ['image', 'image_filename', 'mask', 'mask_filename'],
      toWire: (request) => request,
      async encode(payload, transport) {
        const { image, mask } = transport;
        const images: readonly unknown[] = Array.isArray(image) ? image : [image];
        const name = images.length > 1 ? 'image[]' : 'image';
        const files: FilePart[] = [];
        for (const file of images) files.push(await imagePart(name, file, transport.image_filename, 'image.png'));
        if (mask !== undefined) files.push(await imagePart('mask', mask, transport.mask_filename, 'mask.png'));
        return encodeMultipart(payload, files);
      },
      fromWire: usageView,
      ...streamed,
    },
  };
}

/** How both stream: previews where `partial_images` asks for some, then the image. */
const streamed = {
  framing: 'sse',
  finishWire({ stream: _stream, ...payload }: Fields, streaming: boolean): Fields {
    return streaming ? { ...payload, stream: true } : payload;
  },
  openStream: (answer: Answer, payload: Fields) => new ImageEvents(answer, payload),
  writeWhole: writeImages,
} as const;

async function imagePart(name: string, file: unknown, given: unknown, fallback: string): Promise<FilePart> {
  const bytes = await fileBytes(file, name.replace('[]', ''));
  const filename = typeof given === 'string' ? given : fallback;
  return { name, filename, bytes, contentType: imageType(bytes) };
}
