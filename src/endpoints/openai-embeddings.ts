import type { z } from 'zod';
import { openaiEmbeddingsRequest } from '../../schemas/requests/openai-embeddings.ts';
import { jsonCall } from './json-call.ts';
import type { HttpEndpointKind, Protocol } from './protocol.ts';

/** What a vendor does differently from OpenAI's own embeddings. */
export interface OpenaiEmbeddingsOptions {
  readonly model: string;
  /** Request fields the vendor adds. */
  readonly fields?: z.ZodRawShape;
  readonly adjust?: Protocol['toWire'];
}

/**
 * OpenAI's embeddings protocol, `POST embeddings`.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/embeddings} (read 2026-11)
 */
export function openaiEmbeddings({ model, fields = {}, adjust }: OpenaiEmbeddingsOptions): HttpEndpointKind {
  return jsonCall({
    path: 'embeddings',
    aliases: ['embed'],
    schema: openaiEmbeddingsRequest.extend(fields),
    model,
    timeout: 600,
    requiresTokens: true,
    ...(adjust === undefined ? {} : { toWire: adjust }),
  });
}
