import { z } from 'zod';
import type { Fields } from '../endpoints/endpoint.ts';
import { openaiChat } from '../endpoints/openai-chat.ts';
import { openaiEmbeddings } from '../endpoints/openai-embeddings.ts';
import type { WireContext } from '../endpoints/protocol.ts';
import { defineProvider } from './define-provider.ts';

/**
 * NVIDIA's hosted models, which speak OpenAI's chat and embeddings protocols.
 *
 * @see {@link https://docs.api.nvidia.com/nim/reference/llm-apis} (read 2026-11)
 */
export const nvidiaNim = defineProvider({
  name: 'nvidia_nim',
  aliases: ['nvidia', 'nim'],
  baseUrl: 'https://integrate.api.nvidia.com/v1',
  apiKeyEnv: ['NVIDIA_NIM_API_KEY', 'NVIDIA_API_KEY'],
  endpoints: [
    openaiChat({
      model: 'meta/llama3-8b-instruct',
      fields: {
        chat_template_kwargs: z.looseObject({}).nullish(),
        nvext: z.looseObject({}).nullish(),
        top_k: z.number().nullish(),
        min_p: z.number().nullish(),
        repetition_penalty: z.number().nullish(),
        guided_json: z.union([z.string(), z.looseObject({})]).nullish(),
      },
    }),
    openaiEmbeddings({
      model: 'nvidia/nv-embed-v1',
      fields: {
        input_type: z.enum(['query', 'passage']).nullish(),
        truncate: z.enum(['NONE', 'START', 'END']).nullish(),
        modality: z.union([z.string(), z.array(z.string())]).nullish(),
        embedding_type: z.string().nullish(),
      },
      adjust: withInputType,
    }),
  ],
});

/** Retrieval models refuse an input that is neither a query nor a passage, unless the model's name ends in one of the two. */
function withInputType(payload: Fields, { warn, fitsToModel }: WireContext): Fields {
  if (!fitsToModel) return payload;
  const model = String(payload.model);
  const needsType =
    /nv-embed|embedqa|retriever|embed-v|arctic-embed|e5-/.test(model) && !/-(query|passage)$/.test(model);
  if (!needsType || (payload.input_type !== undefined && payload.input_type !== null)) return payload;
  warn(`${model} needs an \`input_type\`: \`query\` was taken`);
  return { ...payload, input_type: 'query' };
}
