import { z } from 'zod';

/**
 * A request of OpenAI's embeddings protocol, which NVIDIA speaks too.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/embeddings/create} (read 2026-11)
 */
export const openaiEmbeddingsRequest = z.strictObject({
  model: z.string().min(1),
  /** One text, several, or token ids. */
  input: z.union([z.string(), z.array(z.string()), z.array(z.int()), z.array(z.array(z.int()))]),
  dimensions: z.int().min(1).nullish(),
  /** `float`, or `base64` of little-endian float32 values. */
  encoding_format: z.enum(['float', 'base64']).nullish(),
  user: z.string().nullish(),
});
