import { z } from 'zod';
import { transcriptionRequest } from '../../schemas/requests/openai-media.ts';
import { openaiTranscription } from '../endpoints/openai-audio.ts';
import { openaiChat } from '../endpoints/openai-chat.ts';
import { defineProvider } from './define-provider.ts';

/**
 * Groq, which speaks OpenAI's chat and transcription protocols.
 *
 * @see {@link https://console.groq.com/docs/api-reference} for the fields it adds and leaves out (read 2026-11)
 */
export const groq = defineProvider({
  name: 'groq',
  baseUrl: 'https://api.groq.com/openai/v1',
  apiKeyEnv: 'GROQ_API_KEY',
  endpoints: [
    openaiChat({
      // `llama-3.3-70b-versatile` was switched off on 2026-08-16.
      model: 'openai/gpt-oss-120b',
      omit: ['logit_bias', 'logprobs', 'top_logprobs'],
      fields: {
        reasoning_format: z.string().nullish(),
        include_reasoning: z.boolean().nullish(),
        citation_options: z.string().nullish(),
        compound_custom: z.looseObject({}).nullish(),
        documents: z.array(z.looseObject({})).nullish(),
        search_settings: z.looseObject({}).nullish(),
        disable_tool_validation: z.boolean().nullish(),
      },
    }),
    openaiTranscription({
      aliases: ['whisper', 'stt'],
      takesUrl: true,
      schema: transcriptionRequest
        .pick({
          file: true,
          filename: true,
          language: true,
          prompt: true,
          temperature: true,
          timestamp_granularities: true,
        })
        .extend({
          model: z.string().min(1).default('whisper-large-v3-turbo'),
          /** Where the sound is, in place of `file`. */
          url: z.string().optional(),
          response_format: z.enum(['json', 'text', 'verbose_json']).optional(),
        }),
    }),
  ],
});
