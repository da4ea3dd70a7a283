import { z } from 'zod';
import { openaiChat } from '../endpoints/openai-chat.ts';
import { defineProvider } from './define-provider.ts';

/**
 * Google's Gemini, over its surface for OpenAI's protocol. Thinking is set with `reasoning_effort` or in `extra_body.google`; a tool call's
 * `extraContent` must be sent back with the assistant turn.
 *
 * @see {@link https://ai.google.dev/gemini-api/docs/openai} (read 2026-11)
 */
export const gemini = defineProvider({
  name: 'gemini',
  aliases: ['gemini-api'],
  baseUrl: 'https://generativelanguage.googleapis.com/v1beta/openai',
  apiKeyEnv: ['GOOGLE_API_KEY', 'GEMINI_API_KEY', 'GOOGLE_GENERATIVE_AI_API_KEY'],
  endpoints: [
    openaiChat({ model: 'gemini-2.5-flash', fields: { extra_body: z.looseObject({}).nullish() }, thinkTag: 'thought' }),
  ],
});
