import { z } from 'zod';
import { openaiChat } from '../endpoints/openai-chat.ts';
import { readVendorError, record } from '../http/vendor-error.ts';
import { defineProvider } from './define-provider.ts';

/**
 * OpenRouter, which speaks OpenAI's chat protocol for many vendors' models. Its routing field `provider` is written `provider_preferences`
 * here, since `provider` names OpenRouter itself. `headers` may say who is calling (`HTTP-Referer`, `X-Title`).
 *
 * @see {@link https://openrouter.ai/docs/api-reference/overview} (read 2026-11)
 */
export const openrouter = defineProvider({
  name: 'openrouter',
  aliases: ['open-router'],
  baseUrl: 'https://openrouter.ai/api/v1',
  apiKeyEnv: 'OPENROUTER_API_KEY',
  endpoints: [
    openaiChat({
      model: 'google/gemini-2.5-flash',
      fields: {
        reasoning: z.looseObject({}).nullish(),
        include_reasoning: z.boolean().nullish(),
        models: z.array(z.string()).nullish(),
        provider_preferences: z.looseObject({}).nullish(),
        plugins: z.array(z.looseObject({})).nullish(),
        transforms: z.array(z.string()).nullish(),
        route: z.string().nullish(),
        top_k: z.number().nullish(),
        top_a: z.number().nullish(),
        min_p: z.number().nullish(),
        repetition_penalty: z.number().nullish(),
        usage: z.looseObject({ include: z.boolean().optional() }).nullish(),
        cache_control: z.looseObject({}).nullish(),
        session_id: z.string().nullish(),
        debug: z.looseObject({}).nullish(),
        image_config: z.looseObject({}).nullish(),
      },
      rename: { provider_preferences: 'provider' },
      failingReasons: ['error'],
      errorText: routedText,
    }),
  ],
});

/**
 * For "Provider returned error" the useful words are those of the vendor behind it, in `error.metadata.raw`; for an input that was flagged, what
 * it was flagged for, in `error.metadata.reasons`.
 */
function routedText(body: unknown): string | undefined {
  const error = record(record(body)?.error);
  const metadata = record(error?.metadata);
  if (Array.isArray(metadata?.reasons)) return `${error?.message} (moderation: ${metadata.reasons.join(', ')})`;
  const raw = metadata?.raw;
  if (raw === undefined || raw === null) return undefined;
  const inner = typeof raw === 'string' ? readVendorError(parsed(raw), raw) : readVendorError(raw, JSON.stringify(raw));
  const name = typeof metadata?.provider_name === 'string' ? `${metadata.provider_name}: ` : '';
  return `${name}${inner.message}`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
