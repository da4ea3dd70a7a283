import { z } from 'zod';

/**
 * A request to Ollama's native embedding route.
 *
 * @see {@link https://docs.ollama.com/api/embed} (read 2026-11)
 */
export const ollamaEmbedRequest = z.strictObject({
  model: z.string().min(1),
  input: z.union([z.string(), z.array(z.string())]).optional(),
  /** The older route's name of `input`. */
  prompt: z.string().optional(),
  truncate: z.boolean().optional(),
  dimensions: z.int().min(1).optional(),
  options: z.looseObject({}).optional(),
  keep_alive: z.union([z.string(), z.number()]).optional(),
});

/**
 * A request to Ollama's native completion route. `messages` may be given in place of `prompt`; they are joined, and system turns become
 * `system`.
 *
 * @see {@link https://docs.ollama.com/api/generate} (read 2026-11)
 */
export const ollamaGenerateRequest = z.strictObject({
  model: z.string().min(1),
  prompt: z.string().optional(),
  messages: z.array(z.looseObject({ role: z.string(), content: z.unknown() })).optional(),
  suffix: z.string().optional(),
  images: z.array(z.string()).optional(),
  format: z.union([z.string(), z.looseObject({})]).optional(),
  options: z.looseObject({}).optional(),
  system: z.string().optional(),
  template: z.string().optional(),
  context: z.array(z.int()).optional(),
  stream: z.boolean().optional(),
  raw: z.boolean().optional(),
  keep_alive: z.union([z.string(), z.number()]).optional(),
  think: z.union([z.boolean(), z.string()]).optional(),
  logprobs: z.boolean().optional(),
  top_logprobs: z.int().min(0).optional(),
});
