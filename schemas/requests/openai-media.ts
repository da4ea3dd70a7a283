import { z } from 'zod';

/** A file's content: bytes, a Blob, or base64 text with a `data:` prefix. */
const fileContent = z.union([
  z.instanceof(Uint8Array),
  z.instanceof(ArrayBuffer),
  z.instanceof(Blob),
  z.string().regex(/^data:[^,]*;base64,/, 'expected bytes or a base64 data URL'),
]);

/**
 * A request for speech from text.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/audio/createSpeech} (read 2026-11)
 */
export const speechRequest = z.strictObject({
  model: z.string().min(1).default('tts-1'),
  /** At most 4,096 characters at the vendor. */
  input: z.string(),
  voice: z.union([z.string(), z.looseObject({ id: z.string() })]).default('alloy'),
  response_format: z.string().optional(),
  speed: z.number().min(0.25).max(4).optional(),
  instructions: z.string().optional(),
  /** `audio` (the sound itself) or `sse` (events, which tell what was used; not with every model). */
  stream_format: z.string().optional(),
});

/**
 * A request for the text of speech. `file` travels beside the fields, as a part of its own.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/audio/createTranscription} (read 2026-11)
 */
export const transcriptionRequest = z.strictObject({
  model: z.string().min(1).default('whisper-1'),
  file: fileContent.optional(),
  /** @defaultValue `audio.mp3` */
  filename: z.string().optional(),
  language: z.string().optional(),
  prompt: z.string().optional(),
  response_format: z.string().optional(),
  temperature: z.number().min(0).max(1).optional(),
  timestamp_granularities: z.array(z.string()).optional(),
  include: z.array(z.string()).optional(),
  stream: z.boolean().optional(),
  chunking_strategy: z.union([z.string(), z.looseObject({})]).optional(),
  known_speaker_names: z.array(z.string()).optional(),
  known_speaker_references: z.array(z.string()).optional(),
  languages: z.array(z.string()).optional(),
  keywords: z.array(z.string()).optional(),
});

/**
 * A request for the text of speech in English, whatever its language. `file` travels beside the fields, as a part of its own.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/audio/createTranslation} (read 2026-11)
 */
export const translationRequest = transcriptionRequest.pick({
  model: true,
  file: true,
  filename: true,
  prompt: true,
  response_format: true,
  temperature: true,
});

const streamFields = {
  stream: z.boolean().optional(),
  /** Previews of an image that is streamed. */
  partial_images: z.int().min(0).max(3).optional(),
};

/**
 * A request for images from text.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/images/create} (read 2026-11)
 */
export const imageGenerationRequest = z.strictObject({
  prompt: z.string(),
  model: z.string().min(1).default('gpt-image-1'),
  n: z.int().min(1).max(10).optional(),
  quality: z.string().optional(),
  response_format: z.string().optional(),
  size: z.string().optional(),
  style: z.string().optional(),
  user: z.string().optional(),
  background: z.string().optional(),
  moderation: z.string().optional(),
  output_format: z.string().optional(),
  output_compression: z.int().min(0).max(100).optional(),
  ...streamFields,
});

/**
 * A request to change images. The images travel beside the fields, as parts of their own.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/images/createEdit} (read 2026-11)
 */
export const imageEditRequest = z.strictObject({
  prompt: z.string(),
  model: z.string().min(1).default('gpt-image-1'),
  /** One image or several. */
  image: z.union([fileContent, z.array(fileContent)]).optional(),
  /** @defaultValue `image.png` */
  image_filename: z.string().optional(),
  mask: fileContent.optional(),
  /** @defaultValue `mask.png` */
  mask_filename: z.string().optional(),
  n: z.int().min(1).max(10).optional(),
  quality: z.string().optional(),
  size: z.string().optional(),
  response_format: z.string().optional(),
  user: z.string().optional(),
  background: z.string().optional(),
  input_fidelity: z.string().optional(),
  output_format: z.string().optional(),
  output_compression: z.int().min(0).max(100).optional(),
  ...streamFields,
});
