import {
  imageEditRequest,
  imageGenerationRequest,
  speechRequest,
  transcriptionRequest,
  translationRequest,
} from '../../schemas/requests/openai-media.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { IModelError } from '../errors.ts';
import { record } from '../http/vendor-error.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';
import { readStream } from './chat-completions.ts';
import { PlainBody, type Shape, type ShapedRequest } from './dialect.ts';
import { type FieldRules, fitFields } from './fit-fields.ts';
import { type FormFile, isFile } from './form.ts';
import { ImageStreamEncoder, SpeechStreamEncoder } from './media-streams.ts';
import { openaiDialect } from './openai-dialect.ts';
import type { Target } from './target.ts';
import { TranscriptStreamEncoder } from './transcript-stream.ts';

const speechRules: FieldRules = { family: 'speech', verb: 'speak', schema: speechRequest };
const transcriptionRules: FieldRules = { family: 'transcription', verb: 'transcribe', schema: transcriptionRequest };
const translationRules: FieldRules = { family: 'translation', verb: 'translate speech', schema: translationRequest };
const imageRules: FieldRules = { family: 'images', verb: 'make images', schema: imageGenerationRequest };
const editRules: FieldRules = { family: 'image_edits', verb: 'edit images', schema: imageEditRequest };

/**
 * `POST /v1/audio/speech`: sound from text. The answer is the sound itself, or events where `stream_format` asks for them.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/audio/createSpeech} (read 2026-11)
 */
export const speech: Shape = {
  dialect: openaiDialect,
  read(body, target) {
    const streaming = body.stream_format === 'sse';
    return { ...fitFields(body, target, speechRules), streaming, includeUsage: true };
  },
  write: ({ response }) => {
    const { audio, contentType } = record(response) ?? {};
    if (!(audio instanceof Uint8Array)) return response;
    const bytes = Buffer.from(audio.buffer, audio.byteOffset, audio.byteLength);
    return new PlainBody(bytes, typeof contentType === 'string' ? contentType : 'application/octet-stream');
  },
  openStream: () => new SpeechStreamEncoder(),
};

/**
 * `POST /v1/audio/transcriptions`: the text of sound, one-shot and streamed.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/audio/createTranscription} (read 2026-11)
 */
export const transcriptions: Shape = {
  dialect: openaiDialect,
  isForm: true,
  read(body, target) {
    const streaming = readStream(body);
    const { file, filename: _filename, stream: _stream, ...fields } = body;
    const fitted = fitFields(fields, target, transcriptionRules);
    // A model that reads sound from elsewhere needs no file.
    const hasUrl = file === undefined && fitted.request.url !== undefined;
    const request = hasUrl ? fitted.request : { ...fitted.request, ...soundOf(file) };
    return { ...fitted, request, streaming, includeUsage: true };
  },
  write: writeTranscript,
  openStream: () => new TranscriptStreamEncoder(),
};

/**
 * `POST /v1/audio/translations`: sound in any language as English text.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/audio/createTranslation} (read 2026-11)
 */
export const translations: Shape = {
  dialect: openaiDialect,
  isForm: true,
  read({ file, filename: _filename, ...fields }, target) {
    const { request, ...rest } = whole(fields, target, translationRules);
    return { ...rest, request: { ...request, ...soundOf(file) } };
  },
  write: writeTranscript,
  openStream: null,
};

/**
 * `POST /v1/images/generations`: images from text, one-shot and streamed.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/images/create} (read 2026-11)
 */
export const imageGenerations: Shape = {
  dialect: openaiDialect,
  read: (body, target) => maybeStreamed(body, target, imageRules),
  write: ({ response }) => response,
  openStream: () => new ImageStreamEncoder('image_generation'),
};

/**
 * `POST /v1/images/edits`: images from images and text, one-shot and streamed.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/images/createEdit} (read 2026-11)
 */
export const imageEdits: Shape = {
  dialect: openaiDialect,
  isForm: true,
  read({ image, mask, image_filename: _image, mask_filename: _mask, ...fields }, target) {
    const { request, ...rest } = maybeStreamed(fields, target, editRules);
    const images = (Array.isArray(image) ? image : [image]).map((entry) => fileIn(entry, 'image'));
    const [first] = images;
    const files = {
      image: images.length === 1 ? first?.bytes : images.map(({ bytes }) => bytes),
      ...(first === undefined ? {} : { image_filename: first.filename }),
      ...(mask === undefined ? {} : { mask: fileIn(mask, 'mask').bytes }),
    };
    return { ...rest, request: { ...request, ...files } };
  },
  write: ({ response }) => response,
  openStream: () => new ImageStreamEncoder('image_edit'),
};

/** A request whose answer is streamed where `stream` asks for it. */
function maybeStreamed({ stream, ...fields }: Fields, target: Target, rules: FieldRules): ShapedRequest {
  return { ...fitFields(fields, target, rules), streaming: readStream({ stream }), includeUsage: true };
}

/** A request whose answer comes in one piece. */
function whole(body: Fields, target: Target, rules: FieldRules): ShapedRequest {
  const { stream, ...fields } = body;
  const fitted = fitFields(fields, target, rules);
  if (readStream({ stream })) {
    throw IModelError.of('invalid_request', '`stream` of true: the answer comes in one piece', { path: 'stream' });
  }
  return { ...fitted, streaming: false, includeUsage: false };
}

function soundOf(file: unknown): Fields {
  const { bytes, filename } = fileIn(file, 'file');
  return { file: bytes, filename };
}

function fileIn(value: unknown, path: string): FormFile {
  if (isFile(value)) return value;
  throw IModelError.of('invalid_request', `Expected \`${path}\` to be a file in the form`, { path });
}

/** Formats that are no JSON come as a text. */
function writeTranscript({ response }: ApiCalling): unknown {
  return typeof response === 'string' ? new PlainBody(response, 'text/plain; charset=utf-8') : response;
}
